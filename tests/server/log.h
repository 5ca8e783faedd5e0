/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One JSON object a line for each request, written with a single write() before its answer leaves (README.md). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct log;

struct log_entry {
    uint64_t n;
    uint64_t connection;
    uint64_t time_usec;
    uint64_t end_usec;
    const char *method;
    const char *target;
    const char *headers; /* ready JSON */
    const char *packet;
    const char *session;
    uint64_t body_received;
    unsigned status;   /* 0: there was no answer */
    const char *next;  /* as sent, or NULL */
    const char *fault; /* or NULL */
    bool completed;
};

/* PATH "-" is standard error. NULL gives a log that drops everything. */
int log_open(const char *path, struct log **ret);
struct log *log_close(struct log *log);

/* False if nothing is kept: the caller can save itself the work of collecting. */
bool log_wanted(const struct log *log);

void log_write(struct log *log, const struct log_entry *entry);

/* TEXT as a JSON string. Valid UTF-8 passes; any other byte becomes \udcXX, which Python decodes losslessly. */
void log_string(FILE *out, const char *text);
