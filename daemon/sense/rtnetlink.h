/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Questions to the kernel about links, addresses and routes. It answers one while the question is being sent, and a
 * list while it is being read: no question waits for anybody but the kernel.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdint.h>

#define RTNETLINK_BYTES (32 * 1024) /* the largest piece in which the kernel sends a list */

struct rtnetlink {
    struct mnl_socket *socket;
    uint32_t sequence;
};

int rtnetlink_open(struct rtnetlink *rtnetlink);
void rtnetlink_close(struct rtnetlink *rtnetlink);

/*
 * QUESTION's flags and number are set here; with NLM_F_DUMP its answer is a list. EACH gets the messages of the answer.
 * Returns 0, the errno that the kernel answers with, -EINTR for a list that changed while it was read, or -EIO where
 * there is no answer.
 */
int rtnetlink_ask(struct rtnetlink *rtnetlink, struct nlmsghdr *question, uint16_t flags,
                  void (*each)(void *userdata, const struct nlmsghdr *message), void *userdata);

/* As rtnetlink_ask(), for the list of TYPE (RTM_GETLINK, ...) of FAMILY. */
int rtnetlink_list(struct rtnetlink *rtnetlink, uint16_t type, uint8_t family,
                   void (*each)(void *userdata, const struct nlmsghdr *message), void *userdata);
