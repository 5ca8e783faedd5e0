/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bodies that stall, fail, are slowed down or broken off. */
#include "support/netbed.h"
#include "support/unit.h"

#include <errno.h>
#include <string.h>

#define BODY_BYTES ((uint64_t)200000)

static const struct raw_step obliging[] = {STEP_READ, STEP_SEND(ACK_EMPTY), STEP_AGAIN};
static const struct raw_step *const obliging_script[] = {obliging};

struct fixture {
    struct bed bed;
    struct transfer_connection *connection;
    struct bed_exchange exchange;
};

static void begin(struct fixture *f, const struct raw_step *const *scripts, size_t count, uint64_t body_bytes)
{
    bed_begin(&f->bed, scripts, count);
    f->connection = bed_connection(&f->bed);
    bed_prepare(&f->bed, &f->exchange, f->connection, body_bytes);
}

static void finish(struct fixture *f)
{
    bed_drop(&f->bed, f->connection);
    bed_end(&f->bed);
}

static void run(struct fixture *f)
{
    bed_start(&f->exchange);
    bed_run(&f->bed, &f->exchange.done);
    assert_int_equal(f->exchange.done, 1);
}

static void resume(struct bed_exchange *exchange)
{
    net_transfer_ops.resume(exchange->bed->net, exchange->transfer);
}

static void expect_whole(struct fixture *f, size_t request)
{
    assert_int_equal(f->exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(f->exchange.outcome.body_sent_bytes, f->exchange.request.body_bytes);
    assert_int_equal(raw_server_body_crc32c(f->bed.server, request),
                     bed_crc32c(0, (size_t)f->exchange.request.body_bytes));
}

static void a_body_in_small_pieces_arrives_whole(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, BODY_BYTES);
    f.exchange.step = 777;
    run(&f);
    expect_whole(&f, 0);
    finish(&f);
}

static bool has_stalled(void *userdata)
{
    const struct bed_exchange *exchange = userdata;

    return exchange->stalls > 0 || exchange->done;
}

static void a_body_goes_on_where_it_stalled(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, BODY_BYTES);
    f.exchange.available = 0;
    bed_start(&f.exchange);
    while (f.exchange.available < BODY_BYTES) {
        bed_run_until(&f.bed, has_stalled, &f.exchange);
        assert_int_equal(f.exchange.done, 0);
        f.exchange.stalls = 0;
        f.exchange.available += 30000;
        resume(&f.exchange);
    }
    bed_run(&f.bed, &f.exchange.done);
    expect_whole(&f, 0);
    finish(&f);
}

static void a_stalled_body_is_not_asked_over_and_over(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, BODY_BYTES);
    f.exchange.available = 100;
    bed_start(&f.exchange);
    bed_run_until(&f.bed, has_stalled, &f.exchange);
    unsigned reads = f.exchange.reads;
    bed_idle(&f.bed, 100 * USEC_PER_MSEC);
    assert_int_equal(f.exchange.reads, reads);
    net_transfer_ops.cancel(f.bed.net, f.exchange.transfer);
    finish(&f);
}

static ssize_t read_that_resumes(void *userdata, uint64_t offset, void *buffer, size_t size)
{
    struct bed_exchange *exchange = userdata;

    (void)offset;
    if (exchange->stalls++ == 0) {
        resume(exchange);
        return 0;
    }
    memset(buffer, 'x', size);
    return (ssize_t)size;
}

static void on_done(void *userdata, const struct exchange_outcome *outcome)
{
    struct bed_exchange *exchange = userdata;

    exchange->outcome = *outcome;
    exchange->done++;
}

static void a_resume_from_within_the_read_is_not_lost(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, 1000);
    struct transfer_job job = {
        .url = f.exchange.url,
        .request = &f.exchange.request,
        .body = {.read = read_that_resumes, .userdata = &f.exchange},
        .connection = f.connection,
        .done = on_done,
        .userdata = &f.exchange,
    };
    assert_int_equal(net_transfer_ops.start(f.bed.net, &job, &f.exchange.transfer), 0);
    bed_run(&f.bed, &f.exchange.done);
    assert_int_equal(f.exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(raw_server_body_bytes(f.bed.server, 0), 1000);
    finish(&f);
}

static void a_source_that_fails_ends_the_exchange(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, BODY_BYTES);
    f.exchange.available = 1000;
    f.exchange.error = -ENODATA;
    run(&f);
    assert_int_equal(f.exchange.outcome.transport, TRANSPORT_SOURCE);
    assert_int_equal(f.exchange.outcome.source_error, -ENODATA);
    assert_string_not_equal(f.exchange.outcome.text, "");
    finish(&f);
}

static void a_source_that_hangs_is_not_the_servers_fault(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, BODY_BYTES);
    f.exchange.available = 1000;
    f.exchange.request.send_timeout_usec = 200 * USEC_PER_MSEC;
    run(&f);
    assert_int_equal(f.exchange.outcome.transport, TRANSPORT_SOURCE);
    assert_int_equal(f.exchange.outcome.source_error, -ETIMEDOUT);
    finish(&f);
}

static bool is_closed(void *userdata)
{
    return raw_server_closed(userdata) == 1;
}

static void a_connection_that_ends_while_the_body_stalls_is_noticed_when_it_goes_on(void **state)
{
    static const struct raw_step closing[] = {STEP_HEAD, STEP_BODY(100), STEP_CLOSE};
    static const struct raw_step resetting[] = {STEP_HEAD, STEP_BODY(100), STEP_RESET};
    const struct raw_step *const scripts[] = {closing, resetting};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(scripts); i++) {
        struct fixture f;
        begin(&f, &scripts[i], 1, BODY_BYTES);
        f.exchange.available = 100;
        bed_start(&f.exchange);
        bed_run_until(&f.bed, is_closed, f.bed.server);
        f.exchange.available = BODY_BYTES;
        if (f.exchange.transfer)
            resume(&f.exchange);
        bed_run(&f.bed, &f.exchange.done);
        assert_int_equal(f.exchange.outcome.transport, TRANSPORT_CONNECTION_LOST);
        assert_int_equal(f.exchange.outcome.ack.status, 0);
        finish(&f);
    }
}

static void an_answer_that_ends_the_connection_while_the_body_stalls_counts(void **state)
{
    static const struct raw_step answering[] = {
        STEP_HEAD, STEP_BODY(100), STEP_SEND("HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\nsorry"), STEP_CLOSE};
    const struct raw_step *const scripts[] = {answering};
    struct fixture f;

    (void)state;
    begin(&f, scripts, 1, BODY_BYTES);
    f.exchange.available = 100;
    run(&f);
    assert_int_equal(f.exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(f.exchange.outcome.ack.status, 500);
    finish(&f);
}

static bool has_body(void *userdata)
{
    return raw_server_requests(userdata) == 1 && raw_server_body_bytes(userdata, 0) == 50000;
}

static void cancel_leaves_nothing_behind(void **state)
{
    static const struct raw_step reading[] = {STEP_HEAD, STEP_BODY(50000), STEP_WAIT};
    const struct raw_step *const scripts[] = {reading, obliging};
    struct fixture f;

    (void)state;
    begin(&f, scripts, 2, (uint64_t)64 << 20);
    bed_start(&f.exchange); /* before it did anything */
    net_transfer_ops.cancel(f.bed.net, f.exchange.transfer);
    bed_start(&f.exchange);
    bed_run_until(&f.bed, has_body, f.bed.server);
    net_transfer_ops.cancel(f.bed.net, f.exchange.transfer);
    bed_exchange(&f.bed, &f.exchange, f.connection, 1000);
    assert_int_equal(f.exchange.outcome.transport, TRANSPORT_OK);
    assert_int_equal(raw_server_requests(f.bed.server), 2);
    assert_int_equal(raw_server_body_bytes(f.bed.server, 1), 1000);
    assert_int_equal(raw_server_connection_of(f.bed.server, 1), 1);
    finish(&f);
}

static void cancel_does_not_wait_for_a_name_server(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, 0);
    strcpy(f.exchange.url, "http://a.name.that.takes.its.time.invalid/");
    bed_start(&f.exchange);
    assert_true(sd_event_run(f.bed.event, 0) >= 0); /* the look-up begins */
    uint64_t before = moment_now().monotonic_usec;
    if (f.exchange.transfer) /* a machine without a name server knows at once that there is no such name */
        net_transfer_ops.cancel(f.bed.net, f.exchange.transfer);
    assert_true(moment_now().monotonic_usec - before < USEC_PER_SEC);
    finish(&f);
}

struct chain {
    struct fixture *f;
    struct bed_exchange *victim;
    struct transfer *next;
    unsigned done;
};

static void on_next_done(void *userdata, const struct exchange_outcome *outcome)
{
    struct chain *chain = userdata;

    assert_int_equal(outcome->transport, TRANSPORT_OK);
    chain->done++;
}

static void on_first_done(void *userdata, const struct exchange_outcome *outcome)
{
    struct chain *chain = userdata;
    struct fixture *f = chain->f;
    struct transfer_job job = {
        .url = f->exchange.url,
        .request = &f->exchange.request,
        .connection = f->connection,
        .done = on_next_done,
        .userdata = chain,
    };

    assert_int_equal(outcome->transport, TRANSPORT_OK);
    net_transfer_ops.cancel(f->bed.net, chain->victim->transfer);
    assert_int_equal(net_transfer_ops.start(f->bed.net, &job, &chain->next), 0);
    chain->done++;
}

static bool chain_done(void *userdata)
{
    return ((struct chain *)userdata)->done == 2;
}

static void done_may_start_and_cancel_others(void **state)
{
    struct fixture f;
    struct bed_exchange victim;
    struct chain chain = {.f = &f, .victim = &victim};

    (void)state;
    begin(&f, obliging_script, 1, 0);
    struct transfer_connection *other = bed_connection(&f.bed);
    bed_prepare(&f.bed, &victim, other, 1000);
    victim.available = 10;
    bed_start(&victim);
    struct transfer_job job = {
        .url = f.exchange.url,
        .request = &f.exchange.request,
        .connection = f.connection,
        .done = on_first_done,
        .userdata = &chain,
    };
    struct transfer *first = NULL;
    assert_int_equal(net_transfer_ops.start(f.bed.net, &job, &first), 0);
    bed_run_until(&f.bed, chain_done, &chain);
    assert_int_equal(victim.done, 0);
    bed_drop(&f.bed, other);
    finish(&f);
}

static void a_body_that_is_held_back_runs_out_of_no_time(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, BODY_BYTES);
    f.exchange.available = 1000;
    f.exchange.error = -EAGAIN;
    f.exchange.request.send_timeout_usec = 300 * USEC_PER_MSEC;
    bed_start(&f.exchange);
    bed_run_until(&f.bed, has_stalled, &f.exchange);
    unsigned reads = f.exchange.reads;
    bed_idle(&f.bed, 700 * USEC_PER_MSEC);
    assert_int_equal(f.exchange.done, 0);
    assert_int_equal(f.exchange.reads, reads);
    f.exchange.available = UINT64_MAX;
    resume(&f.exchange);
    bed_run(&f.bed, &f.exchange.done);
    expect_whole(&f, 0);
    finish(&f);
}

static void when_a_held_back_body_goes_on_time_runs_again(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, obliging_script, 1, BODY_BYTES);
    f.exchange.available = 1000;
    f.exchange.error = -EAGAIN;
    f.exchange.request.send_timeout_usec = 300 * USEC_PER_MSEC;
    bed_start(&f.exchange);
    bed_run_until(&f.bed, has_stalled, &f.exchange);
    f.exchange.error = 0; /* nothing is there now */
    resume(&f.exchange);
    bed_run(&f.bed, &f.exchange.done);
    assert_int_equal(f.exchange.outcome.transport, TRANSPORT_SOURCE);
    assert_int_equal(f.exchange.outcome.source_error, -ETIMEDOUT);
    finish(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_in_small_pieces_arrives_whole),
    cmocka_unit_test(a_body_goes_on_where_it_stalled),
    cmocka_unit_test(a_stalled_body_is_not_asked_over_and_over),
    cmocka_unit_test(a_resume_from_within_the_read_is_not_lost),
    cmocka_unit_test(a_source_that_fails_ends_the_exchange),
    cmocka_unit_test(a_source_that_hangs_is_not_the_servers_fault),
    cmocka_unit_test(a_connection_that_ends_while_the_body_stalls_is_noticed_when_it_goes_on),
    cmocka_unit_test(an_answer_that_ends_the_connection_while_the_body_stalls_counts),
    cmocka_unit_test(cancel_leaves_nothing_behind),
    cmocka_unit_test(cancel_does_not_wait_for_a_name_server),
    cmocka_unit_test(done_may_start_and_cancel_others),
    cmocka_unit_test(a_body_that_is_held_back_runs_out_of_no_time),
    cmocka_unit_test(when_a_held_back_body_goes_on_time_runs_again),
};

UNIT_MAIN(tests);
