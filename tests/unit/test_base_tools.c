/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32C, times, and the mailbox between threads. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/mailbox.h"
#include "base/moment.h"

#include "support/unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static void check_vectors(uint32_t (*crc)(const void *bytes, size_t length))
{
    unsigned char bytes[32];

    assert_int_equal(crc("123456789", 9), 0xe3069283);
    assert_int_equal(crc("", 0), 0);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(crc(bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc(bytes, sizeof(bytes)), 0x62a8ab43);
    for (unsigned char i = 0; i < sizeof(bytes); i++)
        bytes[i] = i;
    assert_int_equal(crc(bytes, sizeof(bytes)), 0x46dd794e);
}

static void crc32c_is_that_of_rfc_3720(void **state)
{
    (void)state;
    check_vectors(crc32c);
    check_vectors(crc32c_portable);
}

/* A queue moves with its disk from one machine to another. */
static void crc32c_is_the_same_with_and_without_an_instruction(void **state)
{
    unsigned char bytes[64];

    (void)state;
    for (unsigned char i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t from = 0; from < 8; from++)
        for (size_t length = 0; from + length <= sizeof(bytes); length++)
            assert_int_equal(crc32c(bytes + from, length), crc32c_portable(bytes + from, length));
}

static void times_are_added_and_subtracted_without_wrapping(void **state)
{
    (void)state;
    assert_int_equal(usec_add(1, 2), 3);
    assert_int_equal(usec_add(USEC_INFINITY - 1, 1), USEC_INFINITY);
    assert_int_equal(usec_add(USEC_INFINITY - 1, 2), USEC_INFINITY);
    assert_int_equal(usec_add(USEC_INFINITY, 0), USEC_INFINITY);
    assert_int_equal(usec_sub(3, 2), 1);
    assert_int_equal(usec_sub(2, 3), 0);
}

struct letter {
    struct message message; /* first */
    unsigned sender;
    unsigned number;
};

static bool is_readable(const struct mailbox *mailbox)
{
    struct pollfd poll_fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

static void a_mailbox_is_readable_while_messages_wait(void **state)
{
    struct mailbox *mailbox = NULL;
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct letter letters[2] = {0};

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    assert_false(is_readable(mailbox));
    mailbox_post(mailbox, &letters[0].message);
    mailbox_post(mailbox, &letters[1].message);
    assert_true(is_readable(mailbox));
    mailbox_take_all(mailbox, &list);
    assert_false(is_readable(mailbox));
    assert_ptr_equal(TAILQ_FIRST(&list), &letters[0]);
    assert_ptr_equal(TAILQ_LAST(&list, message_list), &letters[1]);
    mailbox_take_all(mailbox, &list); /* nothing more, and no blocking */
    assert_null(mailbox_free(mailbox));
    assert_null(mailbox_free(NULL));
}

static void messages_that_are_posted_together_come_in_their_order(void **state)
{
    struct mailbox *mailbox = NULL;
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct letter letters[3] = {0};

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    mailbox_post_all(mailbox, &list);
    assert_false(is_readable(mailbox));
    mailbox_post(mailbox, &letters[0].message);
    TAILQ_INSERT_TAIL(&list, &letters[1].message, entry);
    TAILQ_INSERT_TAIL(&list, &letters[2].message, entry);
    mailbox_post_all(mailbox, &list);
    assert_true(TAILQ_EMPTY(&list));
    assert_true(is_readable(mailbox));
    mailbox_take_all(mailbox, &list);
    assert_ptr_equal(TAILQ_FIRST(&list), &letters[0]);
    assert_ptr_equal(TAILQ_NEXT(&letters[0].message, entry), &letters[1]);
    assert_ptr_equal(TAILQ_LAST(&list, message_list), &letters[2]);
    mailbox_free(mailbox);
}

static void a_message_can_be_taken_back(void **state)
{
    struct mailbox *mailbox = NULL;
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct letter letters[2] = {0};

    (void)state;
    assert_int_equal(mailbox_new(&mailbox), 0);
    mailbox_post(mailbox, &letters[0].message);
    mailbox_post(mailbox, &letters[1].message);
    mailbox_withdraw(mailbox, &letters[0].message);
    mailbox_withdraw(mailbox, &letters[0].message);
    mailbox_take_all(mailbox, &list);
    assert_ptr_equal(TAILQ_FIRST(&list), &letters[1]);
    assert_null(TAILQ_NEXT(&letters[1].message, entry));
    mailbox_free(mailbox);
}

#define SENDERS 4
#define LETTERS 1000

struct sender {
    struct mailbox *mailbox;
    unsigned number;
    struct letter letters[LETTERS];
};

static void *send_letters(void *userdata)
{
    struct sender *sender = userdata;

    for (unsigned i = 0; i < LETTERS; i++) {
        sender->letters[i] = (struct letter){.sender = sender->number, .number = i};
        mailbox_post(sender->mailbox, &sender->letters[i].message);
    }
    return NULL;
}

/* Checks that each sender's letters come in order, and returns how many came. */
static unsigned read_letters(struct message_list *list, unsigned next[static SENDERS])
{
    unsigned count = 0;
    const struct message *message;

    TAILQ_FOREACH (message, list, entry) {
        const struct letter *letter = (const struct letter *)message;
        assert_int_equal(letter->number, next[letter->sender]);
        next[letter->sender]++;
        count++;
    }
    TAILQ_INIT(list);
    return count;
}

static void no_message_of_many_threads_is_lost_or_overtaken(void **state)
{
    _cleanup_free_ struct sender *senders = calloc(SENDERS, sizeof(*senders));
    struct mailbox *mailbox = NULL;
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    pthread_t threads[SENDERS];
    unsigned next[SENDERS] = {0}, count = 0;

    (void)state;
    assert_non_null(senders);
    assert_int_equal(mailbox_new(&mailbox), 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i].mailbox = mailbox;
        senders[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &senders[i]), 0);
    }
    while (count < SENDERS * LETTERS) {
        struct pollfd poll_fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 60000), 1); /* a bound against hanging */
        mailbox_take_all(mailbox, &list);
        count += read_letters(&list, next);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        (void)pthread_join(threads[i], NULL);
    mailbox_free(mailbox);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(crc32c_is_that_of_rfc_3720),
    cmocka_unit_test(crc32c_is_the_same_with_and_without_an_instruction),
    cmocka_unit_test(times_are_added_and_subtracted_without_wrapping),
    cmocka_unit_test(a_mailbox_is_readable_while_messages_wait),
    cmocka_unit_test(messages_that_are_posted_together_come_in_their_order),
    cmocka_unit_test(a_message_can_be_taken_back),
    cmocka_unit_test(no_message_of_many_threads_is_lost_or_overtaken),
};
UNIT_MAIN(tests);
