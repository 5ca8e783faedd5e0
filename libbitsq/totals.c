/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <string.h>

struct bitsq_totals {
    uint64_t since, done, failed, cancelled, uploaded, resent;
};

DEFINE_CLEANUP(bitsq_totals *, bitsq_totals_free);

_public_ bitsq_totals *bitsq_totals_free(bitsq_totals *totals)
{
    free(totals);
    return NULL;
}

static int read_totals(sd_bus_message *m, bitsq_totals *totals)
{
    const struct {
        const char *name;
        uint64_t *place;
    } known[] = {
        {"since", &totals->since},         {"done", &totals->done},         {"failed", &totals->failed},
        {"cancelled", &totals->cancelled}, {"uploaded", &totals->uploaded}, {"resent", &totals->resent},
    };
    const char *name;
    uint64_t value;

    int r = sd_bus_message_enter_container(m, 'a', "{st}");
    while (r >= 0 && (r = sd_bus_message_read(m, "{st}", &name, &value)) > 0)
        for (size_t i = 0; i < ELEMENTS(known); i++)
            if (strcmp(name, known[i].name) == 0)
                *known[i].place = value;
    return r;
}

_public_ int bitsq_client_get_totals(bitsq_client *client, bitsq_totals **ret_totals)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(bitsq_totals_free_p) bitsq_totals *totals = calloc(1, sizeof(*totals));

    if (!totals)
        return client_fail_memory(client);
    int r = client_manager_call(client, MANAGER_GET_TOTALS, &call);
    if (r < 0 || (r = client_call(client, call, &reply)) < 0 ||
        (r = client_check_reply(client, read_totals(reply, totals))) < 0)
        return r;
    *ret_totals = TAKE_PTR(totals);
    return 0;
}

_public_ uint64_t bitsq_totals_get_since(const bitsq_totals *totals)
{
    return totals->since;
}

_public_ uint64_t bitsq_totals_get_done(const bitsq_totals *totals)
{
    return totals->done;
}

_public_ uint64_t bitsq_totals_get_failed(const bitsq_totals *totals)
{
    return totals->failed;
}

_public_ uint64_t bitsq_totals_get_cancelled(const bitsq_totals *totals)
{
    return totals->cancelled;
}

_public_ uint64_t bitsq_totals_get_uploaded(const bitsq_totals *totals)
{
    return totals->uploaded;
}

_public_ uint64_t bitsq_totals_get_resent(const bitsq_totals *totals)
{
    return totals->resent;
}
