/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who calls. On the private socket the kernel said so when the connection was accepted; a sender field in a message
 * there proves nothing. On a message bus the bus is asked, and its answer remembered: the loop waits for it.
 *
 * This daemon serves one user: the one that it runs as. Root may act for that user.
 */
#include "bus/internal.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <dbus/names.h>
#include <errno.h>
#include <string.h>

void auth_forget_callers(struct peer *peer)
{
    memset(peer->callers, 0, sizeof(peer->callers));
    peer->next_caller = 0;
}

static const struct known_caller *find_caller(const struct peer *peer, const char *name)
{
    for (size_t i = 0; i < ELEMENTS(peer->callers); i++)
        if (strcmp(peer->callers[i].name, name) == 0)
            return &peer->callers[i];
    return NULL;
}

static void remember_caller(struct peer *peer, const char *name, uid_t uid)
{
    struct known_caller *caller = &peer->callers[peer->next_caller];

    if (strlen(name) > CALLER_NAME_MAX)
        return;
    (void)text_copy(caller->name, sizeof(caller->name), name);
    caller->uid = uid;
    peer->next_caller = (peer->next_caller + 1) % ELEMENTS(peer->callers);
}

static int sender_uid(struct peer *peer, sd_bus_message *message, uid_t *ret)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
    const struct known_caller *known;

    if (!peer->is_broker) {
        *ret = peer->uid;
        return 0;
    }
    const char *sender = sd_bus_message_get_sender(message);
    if (!sender || sender[0] != ':') /* only a unique name is one caller for ever, and a bus gives no other */
        return -EBADMSG;
    if ((known = find_caller(peer, sender)) != NULL) {
        *ret = known->uid;
        return 0;
    }
    int r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
    if (r >= 0)
        r = sd_bus_creds_get_euid(creds, ret);
    if (r >= 0)
        remember_caller(peer, sender, *ret);
    return r;
}

int auth_caller(struct peer *peer, sd_bus_message *message, uid_t *ret_uid, sd_bus_error *error)
{
    uid_t uid = (uid_t)-1;

    int r = sender_uid(peer, message, &uid);
    if (r < 0)
        return sd_bus_error_setf(
            error, BITSQ_ERROR_NOT_PERMITTED,
            "the message bus does not say who calls: %s; set its policy right, or use bitsq, which "
            "needs no bus",
            strerror(-r));
    if (uid != geteuid() && uid != 0)
        return sd_bus_error_set(error, BITSQ_ERROR_NOT_PERMITTED,
                                "this daemon serves another user; use your own (bitsq starts it)");
    *ret_uid = geteuid();
    return 0;
}
