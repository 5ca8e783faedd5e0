/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The packets of the upload protocol, in the three moments of a request: its head, pieces of its body, its end.
 *
 * A step that refuses sets the request's answer; the body is then read and dropped, and the answer goes out at the end.
 */
#pragma once

#include <stddef.h>

struct request;

void bits_begin(struct request *request);
void bits_body(struct request *request, const char *data, size_t length);
void bits_end(struct request *request);
