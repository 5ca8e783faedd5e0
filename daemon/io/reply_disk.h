/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls on the files of a reply, as reply.h draws them. All of them may block: on pool threads only. */
#pragma once

#include "io/reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct reply_names {
    char *folder;
    char *name;
    char *draft;    /* in the same folder */
    bool is_chosen; /* by the user; else the folder is STATE/replies, and made when it is needed */
};

/* Pure. -EINVAL: the path names no file, or is not absolute. */
int reply_names_init(struct reply_names *names, const struct reply_place *place);
void reply_names_done(struct reply_names *names);
/* STATE/replies; NULL when memory is refused, the caller frees it. */
char *reply_folder(const char *state_directory);
/* Pure: whether NAME is one that a reply, or the draft of one, has in STATE/replies. */
bool reply_name_parse(const char *name, uint64_t *ret_job_id);

/* As the functions of reply.h. */
int reply_disk_write(const struct reply_names *names, uint64_t offset, const void *buffer, size_t size);
int reply_disk_store(const struct reply_names *names, uint64_t total);
int reply_disk_discard(const struct reply_names *names);
int reply_disk_remove(const struct reply_names *names);
int reply_disk_check(const struct reply_names *names);
int reply_disk_open(const struct reply_names *names, int *ret_fd);
