/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Authentication as the session sees it. Answering a challenge is the transport's business; here is what remains: a
 * token that was renewed meanwhile, connections that must be authenticated before a body goes out, and credentials that
 * cannot be had.
 */
#include "core/bits.h"

#include <stdio.h>

/* Fragments in a row that were held back since the connection was not authenticated, although a Ping had been sent. */
#define UNAUTHENTICATED_MAX 3

bool bits_is_challenge(const struct ack *ack)
{
    /* A service that lets a token run out in the middle of an upload answers 500, with a challenge. */
    return ack->status == 401 || ack->status == 407 || (ack->status == 500 && ack->has_authenticate);
}

bool bits_may_ask_again(struct step *step)
{
    struct session *session = step->session;

    if (!step->in->refreshed || session->asked_again || !bits_is_challenge(&step->in->outcome->ack))
        return false;
    session->asked_again = true;
    return true;
}

void bits_take_unauthenticated(struct step *step)
{
    struct session *session = step->session;
    struct failure failure;

    session->unauthenticated++;
    if (session->unauthenticated >= UNAUTHENTICATED_MAX) {
        session->unauthenticated = 0;
        bits_describe_outcome(step, &failure);
        bits_fail(step, &failure,
                  "NTLM and Negotiate need a server, and a proxy before it, that keep a connection open: ask its "
                  "administrator, or choose another scheme with: bitsq set ID auth=SCHEME, then: bitsq retry ID");
        return;
    }
    session->needs_ping = true;
    bits_go_on(step);
}

void bits_describe_access(const char *fault, struct failure *ret)
{
    *ret =
        (struct failure){.code = HR_INVALID_CREDENTIALS, .context = CONTEXT_QUEUE_MANAGER, .phase = PHASE_CREDENTIAL};
    failure_name_code(ret->code, ret->name);
    (void)snprintf(ret->text, sizeof(ret->text), "%s failed: %.300s", failure_phase_text(PHASE_CREDENTIAL),
                   fault ? fault : "they cannot be had");
}
