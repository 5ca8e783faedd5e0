/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What administrators read: the journal, with fields, where standard error is connected to it; else lines on standard
 * error. Never credentials, never the query of a URL, never file content.
 */
#pragma once

#include <stdint.h>
#include <syslog.h>

/* One id a kind of message, so that `journalctl MESSAGE_ID=...` finds them all. */
#define MESSAGE_DAEMON_STARTED "0b1a2f6c55a94f2c8a8f6ff3a3d0c101"
#define MESSAGE_JOB_STARTED    "0b1a2f6c55a94f2c8a8f6ff3a3d0c102"
#define MESSAGE_JOB_DONE       "0b1a2f6c55a94f2c8a8f6ff3a3d0c103"
#define MESSAGE_JOB_FAILED     "0b1a2f6c55a94f2c8a8f6ff3a3d0c104"
#define MESSAGE_JOB_RETRYING   "0b1a2f6c55a94f2c8a8f6ff3a3d0c105"
#define MESSAGE_JOB_CANCELLED  "0b1a2f6c55a94f2c8a8f6ff3a3d0c106"
#define MESSAGE_DEGRADED       "0b1a2f6c55a94f2c8a8f6ff3a3d0c107"
#define MESSAGE_CONFIGURATION  "0b1a2f6c55a94f2c8a8f6ff3a3d0c108"
#define MESSAGE_JOB_HOST       "0b1a2f6c55a94f2c8a8f6ff3a3d0c10a"
#define MESSAGE_BUS            "0b1a2f6c55a94f2c8a8f6ff3a3d0c109"
#define MESSAGE_COMPACTED      "0b1a2f6c55a94f2c8a8f6ff3a3d0c10c"
#define MESSAGE_WORLD          "0b1a2f6c55a94f2c8a8f6ff3a3d0c10e"
#define MESSAGE_SLEEP          "0b1a2f6c55a94f2c8a8f6ff3a3d0c10d"
#define MESSAGE_LIMIT          "0b1a2f6c55a94f2c8a8f6ff3a3d0c10f"
#define MESSAGE_HOOK           "0b1a2f6c55a94f2c8a8f6ff3a3d0c110"
#define MESSAGE_JOBS_REMOVED   "0b1a2f6c55a94f2c8a8f6ff3a3d0c10b"

/* Decides where lines go. PATH: also keep them in this file, which is bounded: at LOG_FILE_BYTES it becomes PATH.1.
 * NULL: none. */
int log_open(const char *path);

/* PRIORITY as syslog(3); JOB 0 = about no job. */
void log_message(int priority, const char *message_id, uint64_t job, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
