/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libcurl behind transfer_ops, driven by sd-event without a blocking call. */
#pragma once

#include "core/transfer.h"

#include "base/cleanup.h"

#include <systemd/sd-event.h>

struct net;

struct net_options {
    uint64_t keep_alive_usec; /* an idle connection older than this is not used again; below the servers' own limit */
    const char *user_agent;   /* NULL = "bitsq/VERSION" */
};

int net_new(sd_event *event, const struct net_options *options, struct net **ret);
struct net *net_free(struct net *net);
DEFINE_CLEANUP(struct net *, net_free);

/* Pass the net itself as `transport` to each of them. */
extern const struct transfer_ops net_transfer_ops;
