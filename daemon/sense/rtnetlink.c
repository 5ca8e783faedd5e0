/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/rtnetlink.h"

#include "base/moment.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>

/* A bound against hanging, not an expectation. */
#define ANSWER_USEC (500 * USEC_PER_MSEC)

int rtnetlink_open(struct rtnetlink *rtnetlink)
{
    const struct timeval bound = {.tv_usec = ANSWER_USEC};

    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!socket)
        return -errno;
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
        setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)) < 0) {
        int r = -errno;
        (void)mnl_socket_close(socket);
        return r;
    }
    *rtnetlink = (struct rtnetlink){.socket = socket};
    return 0;
}

void rtnetlink_close(struct rtnetlink *rtnetlink)
{
    if (rtnetlink->socket)
        (void)mnl_socket_close(rtnetlink->socket);
    rtnetlink->socket = NULL;
}

struct answer {
    const struct nlmsghdr *question;
    void (*each)(void *userdata, const struct nlmsghdr *message);
    void *userdata;
    bool is_torn; /* the list changed while the kernel wrote it */
    bool is_whole;
    int error;
};

static int error_of(const struct nlmsghdr *message)
{
    const int *error = mnl_nlmsg_get_payload(message);

    return mnl_nlmsg_get_payload_len(message) >= sizeof(*error) ? *error : 0;
}

/* A message of an older question that was given up is passed by. */
static void take_message(struct answer *answer, const struct nlmsghdr *message)
{
    if (answer->is_whole || message->nlmsg_seq != answer->question->nlmsg_seq)
        return;
    answer->is_torn |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
        answer->error = error_of(message);
        answer->is_whole = true;
        return;
    }
    answer->each(answer->userdata, message);
    answer->is_whole = !(answer->question->nlmsg_flags & NLM_F_DUMP);
}

static int take_answer(struct rtnetlink *rtnetlink, struct answer *answer)
{
    _Alignas(struct nlmsghdr) char buffer[RTNETLINK_BYTES];

    while (!answer->is_whole) {
        ssize_t received = mnl_socket_recvfrom(rtnetlink->socket, buffer, sizeof(buffer));
        if (received < 0 && errno == EINTR)
            continue;
        if (received <= 0)
            return -EIO;
        int left = (int)received;
        for (const struct nlmsghdr *m = (const void *)buffer; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
            take_message(answer, m);
    }
    if (answer->error != 0)
        return answer->error;
    return answer->is_torn ? -EINTR : 0;
}

int rtnetlink_ask(struct rtnetlink *rtnetlink, struct nlmsghdr *question, uint16_t flags,
                  void (*each)(void *userdata, const struct nlmsghdr *message), void *userdata)
{
    struct answer answer = {.question = question, .each = each, .userdata = userdata};

    question->nlmsg_flags = NLM_F_REQUEST | flags;
    question->nlmsg_seq = ++rtnetlink->sequence;
    if (mnl_socket_sendto(rtnetlink->socket, question, question->nlmsg_len) < 0)
        return -EIO;
    return take_answer(rtnetlink, &answer);
}

int rtnetlink_list(struct rtnetlink *rtnetlink, uint16_t type, uint8_t family,
                   void (*each)(void *userdata, const struct nlmsghdr *message), void *userdata)
{
    _Alignas(struct nlmsghdr) char buffer[MNL_ALIGN(sizeof(struct nlmsghdr)) + MNL_ALIGN(sizeof(struct ifinfomsg))];
    struct nlmsghdr *question = mnl_nlmsg_put_header(buffer);
    struct ifinfomsg *about = mnl_nlmsg_put_extra_header(question, sizeof(*about)); /* the longest of its kind */

    question->nlmsg_type = type;
    about->ifi_family = family;
    return rtnetlink_ask(rtnetlink, question, NLM_F_DUMP, each, userdata);
}
