/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text as people read it, and what keeps foreign bytes from harming it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIZE_TEXT_MAX     24 /* room for text_size() */
#define RATE_TEXT_MAX     24 /* room for text_rate() */
#define DURATION_TEXT_MAX 24 /* room for text_duration() */

/* True for well-formed UTF-8 (RFC 3629) of LENGTH bytes: no overlong forms, surrogates, or code points past U+10FFFF.
 */
bool text_is_utf8(const char *text, size_t length);

/*
 * A copy in which control characters, DEL, a backslash and bytes that are not UTF-8 stand as \n, \t, \\ or \xHH, so
 * that a name with a newline or an escape sequence stays on one line. NULL when memory is refused; the caller frees it.
 */
char *text_escape(const char *text);

/*
 * A copy of URL in which the values of the query stand as an ellipsis and what follows # is left out: presigned
 * links carry a secret there. NULL when memory is refused; the caller frees it.
 */
char *text_redact_url(const char *url);

/* "0 B", "1.4 KiB", "310 MiB": three significant digits at most. Returns BUFFER. */
const char *text_size(uint64_t bytes, char buffer[static SIZE_TEXT_MAX]);

/* "1.9 MB/s", in powers of 1000. */
const char *text_rate(uint64_t rate, char buffer[static RATE_TEXT_MAX]);

/* "12s", "4m", "1h 10m", "3d 4h": the two largest units at most. Returns BUFFER. */
const char *text_duration(uint64_t usec, char buffer[static DURATION_TEXT_MAX]);

/* Standard base64 (RFC 4648, section 4) of LENGTH bytes. NULL when memory is refused; the caller frees it. */
char *text_base64(const void *bytes, size_t length);

/* A terminated copy of LENGTH bytes that need no terminator. NULL when memory is refused; the caller frees it. */
char *text_duplicate(const void *bytes, size_t length);

/* Copies TEXT into a buffer of SIZE bytes, cut at a character's edge where it does not fit. Returns whether it fitted.
 */
bool text_copy(char *buffer, size_t size, const char *text);
