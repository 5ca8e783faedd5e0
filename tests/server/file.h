/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain HTTP beside BITS: PUT of a whole file, GET and HEAD of what was published. The moments are those of bits.h. */
#pragma once

#include <stddef.h>

struct request;

void file_begin(struct request *request);
void file_body(struct request *request, const char *data, size_t length);
void file_end(struct request *request);

/* Removes what a PUT that did not end well has left. */
void file_done(struct request *request);
