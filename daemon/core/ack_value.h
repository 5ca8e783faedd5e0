/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The value of one header of a response, and who reads which: the parts of core/ack among themselves. */
#pragma once

#include "core/exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct value {
    const char *text; /* not terminated; no control characters but tabs, no blanks at its ends */
    size_t length;
};

bool value_is_blank(char c);

/* In any case. */
bool value_is(struct value value, const char *text);

/* A copy for people to read: cut where it does not fit, '?' for what is not ASCII. */
void value_copy_printable(struct value value, char *to, size_t size);

/* A copy that is used: whole or not at all. */
bool value_copy_whole(struct value value, char *to, size_t size);

/* Digits from *at on; moves *at behind them. */
bool value_read_number(struct value value, size_t *at, uint64_t *ret);

/* ack_http.c: what plain HTTP says, of a reply above all. */
void ack_read_challenges(struct ack *ack, struct value value);
void ack_read_content_range(struct ack *ack, struct value value);
void ack_read_content_length(struct ack *ack, struct value value);
void ack_read_transfer_encoding(struct ack *ack, struct value value);
void ack_read_etag(struct ack *ack, struct value value);
void ack_read_last_modified(struct ack *ack, struct value value);
