/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who calls. On the private socket the kernel said so when the connection was accepted; a sender field in a message
 * there proves nothing. On a message bus the bus is asked.
 *
 * This daemon serves one user: the one that it runs as. Root may act for that user.
 */
#include "bus/internal.h"

#include <dbus/names.h>
#include <errno.h>

static int sender_uid(struct peer *peer, sd_bus_message *message, uid_t *ret)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;

    if (!peer->is_broker) {
        *ret = peer->uid;
        return 0;
    }
    int r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
    if (r < 0)
        return r;
    return sd_bus_creds_get_euid(creds, ret);
}

int auth_caller(struct peer *peer, sd_bus_message *message, uid_t *ret_uid, sd_bus_error *error)
{
    uid_t uid = (uid_t)-1;

    int r = sender_uid(peer, message, &uid);
    if (r < 0 || (uid != geteuid() && uid != 0))
        return sd_bus_error_set(error, BITSQ_ERROR_NOT_PERMITTED,
                                "this daemon serves another user; use your own (bitsq starts it)");
    *ret_uid = geteuid();
    return 0;
}
