/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues a file and follows it: cc example.c $(pkg-config --cflags --libs bitsq); ./a.out FILE URL */
#include <bitsq/bitsq.h>

#include <inttypes.h>
#include <stdio.h>

static int fail(bitsq_client *client)
{
    fprintf(stderr, "example: %s\n", bitsq_client_get_error_message(client));
    bitsq_client_free(client);
    return 1;
}

/* 1 when the job has ended, 0 when it goes on, negative on an error. */
static int look_at(bitsq_client *client, uint64_t id, bitsq_state *ret_state)
{
    bitsq_job *job;
    int r = bitsq_client_get_job(client, id, &job);

    if (r < 0)
        return r;
    *ret_state = bitsq_job_get_state(job);
    printf("%s, %" PRIu64 " of %" PRIu64 " bytes\n", bitsq_job_get_state_name(job), bitsq_job_get_acknowledged(job),
           bitsq_job_get_size(job));
    bitsq_job_free(job);
    return bitsq_state_is_final(*ret_state);
}

int main(int argc, char **argv)
{
    bitsq_state state = BITSQ_STATE_UNKNOWN;
    bitsq_client *client;
    uint64_t id;
    int r;

    if (argc != 3 || bitsq_client_new(&client) < 0)
        return 2;
    if (bitsq_client_connect(client, 0) < 0 || bitsq_client_add(client, argv[1], argv[2], NULL, &id) < 0 ||
        bitsq_client_subscribe(client) < 0)
        return fail(client);
    while ((r = look_at(client, id, &state)) == 0) {
        bitsq_event *event;

        /* all that has happened meanwhile, and then one look at the job */
        if (bitsq_client_wait(client, UINT64_MAX) < 0)
            return fail(client);
        while ((r = bitsq_client_dispatch(client, &event)) > 0)
            bitsq_event_free(event);
        if (r < 0)
            return fail(client);
    }
    if (r < 0)
        return fail(client);
    bitsq_client_free(client);
    return state == BITSQ_STATE_DONE ? 0 : 1;
}
