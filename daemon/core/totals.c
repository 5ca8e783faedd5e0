/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/totals.h"

/* A sum that stops at the largest number: a damaged figure must not make the others small again. */
static uint64_t add(uint64_t sum, uint64_t more)
{
    return more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
}

/* How much NOW is beyond what was counted, which then counts as well. */
static uint64_t take_news(uint64_t now, uint64_t *counted)
{
    uint64_t news = now > *counted ? now - *counted : 0;

    *counted += news;
    return news;
}

bool totals_count_end(struct totals *totals, enum job_state before, struct job *job)
{
    uint64_t uploaded = job->state == JOB_DONE ? job->identity.size_bytes : job->session.high_offset;

    if (!job_state_is_final(job->state) || job_state_is_final(before))
        return false;
    totals->done += job->state == JOB_DONE;
    totals->failed += job->state == JOB_FAILED;
    totals->cancelled += job->state == JOB_CANCELLED;
    totals->uploaded_bytes = add(totals->uploaded_bytes, take_news(uploaded, &job->counted_uploaded_bytes));
    totals->resent_bytes = add(totals->resent_bytes, take_news(job->session.resent_bytes, &job->counted_resent_bytes));
    return true;
}
