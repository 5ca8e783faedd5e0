/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io/pool.h"

#include "core/limits.h"

#include "base/moment.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

TAILQ_HEAD(pool_job_list, pool_job);

/* Shared by the loop and the threads; the last of them frees it. */
struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a job was queued, or the pool closes */
    pthread_cond_t quiet; /* a job was done, or a thread has left */
    struct pool_job_list waiting;
    struct pool_job_list finished;
    struct mailbox *mailbox;
    struct message wake_up; /* in the mailbox while jobs are finished and pool_dispatch() has not come for them */
    bool woken;
    bool closing;   /* no new work */
    bool abandoned; /* nobody wants results any more */
    struct pool_job_list running;
    unsigned threads;
    unsigned threads_wanted; /* beside those that are stuck */
};

static void pool_destroy(struct pool *pool)
{
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_cond_destroy(&pool->quiet);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static uint64_t monotonic_usec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* With the lock held. Threads that will not come back soon; the job that has run longest stands first. */
static unsigned count_stuck(const struct pool *pool)
{
    const struct pool_job *job;
    uint64_t now = monotonic_usec();
    unsigned count = 0;

    TAILQ_FOREACH (job, &pool->running, entry) {
        if (now - job->begun_usec < POOL_STUCK_USEC)
            break;
        count++;
    }
    return count;
}

/* With the lock held. One more than are wanted has come back from where it was stuck. */
static bool is_surplus(const struct pool *pool)
{
    return pool->threads > pool->threads_wanted + count_stuck(pool);
}

/* With the lock held. Returns NULL when the thread shall end. */
static struct pool_job *take_job(struct pool *pool)
{
    while (TAILQ_EMPTY(&pool->waiting) && !pool->closing && !is_surplus(pool))
        (void)pthread_cond_wait(&pool->work, &pool->lock);
    struct pool_job *job = TAILQ_FIRST(&pool->waiting);
    if (job) {
        TAILQ_REMOVE(&pool->waiting, job, entry);
        TAILQ_INSERT_TAIL(&pool->running, job, entry);
        job->queued = false;
        job->begun_usec = monotonic_usec();
    }
    return job;
}

/* With the lock held. */
static void deliver(struct pool *pool, struct pool_job *job)
{
    TAILQ_INSERT_TAIL(&pool->finished, job, entry);
    if (pool->closing || pool->woken)
        return;
    pool->woken = true;
    mailbox_post(pool->mailbox, &pool->wake_up);
}

static void *pool_thread(void *userdata)
{
    struct pool *pool = userdata;
    struct pool_job *job;

    (void)pthread_mutex_lock(&pool->lock);
    while ((job = take_job(pool)) != NULL) {
        (void)pthread_mutex_unlock(&pool->lock);
        job->run(job);
        (void)pthread_mutex_lock(&pool->lock);
        TAILQ_REMOVE(&pool->running, job, entry);
        if (pool->abandoned || job->unattended)
            job->drop(job);
        else
            deliver(pool, job);
        (void)pthread_cond_signal(&pool->quiet);
    }
    pool->threads--;
    bool last = pool->abandoned && pool->threads == 0;
    (void)pthread_cond_signal(&pool->quiet);
    (void)pthread_mutex_unlock(&pool->lock);
    if (last)
        pool_destroy(pool);
    return NULL;
}

/* With the lock held. Signals are the loop's: they stay blocked in every thread of the pool. */
static int start_thread(struct pool *pool)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attributes, pool_thread, pool);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    pool->threads += r == 0;
    return -r;
}

static int start_threads(struct pool *pool, unsigned threads)
{
    int r = 0;

    (void)pthread_mutex_lock(&pool->lock);
    pool->threads_wanted = threads;
    while (pool->threads < threads && r >= 0)
        r = start_thread(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    return r;
}

int pool_new(struct mailbox *mailbox, unsigned threads, struct pool **ret)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    pthread_condattr_t attributes;

    if (!pool)
        return -ENOMEM;
    pool->mailbox = mailbox;
    TAILQ_INIT(&pool->waiting);
    TAILQ_INIT(&pool->finished);
    TAILQ_INIT(&pool->running);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->quiet, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int r = start_threads(pool, threads);
    if (r < 0) {
        pool_free(pool);
        return r;
    }
    *ret = pool;
    return 0;
}

/* With the lock held. */
static void drop_waiting(struct pool *pool, bool also_unattended)
{
    struct pool_job_list kept = TAILQ_HEAD_INITIALIZER(kept);
    struct pool_job *job;

    while ((job = TAILQ_FIRST(&pool->waiting)) != NULL) {
        TAILQ_REMOVE(&pool->waiting, job, entry);
        if (job->unattended && !also_unattended)
            TAILQ_INSERT_TAIL(&kept, job, entry);
        else
            job->drop(job);
    }
    TAILQ_CONCAT(&pool->waiting, &kept, entry);
}

struct pool *pool_free(struct pool *pool)
{
    struct timespec until;
    struct pool_job *job;

    if (!pool)
        return NULL;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += POOL_FREE_WAIT_SEC;

    (void)pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    drop_waiting(pool, false);
    (void)pthread_cond_broadcast(&pool->work);
    while (pool->threads > 0 && pthread_cond_timedwait(&pool->quiet, &pool->lock, &until) != ETIMEDOUT)
        ;
    pool->abandoned = true;
    drop_waiting(pool, true);
    while ((job = TAILQ_FIRST(&pool->finished)) != NULL) {
        TAILQ_REMOVE(&pool->finished, job, entry);
        job->drop(job);
    }
    mailbox_withdraw(pool->mailbox, &pool->wake_up);
    bool last = pool->threads == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    if (last)
        pool_destroy(pool);
    return NULL;
}

void pool_submit(struct pool *pool, struct pool_job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    assert(!pool->closing && !job->queued);
    job->queued = true;
    TAILQ_INSERT_TAIL(&pool->waiting, job, entry);
    /* Without a thread more the job waits for those that there are: no error. */
    if (pool->threads < IO_THREADS_MAX && pool->threads < pool->threads_wanted + count_stuck(pool))
        (void)start_thread(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    /* Behind the lock: the thread that wakes up would only wait for it. */
    (void)pthread_cond_signal(&pool->work);
}

bool pool_withdraw(struct pool *pool, struct pool_job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool waiting = job->queued;
    if (waiting)
        TAILQ_REMOVE(&pool->waiting, job, entry);
    job->queued = false;
    (void)pthread_mutex_unlock(&pool->lock);
    return waiting;
}

bool pool_is_stuck(struct pool *pool, const struct pool_job *job)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool is_stuck = !job->queued && monotonic_usec() - job->begun_usec >= POOL_STUCK_USEC;
    (void)pthread_mutex_unlock(&pool->lock);
    return is_stuck;
}

static struct pool_job *take_finished(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    struct pool_job *job = TAILQ_FIRST(&pool->finished);
    if (job)
        TAILQ_REMOVE(&pool->finished, job, entry);
    else
        pool->woken = false;
    (void)pthread_mutex_unlock(&pool->lock);
    return job;
}

bool pool_dispatch(struct pool *pool, struct message *message)
{
    struct pool_job *job;

    if (message != &pool->wake_up)
        return false;
    /* One by one: finish() may submit, withdraw and free. */
    while ((job = take_finished(pool)) != NULL)
        job->finish(job);
    return true;
}
