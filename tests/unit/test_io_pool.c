/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pool under io, with jobs that hang as a dead file system would make them. */
#include "io/pool.h"
#include "support/unit.h"

#include "base/moment.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

struct job {
    struct pool_job job;
    sem_t *begun;
    sem_t *release; /* waited for by run() */
    sem_t *dropped;
    sigset_t blocked;
    unsigned finished;
};

static void job_run(struct pool_job *base)
{
    struct job *job = (struct job *)base;

    (void)pthread_sigmask(SIG_BLOCK, NULL, &job->blocked);
    if (job->begun)
        (void)sem_post(job->begun);
    while (job->release && sem_wait(job->release) < 0)
        ;
}

static void job_finish(struct pool_job *base)
{
    ((struct job *)base)->finished++;
}

static void job_drop(struct pool_job *base)
{
    struct job *job = (struct job *)base;
    sem_t *dropped = job->dropped;

    free(job);
    if (dropped)
        (void)sem_post(dropped);
}

static struct job *make_job(sem_t *begun, sem_t *release, sem_t *dropped)
{
    struct job *job = calloc(1, sizeof(*job));

    assert_non_null(job);
    job->job = (struct pool_job){.run = job_run, .finish = job_finish, .drop = job_drop};
    job->begun = begun;
    job->release = release;
    job->dropped = dropped;
    return job;
}

static void dispatch(struct mailbox *mailbox, struct pool *pool)
{
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct pollfd poll_fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};
    struct message *message;

    assert_int_equal(poll(&poll_fd, 1, 60000), 1);
    mailbox_take_all(mailbox, &list);
    while ((message = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, message, entry);
        assert_true(pool_dispatch(pool, message));
    }
}

static void signals_are_left_to_the_loop(void **state)
{
    struct mailbox *mailbox = NULL;
    struct pool *pool = NULL;
    sigset_t before, after;

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    assert_int_equal(pool_new(mailbox, 1, &pool), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    struct job *job = make_job(NULL, NULL, NULL);
    pool_submit(pool, &job->job);
    while (job->finished == 0)
        dispatch(mailbox, pool);
    assert_true(sigismember(&job->blocked, SIGTERM) && sigismember(&job->blocked, SIGHUP) &&
                sigismember(&job->blocked, SIGCHLD) && sigismember(&job->blocked, SIGPIPE));
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    free(job);
    pool_free(pool);
    mailbox_free(mailbox);
}

static void what_nobody_waits_for_wakes_nobody(void **state)
{
    struct mailbox *mailbox = NULL;
    struct pool *pool = NULL;
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    sem_t dropped;

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    assert_int_equal(pool_new(mailbox, 1, &pool), 0);
    (void)sem_init(&dropped, 0, 0);
    struct job *job = make_job(NULL, NULL, &dropped);
    job->job.unattended = true;
    pool_submit(pool, &job->job);
    assert_int_equal(sem_wait(&dropped), 0);
    mailbox_take_all(mailbox, &list);
    assert_true(TAILQ_EMPTY(&list));
    pool_free(pool);
    mailbox_free(mailbox);
}

/* The end of the daemon does not wait for a dead file server; what hangs cleans up after itself when it is let go. */
static void the_end_does_not_wait_for_what_hangs(void **state)
{
    struct mailbox *mailbox = NULL;
    struct pool *pool = NULL;
    sem_t begun, release, dropped;

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    assert_int_equal(pool_new(mailbox, 2, &pool), 0);
    (void)sem_init(&begun, 0, 0);
    (void)sem_init(&release, 0, 0);
    (void)sem_init(&dropped, 0, 0);
    for (int i = 0; i < 2; i++)
        pool_submit(pool, &make_job(&begun, &release, &dropped)->job);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sem_wait(&begun), 0);
    for (int i = 0; i < 3; i++) /* these wait behind them, and are dropped unrun */
        pool_submit(pool, &make_job(&begun, NULL, &dropped)->job);
    uint64_t before = moment_now().monotonic_usec;
    pool_free(pool);
    assert_true(moment_now().monotonic_usec - before < 30 * USEC_PER_SEC);
    mailbox_free(mailbox);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sem_wait(&dropped), 0);
    assert_int_equal(sem_trywait(&dropped), -1);
    for (int i = 0; i < 2; i++)
        (void)sem_post(&release);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sem_wait(&dropped), 0);
    assert_int_equal(sem_trywait(&begun), -1);
}

/* A dead file server takes as many threads as files on it; the others are served by new ones. */
static void what_hangs_does_not_hold_up_the_rest(void **state)
{
    struct mailbox *mailbox = NULL;
    struct pool *pool = NULL;
    struct job *stuck[2], *others[20];
    sem_t begun, release;

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    assert_int_equal(pool_new(mailbox, 2, &pool), 0);
    (void)sem_init(&begun, 0, 0);
    (void)sem_init(&release, 0, 0);
    for (size_t i = 0; i < 2; i++) {
        stuck[i] = make_job(&begun, &release, NULL);
        pool_submit(pool, &stuck[i]->job);
        assert_int_equal(sem_wait(&begun), 0);
    }
    /* The time that makes them count as stuck passes while nothing else happens. */
    assert_int_equal(poll(NULL, 0, (int)(POOL_STUCK_USEC / 1000) + 1), 0);
    for (size_t i = 0; i < ELEMENTS(others); i++) {
        others[i] = make_job(NULL, NULL, NULL);
        pool_submit(pool, &others[i]->job);
        while (others[i]->finished == 0)
            dispatch(mailbox, pool);
        free(others[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        (void)sem_post(&release);
    }
    while (stuck[0]->finished + stuck[1]->finished < 2)
        dispatch(mailbox, pool);
    free(stuck[0]);
    free(stuck[1]);
    pool_free(pool);
    mailbox_free(mailbox);
}

static void what_waits_can_be_taken_back_and_what_runs_cannot(void **state)
{
    struct mailbox *mailbox = NULL;
    struct pool *pool = NULL;
    sem_t begun, release;

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    assert_int_equal(pool_new(mailbox, 1, &pool), 0);
    (void)sem_init(&begun, 0, 0);
    (void)sem_init(&release, 0, 0);
    struct job *first = make_job(&begun, &release, NULL), *second = make_job(&begun, NULL, NULL);
    pool_submit(pool, &first->job);
    pool_submit(pool, &second->job);
    assert_int_equal(sem_wait(&begun), 0);
    assert_false(pool_withdraw(pool, &first->job));
    assert_true(pool_withdraw(pool, &second->job));
    assert_false(pool_withdraw(pool, &second->job));
    pool_submit(pool, &second->job);
    (void)sem_post(&release);
    while (first->finished + second->finished < 2)
        dispatch(mailbox, pool);
    free(first);
    free(second);
    pool_free(pool);
    mailbox_free(mailbox);
}

static void messages_of_others_are_left_alone(void **state)
{
    struct mailbox *mailbox = NULL;
    struct pool *pool = NULL;
    struct message other;

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    assert_int_equal(pool_new(mailbox, 1, &pool), 0);
    assert_false(pool_dispatch(pool, &other));
    pool_free(pool);
    mailbox_free(mailbox);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(signals_are_left_to_the_loop),
    cmocka_unit_test(what_nobody_waits_for_wakes_nobody),
    cmocka_unit_test(the_end_does_not_wait_for_what_hangs),
    cmocka_unit_test(what_hangs_does_not_hold_up_the_rest),
    cmocka_unit_test(what_waits_can_be_taken_back_and_what_runs_cannot),
    cmocka_unit_test(messages_of_others_are_left_alone),
};

UNIT_MAIN(tests);
