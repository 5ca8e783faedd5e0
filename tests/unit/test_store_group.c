/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings of groups in the queue: durable, each owner's own, bounded, and no harm where one cannot be read. */
#include "store_fixture.h"

#include "store/group.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct command *group_command(enum command_type type, uid_t owner, const char *name)
{
    struct command *command = command_new(type, 0);

    assert_non_null(command);
    command->caller = owner;
    group_init(&command->group.to, name);
    return command;
}

static int set_active(struct fixture *fixture, uid_t owner, const char *name, uint64_t max_active)
{
    _cleanup_(command_free_p) struct command *command = group_command(COMMAND_GROUP_SET, owner, name);

    command->group.given = GROUP_MAX_ACTIVE;
    command->group.to.max_active = max_active;
    return fixture_run(fixture, command)->result;
}

static int set_paused(struct fixture *fixture, const char *name)
{
    _cleanup_(command_free_p) struct command *command = group_command(COMMAND_GROUP_SET, FIXTURE_OWNER, name);

    command->group.given = GROUP_PAUSED;
    command->group.to.paused = true;
    return fixture_run(fixture, command)->result;
}

static int remove_group(struct fixture *fixture, uid_t owner, const char *name)
{
    _cleanup_(command_free_p) struct command *command = group_command(COMMAND_GROUP_REMOVE, owner, name);

    return fixture_run(fixture, command)->result;
}

static void assert_same(const struct group *a, const struct group *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->max_active, b->max_active);
    assert_int_equal(a->rate_bytes, b->rate_bytes);
    assert_true(policy_equal(&a->policy, &b->policy));
    assert_int_equal(a->paused, b->paused);
}

struct listing {
    char text[1024];
    size_t count, unknown;
    struct group last;
};

static int take_group(uid_t owner, const struct group *group, bool is_known, void *userdata)
{
    struct listing *listing = userdata;
    size_t length = strlen(listing->text);

    listing->count++;
    listing->unknown += !is_known;
    listing->last = *group;
    if (listing->count <= 10)
        (void)snprintf(listing->text + length, sizeof(listing->text) - length, "%u %s %u%s%s\n", (unsigned)owner,
                       group->name, (unsigned)group->max_active, group->paused ? " paused" : "", is_known ? "" : " ?");
    return 0;
}

static struct listing list(struct fixture *fixture)
{
    struct listing listing = {.count = 0};

    assert_int_equal(store_groups(fixture->store, take_group, &listing), 0);
    return listing;
}

static void assert_groups(struct fixture *fixture, const char *expected)
{
    struct listing listing = list(fixture);

    assert_string_equal(listing.text, expected);
}

static void reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

static void what_was_set_is_there_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(command_free_p) struct command *command = group_command(COMMAND_GROUP_SET, FIXTURE_OWNER, "photos");
    const char *reason;

    command->group.given = GROUP_MAX_ACTIVE | GROUP_RATE | GROUP_NETWORK | GROUP_POWER | GROUP_WINDOW | GROUP_PAUSED;
    command->group.to.max_active = 3;
    command->group.to.rate_bytes = GROUP_RATE_MAX;
    command->group.to.policy.network = NETWORK_UNMETERED;
    command->group.to.policy.power = POWER_AC;
    command->group.to.paused = true;
    assert_int_equal(policy_window_set(&command->group.to.policy, "22:00-06:00", &reason), 0);
    assert_int_equal(fixture_run(fixture, command)->result, 0);
    assert_same(&command->group_after, &command->group.to);
    reopen(fixture);
    struct listing listing = list(fixture);
    assert_int_equal(listing.count, 1);
    assert_same(&listing.last, &command->group.to);
}

static void a_change_is_applied_to_the_newest_settings(void **state)
{
    struct fixture *fixture = *state;
    struct command *first = group_command(COMMAND_GROUP_SET, FIXTURE_OWNER, "photos");
    struct command *second = group_command(COMMAND_GROUP_SET, FIXTURE_OWNER, "photos");

    first->group.given = GROUP_MAX_ACTIVE;
    first->group.to.max_active = 5;
    second->group.given = GROUP_PAUSED;
    second->group.to.paused = true;
    store_submit(fixture->store, first);
    store_submit(fixture->store, second);
    for (unsigned i = 0; i < 2; i++) {
        _cleanup_(command_free_p) struct command *done = fixture_take(fixture);
        assert_int_equal(done->result, 0);
    }
    assert_groups(fixture, "1000 photos 5 paused\n");
}

static void each_owner_has_groups_of_its_own(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "photos", 1), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER + 1, "photos", 2), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "photo", 3), 0);
    assert_groups(fixture, "1000 photo 3\n1000 photos 1\n1001 photos 2\n");
    assert_int_equal(remove_group(fixture, FIXTURE_OWNER, "photos"), 0);
    assert_groups(fixture, "1000 photo 3\n1001 photos 2\n");
}

static void removing_what_is_not_there_is_told_but_for_the_default(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(remove_group(fixture, FIXTURE_OWNER, "photos"), -ENOENT);
    assert_int_equal(remove_group(fixture, FIXTURE_OWNER, "default"), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "default", 4), 0);
    assert_groups(fixture, "1000 default 4\n");
    assert_int_equal(remove_group(fixture, FIXTURE_OWNER, "default"), 0);
    assert_groups(fixture, "");
}

static void a_job_keeps_its_group_when_the_settings_go(void **state)
{
    struct fixture *fixture = *state;
    struct job *job = fixture_job(1);
    _cleanup_(job_free_p) struct job *stored = NULL;

    fixture_set(&job->group, "photos");
    uint64_t id = fixture_add(fixture, job);
    assert_int_equal(set_paused(fixture, "photos"), 0);
    assert_int_equal(remove_group(fixture, FIXTURE_OWNER, "photos"), 0);
    assert_int_equal(store_get(fixture->store, id, &stored), 0);
    assert_string_equal(stored->group, "photos");
    assert_int_equal(stored->state, JOB_READY);
}

static void a_setting_out_of_range_changes_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "photos", GROUP_ACTIVE_MAX + 1), -EINVAL);
    assert_groups(fixture, "");
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "photos", GROUP_ACTIVE_MAX), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "photos", GROUP_ACTIVE_MAX + 1), -EINVAL);
    assert_groups(fixture, "1000 photos 64\n");
}

/* Settings as bytes, straight into the table: thousands of commits would take long. */
static void fill(struct fixture *fixture, uid_t owner, unsigned count)
{
    struct lmdb_txn txn;

    lmdb_begin_write(fixture->store->env, &txn);
    for (unsigned i = 0; i < count; i++) {
        _cleanup_free_ void *bytes = NULL;
        struct schema_key key;
        struct group group;
        char name[16];
        size_t size;
        (void)snprintf(name, sizeof(name), "g%u", i);
        group_init(&group, name);
        assert_int_equal(group_encode(owner, &group, &bytes, &size), 0);
        schema_key_group_settings(&key, owner, name);
        lmdb_put(&txn, TABLE_GROUPS_SETTINGS, schema_key_bytes(&key), (struct lmdb_bytes){bytes, size});
    }
    assert_int_equal(lmdb_commit(&txn), 0);
}

static void an_owner_has_a_thousand_groups_at_most(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, FIXTURE_OWNER, GROUPS_MAX_PER_USER - 1);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "last", 1), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "too many", 1), -EUSERS);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "g7", 7), 0); /* what is there can be changed */
    assert_int_equal(set_active(fixture, FIXTURE_OWNER + 1, "theirs", 1), 0);
    assert_int_equal(list(fixture).count, GROUPS_MAX_PER_USER + 1);
    assert_int_equal(remove_group(fixture, FIXTURE_OWNER, "g1"), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "too many", 1), 0);
}

static void all_owners_together_have_a_bound(void **state)
{
    struct fixture *fixture = *state;
    unsigned owners = GROUPS_MAX / GROUPS_MAX_PER_USER;

    for (unsigned i = 0; i < owners; i++)
        fill(fixture, FIXTURE_OWNER + i, i == 0 ? GROUPS_MAX_PER_USER - 1 : GROUPS_MAX_PER_USER);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER + owners, "last", 1), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER + owners, "too many", 1), -EDQUOT);
    assert_int_equal(list(fixture).count, GROUPS_MAX);
}

static void put_bytes(struct fixture *fixture, const char *name, const void *bytes, size_t size)
{
    struct schema_key key;
    struct lmdb_txn txn;

    schema_key_group_settings(&key, FIXTURE_OWNER, name);
    lmdb_begin_write(fixture->store->env, &txn);
    lmdb_put(&txn, TABLE_GROUPS_SETTINGS, schema_key_bytes(&key), (struct lmdb_bytes){bytes, size});
    assert_int_equal(lmdb_commit(&txn), 0);
}

static void settings_that_cannot_be_read_stop_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ void *foreign = NULL;
    struct group other;
    size_t size;

    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "a", 1), 0);
    assert_int_equal(set_active(fixture, FIXTURE_OWNER, "d", 4), 0);
    put_bytes(fixture, "b", "garbage", 7);
    group_init(&other, "other");
    other.max_active = 9;
    assert_int_equal(group_encode(FIXTURE_OWNER, &other, &foreign, &size), 0);
    put_bytes(fixture, "c", foreign, size);
    reopen(fixture);
    assert_groups(fixture, "1000 a 1\n1000 b 0 ?\n1000 c 0 ?\n1000 d 4\n");
    /* Set anew, or removed, they are groups like others. */
    assert_int_equal(set_paused(fixture, "b"), 0);
    assert_int_equal(remove_group(fixture, FIXTURE_OWNER, "c"), 0);
    assert_groups(fixture, "1000 a 1\n1000 b 0 paused\n1000 d 4\n");
}

static void every_damaged_byte_of_a_record_is_noticed(void **state)
{
    _cleanup_free_ uint8_t *bytes = NULL;
    struct group group, decoded;
    size_t size;
    uid_t owner;

    (void)state;
    group_init(&group, "photos");
    group.max_active = 3;
    group.policy.power = 40;
    assert_int_equal(group_encode(7, &group, (void **)&bytes, &size), 0);
    assert_int_equal(group_decode(bytes, size, &owner, &decoded), 0);
    assert_int_equal(owner, 7);
    assert_same(&decoded, &group);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(group_decode(bytes, size, &owner, &decoded), -EBADMSG);
        bytes[i] ^= 0x10;
        assert_int_equal(group_decode(bytes, i, &owner, &decoded), -EBADMSG);
    }
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_open, fixture_teardown)

static const struct CMUnitTest tests[] = {
    OPEN(what_was_set_is_there_after_a_restart),
    OPEN(a_change_is_applied_to_the_newest_settings),
    OPEN(each_owner_has_groups_of_its_own),
    OPEN(removing_what_is_not_there_is_told_but_for_the_default),
    OPEN(a_job_keeps_its_group_when_the_settings_go),
    OPEN(a_setting_out_of_range_changes_nothing),
    OPEN(an_owner_has_a_thousand_groups_at_most),
    OPEN(all_owners_together_have_a_bound),
    OPEN(settings_that_cannot_be_read_stop_nothing_else),
    cmocka_unit_test(every_damaged_byte_of_a_record_is_noticed),
};

UNIT_MAIN(tests);
