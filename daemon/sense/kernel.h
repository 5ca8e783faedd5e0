/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel tells of links, addresses, routes and rules.
 *
 *   group messages ──▶ links (a table), changed()       questions ──▶ routes (asked each time)
 *        └─ ENOBUFS: some were lost ──▶ the rest is read away, the table is listed anew
 */
#pragma once

#include "sense/routes.h"

#include "base/cleanup.h"

#include <systemd/sd-event.h>

struct kernel;

/* CHANGED runs on the loop, once or more for each difference. */
int kernel_new(sd_event *event, void (*changed)(void *userdata), void *userdata, struct kernel **ret);
struct kernel *kernel_free(struct kernel *kernel);
DEFINE_CLEANUP(struct kernel *, kernel_free);

const struct links *kernel_links(const struct kernel *kernel);

/* As routes_lookup(). */
int kernel_lookup(struct kernel *kernel, const struct address *address, struct route *ret);

/* As routes_way_out(), which is asked again only once something is different. */
int kernel_way_out(struct kernel *kernel, uint32_t *ret_index);
