/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>

_public_ int bitsq_client_open_reply(bitsq_client *client, uint64_t id, int *ret_fd)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;
    int fd;

    int r = client_job_call(client, id, JOB_OPEN_REPLY, &call);
    if (r < 0 || (r = client_call(client, call, &reply)) < 0 ||
        (r = client_check_reply(client, sd_bus_message_read(reply, "h", &fd))) < 0)
        return r;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the message closes its own */
    if (fd < 0)
        return client_fail(client, -errno, "Failed", "too many files are open; close some and try again");
    *ret_fd = fd;
    return 0;
}
