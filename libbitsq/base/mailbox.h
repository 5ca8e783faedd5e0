/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A queue of messages from any thread to one reader, with a descriptor that an event loop can wait for.
 *
 *   worker threads, writer ──post──▶ [ mailbox ] ──readable fd──▶ loop ──take_all──▶ handles each
 *
 * Messages are intrusive: embed struct message first in the value that travels. Posting never blocks on the reader
 * and never fails; the order of posts is kept.
 */
#pragma once

#include <sys/queue.h>

struct mailbox;

struct message {
    TAILQ_ENTRY(message) entry;
};

TAILQ_HEAD(message_list, message);

int mailbox_new(struct mailbox **ret);
struct mailbox *mailbox_free(struct mailbox *mailbox); /* undelivered messages are the caller's to take first */

/* Readable while messages wait. */
int mailbox_fd(const struct mailbox *mailbox);

void mailbox_post(struct mailbox *mailbox, struct message *message);

/* All of LIST, which is empty afterwards: the reader is woken once. */
void mailbox_post_all(struct mailbox *mailbox, struct message_list *list);

/* Takes MESSAGE back, if it still waits: its sender goes away. */
void mailbox_withdraw(struct mailbox *mailbox, struct message *message);

/* Moves all that waits to the end of LIST and makes the descriptor quiet again. */
void mailbox_take_all(struct mailbox *mailbox, struct message_list *list);
