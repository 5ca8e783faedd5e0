/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <string.h>

struct bitsq_journal {
    bitsq_client *client;
    sd_bus_message *page; /* inside its array of events; NULL before the first, and behind the last */
    uint64_t next;        /* where the page behind it begins */
    bool page_has_gap;

    /* The entry on which it stands; the texts live in the page. */
    bool has_gap;
    uint64_t sequence, time, id, count, next_attempt;
    const char *type, *name, *error_name, *error_message;
};

_public_ bitsq_journal *bitsq_journal_free(bitsq_journal *journal)
{
    if (!journal)
        return NULL;
    sd_bus_message_unref(journal->page);
    free(journal);
    return NULL;
}

_public_ int bitsq_client_open_journal(bitsq_client *client, uint64_t after, bitsq_journal **ret_journal)
{
    bitsq_journal *journal = calloc(1, sizeof(*journal));

    if (!journal)
        return client_fail_memory(client);
    journal->client = client;
    journal->next = journal->sequence = after;
    *ret_journal = journal;
    return 0;
}

/* Fetches the page behind the last one and stands before its first entry. 1, or 0 where nothing has happened since. */
static int turn_page(bitsq_journal *journal)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *page = NULL;
    uint64_t next = 0;
    int gap = 0;

    int r = client_manager_call(journal->client, MANAGER_GET_EVENTS, &call);
    if (r >= 0)
        r = client_check_append(journal->client, sd_bus_message_append(call, "tu", journal->next, PAGE_ROWS));
    if (r < 0 || (r = client_call(journal->client, call, &page)) < 0)
        return r;
    /* the cursor stands behind the events: read it first, then go back to them */
    r = sd_bus_message_skip(page, "a(ttsa{sv})");
    if (r >= 0)
        r = sd_bus_message_read(page, "tb", &next, &gap);
    if (r >= 0)
        r = sd_bus_message_rewind(page, 1);
    if (r >= 0)
        r = sd_bus_message_enter_container(page, 'a', "(ttsa{sv})");
    if (r >= 0 && next < journal->next && !gap)
        r = -EBADMSG;
    r = client_check_reply(journal->client, r);
    if (r < 0)
        return r;
    bool moved = next != journal->next;
    sd_bus_message_unref(journal->page);
    journal->page = TAKE_PTR(page);
    journal->next = next;
    journal->page_has_gap |= gap != 0;
    return moved ? 1 : 0;
}

static int read_detail(sd_bus_message *m, const char *key, void *target)
{
    bitsq_journal *journal = target;

    if (strcmp(key, "count") == 0)
        return sd_bus_message_read(m, "v", "t", &journal->count);
    if (strcmp(key, "job") == 0)
        return sd_bus_message_read(m, "v", "t", &journal->id);
    if (strcmp(key, "name") == 0)
        return sd_bus_message_read(m, "v", "s", &journal->name);
    if (strcmp(key, "next_attempt") == 0)
        return sd_bus_message_read(m, "v", "t", &journal->next_attempt);
    if (strcmp(key, "error") == 0)
        return sd_bus_message_read(m, "v", "(sus)", &journal->error_name, NULL, &journal->error_message);
    return sd_bus_message_skip(m, "v");
}

static int read_entry(bitsq_journal *journal)
{
    sd_bus_message *m = journal->page;

    journal->id = journal->next_attempt = 0;
    journal->count = 1;
    journal->type = journal->name = journal->error_name = journal->error_message = "";
    journal->has_gap = journal->page_has_gap;
    journal->page_has_gap = false;
    int r = sd_bus_message_enter_container(m, 'r', "ttsa{sv}");
    if (r >= 0)
        r = sd_bus_message_read(m, "tts", &journal->sequence, &journal->time, &journal->type);
    if (r >= 0)
        r = message_read_dictionary(m, read_detail, journal);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

_public_ int bitsq_journal_next(bitsq_journal *journal)
{
    for (;;) {
        if (journal->page) {
            int r = sd_bus_message_at_end(journal->page, 0);
            if (r == 0) {
                r = read_entry(journal);
                return r < 0 ? client_check_reply(journal->client, r) : 1;
            }
            if (r < 0)
                return client_check_reply(journal->client, r);
        }
        int r = turn_page(journal);
        if (r <= 0)
            return r;
    }
}

_public_ int bitsq_journal_has_gap(const bitsq_journal *journal)
{
    return journal->has_gap;
}

_public_ uint64_t bitsq_journal_get_sequence(const bitsq_journal *journal)
{
    return journal->sequence;
}

_public_ uint64_t bitsq_journal_get_time(const bitsq_journal *journal)
{
    return journal->time;
}

_public_ const char *bitsq_journal_get_type(const bitsq_journal *journal)
{
    return journal->type ? journal->type : "";
}

_public_ uint64_t bitsq_journal_get_id(const bitsq_journal *journal)
{
    return journal->id;
}

_public_ uint64_t bitsq_journal_get_count(const bitsq_journal *journal)
{
    return journal->count;
}

_public_ const char *bitsq_journal_get_name(const bitsq_journal *journal)
{
    return journal->name ? journal->name : "";
}

_public_ uint64_t bitsq_journal_get_next_attempt(const bitsq_journal *journal)
{
    return journal->next_attempt;
}

_public_ const char *bitsq_journal_get_error_name(const bitsq_journal *journal)
{
    return journal->error_name ? journal->error_name : "";
}

_public_ const char *bitsq_journal_get_error_message(const bitsq_journal *journal)
{
    return journal->error_message ? journal->error_message : "";
}
