/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who calls. On the private socket the kernel said so when the connection was accepted; a sender field in a message
 * there proves nothing. On a message bus the bus is asked, and its answer remembered. Until it comes, the calls of that
 * caller are held, in their order, and the loop goes on with others:
 *
 *   a call of somebody unknown ──▶ held ──▶ the bus answers ──▶ read again, as if it had just come
 *
 * This daemon serves one user: the one that it runs as. Root may act for that user.
 */
#include "bus/internal.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <dbus/names.h>
#include <errno.h>
#include <string.h>

#define BUS_NAME      "org.freedesktop.DBus"
#define BUS_PATH      "/org/freedesktop/DBus"
#define BUS_INTERFACE "org.freedesktop.DBus"

struct held_call {
    TAILQ_ENTRY(held_call) entry;
    sd_bus_message *message;
};

/* A caller of whom the bus was asked; until the last of the calls that waited for that has been read again. */
struct asked_caller {
    LIST_ENTRY(asked_caller) entry;
    struct peer *peer;
    sd_bus_slot *question; /* NULL once it is answered */
    struct known_caller caller;
    TAILQ_HEAD(, held_call) calls;
};

/* ---- those who are known ---- */

static const struct known_caller *find_caller(const struct peer *peer, const char *name)
{
    for (size_t i = 0; i < ELEMENTS(peer->callers); i++)
        if (strcmp(peer->callers[i].name, name) == 0)
            return &peer->callers[i];
    return NULL;
}

static void remember_caller(struct peer *peer, const struct known_caller *caller)
{
    if (find_caller(peer, caller->name))
        return;
    peer->callers[peer->next_caller] = *caller;
    peer->next_caller = (peer->next_caller + 1) % ELEMENTS(peer->callers);
}

/* Only a unique name is one caller for ever, and a bus gives no other. */
static const char *unique_sender(sd_bus_message *message)
{
    const char *sender = sd_bus_message_get_sender(message);

    return sender && sender[0] == ':' && strlen(sender) <= CALLER_NAME_MAX ? sender : NULL;
}

static int sender_uid(const struct peer *peer, sd_bus_message *message, uid_t *ret)
{
    if (!peer->is_broker) {
        *ret = peer->uid;
        return 0;
    }
    const char *sender = unique_sender(message);
    const struct known_caller *known = sender ? find_caller(peer, sender) : NULL;
    if (!known)
        return -EBADMSG;
    *ret = known->uid;
    return 0;
}

static int fail_unknown(int r, sd_bus_error *error)
{
    return sd_bus_error_setf(error, BITSQ_ERROR_NOT_PERMITTED,
                             "the message bus does not say who calls: %s; set its policy right, or use bitsq, which "
                             "needs no bus",
                             strerror(-r));
}

int auth_caller(struct peer *peer, sd_bus_message *message, uid_t *ret_uid, sd_bus_error *error)
{
    uid_t uid = (uid_t)-1;

    int r = sender_uid(peer, message, &uid);
    if (r < 0)
        return fail_unknown(r, error);
    if (uid != geteuid() && uid != 0)
        return sd_bus_error_set(error, BITSQ_ERROR_NOT_PERMITTED,
                                "this daemon serves another user; use your own (bitsq starts it)");
    *ret_uid = geteuid();
    return 0;
}

/* ---- those who are asked for ---- */

/* R is why it is not carried out, for its caller; or 0, where nobody is to be told. */
static void drop_call(struct asked_caller *asked, struct held_call *held, int r)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    if (r < 0) {
        (void)fail_unknown(r, &error);
        (void)sd_bus_reply_method_error(held->message, &error);
    }
    TAILQ_REMOVE(&asked->calls, held, entry);
    asked->peer->held_calls--;
    sd_bus_message_unref(held->message);
    free(held);
}

static void asked_free(struct asked_caller *asked)
{
    while (!TAILQ_EMPTY(&asked->calls))
        drop_call(asked, TAILQ_FIRST(&asked->calls), 0);
    LIST_REMOVE(asked, entry);
    sd_bus_slot_unref(asked->question);
    free(asked);
}

void auth_forget_callers(struct peer *peer)
{
    struct asked_caller *asked;

    while ((asked = LIST_FIRST(&peer->asked)) != NULL)
        asked_free(asked);
    memset(peer->callers, 0, sizeof(peer->callers));
    peer->next_caller = 0;
}

/* Each goes behind what has been read meanwhile, which auth_await_caller() puts behind them in turn. */
static void read_again(struct asked_caller *asked)
{
    struct held_call *held = TAILQ_FIRST(&asked->calls), *next;

    for (; held; held = next) {
        next = TAILQ_NEXT(held, entry);
        if (sd_bus_enqueue_for_read(asked->peer->bus, held->message) < 0)
            drop_call(asked, held, -ENOMEM);
    }
}

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *error)
{
    struct asked_caller *asked = userdata;
    uint32_t uid = 0;

    (void)error;
    asked->question = sd_bus_slot_unref(asked->question);
    int r = -sd_bus_message_get_errno(answer);
    if (r >= 0)
        r = sd_bus_message_read(answer, "u", &uid);
    asked->caller.uid = (uid_t)uid;
    if (r >= 0)
        read_again(asked);
    else
        while (!TAILQ_EMPTY(&asked->calls))
            drop_call(asked, TAILQ_FIRST(&asked->calls), r);
    if (TAILQ_EMPTY(&asked->calls))
        asked_free(asked);
    return 0;
}

/* [D-Bus Specification] "org.freedesktop.DBus.GetConnectionUnixUser" */
static int ask(struct peer *peer, const char *name, struct asked_caller **ret)
{
    struct asked_caller *asked = calloc(1, sizeof(*asked));

    if (!asked)
        return -ENOMEM;
    TAILQ_INIT(&asked->calls);
    asked->peer = peer;
    (void)text_copy(asked->caller.name, sizeof(asked->caller.name), name);
    int r = sd_bus_call_method_async(peer->bus, &asked->question, BUS_NAME, BUS_PATH, BUS_INTERFACE,
                                     "GetConnectionUnixUser", on_answer, asked, "s", name);
    if (r < 0) {
        free(asked);
        return r;
    }
    LIST_INSERT_HEAD(&peer->asked, asked, entry);
    *ret = asked;
    return 0;
}

static int hold(struct asked_caller *asked, sd_bus_message *message)
{
    struct held_call *held = calloc(1, sizeof(*held));
    int r = held ? 0 : -ENOMEM;
    if (r >= 0 && !asked->question) /* the bus has answered, but earlier calls have not been read again yet */
        r = sd_bus_enqueue_for_read(asked->peer->bus, message);
    if (r < 0) {
        free(held);
        return r;
    }
    held->message = sd_bus_message_ref(message);
    TAILQ_INSERT_TAIL(&asked->calls, held, entry);
    asked->peer->held_calls++;
    return 1;
}

static struct asked_caller *find_asked(const struct peer *peer, const char *name)
{
    struct asked_caller *asked;

    LIST_FOREACH(asked, &peer->asked, entry)
    if (strcmp(asked->caller.name, name) == 0)
        return asked;
    return NULL;
}

/* Calls that anybody may make, and that are answered whatever the bus says. */
static bool is_open_to_all(sd_bus_message *message)
{
    return sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Peer", NULL) ||
           sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Introspectable", NULL);
}

int auth_await_caller(struct peer *peer, sd_bus_message *message, sd_bus_error *error)
{
    const char *sender = unique_sender(message);

    if (!peer->is_broker || !sender || !sd_bus_message_is_method_call(message, NULL, NULL) || is_open_to_all(message))
        return 0;
    struct asked_caller *asked = find_asked(peer, sender);
    struct held_call *first = asked && !asked->question ? TAILQ_FIRST(&asked->calls) : NULL;
    if (first && first->message == message) {
        remember_caller(peer, &asked->caller); /* also where others have come since: it is about to be looked for */
        drop_call(asked, first, 0);
        if (TAILQ_EMPTY(&asked->calls))
            asked_free(asked);
        return 0;
    }
    if (!asked && find_caller(peer, sender))
        return 0;
    if (peer->held_calls >= BUS_HELD_MAX)
        return sd_bus_error_set(error, BITSQ_ERROR_LIMIT_REACHED,
                                "too many calls wait for the message bus to say who calls; try again later");
    int r = asked ? 0 : ask(peer, sender, &asked);
    return r < 0 ? r : hold(asked, message);
}
