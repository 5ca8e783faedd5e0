/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/mailbox.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

struct mailbox {
    pthread_mutex_t lock;
    struct message_list waiting;
    int fd;
};

int mailbox_new(struct mailbox **ret)
{
    _cleanup_free_ struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

    if (!mailbox)
        return -ENOMEM;
    mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mailbox->fd < 0)
        return -errno;
    TAILQ_INIT(&mailbox->waiting);
    (void)pthread_mutex_init(&mailbox->lock, NULL);
    *ret = TAKE_PTR(mailbox);
    return 0;
}

struct mailbox *mailbox_free(struct mailbox *mailbox)
{
    if (!mailbox)
        return NULL;
    assert(TAILQ_EMPTY(&mailbox->waiting));
    (void)close(mailbox->fd);
    (void)pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
    return NULL;
}

int mailbox_fd(const struct mailbox *mailbox)
{
    return mailbox->fd;
}

void mailbox_post(struct mailbox *mailbox, struct message *message)
{
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);

    TAILQ_INSERT_TAIL(&list, message, entry);
    mailbox_post_all(mailbox, &list);
}

void mailbox_post_all(struct mailbox *mailbox, struct message_list *list)
{
    static const uint64_t one = 1;

    if (TAILQ_EMPTY(list))
        return;
    (void)pthread_mutex_lock(&mailbox->lock);
    bool was_empty = TAILQ_EMPTY(&mailbox->waiting);
    TAILQ_CONCAT(&mailbox->waiting, list, entry);
    /* Under the lock, so that the reader cannot quieten the descriptor between the insertion and the wake-up. */
    if (was_empty) {
        ssize_t n = write(mailbox->fd, &one, sizeof(one));
        assert(n == sizeof(one));
    }
    (void)pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_withdraw(struct mailbox *mailbox, struct message *message)
{
    struct message *waiting;

    (void)pthread_mutex_lock(&mailbox->lock);
    TAILQ_FOREACH (waiting, &mailbox->waiting, entry) {
        if (waiting == message) {
            TAILQ_REMOVE(&mailbox->waiting, message, entry);
            break;
        }
    }
    (void)pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_take_all(struct mailbox *mailbox, struct message_list *list)
{
    uint64_t count;

    (void)pthread_mutex_lock(&mailbox->lock);
    TAILQ_CONCAT(list, &mailbox->waiting, entry);
    ssize_t n = read(mailbox->fd, &count, sizeof(count));
    assert(n == sizeof(count) || (n < 0 && errno == EAGAIN));
    (void)pthread_mutex_unlock(&mailbox->lock);
}
