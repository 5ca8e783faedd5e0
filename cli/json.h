/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON answers: numbers as numbers, bytes as integers, times as RFC 3339 in UTC, absent values as null. */
#pragma once

#include <bitsq/bitsq.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* An object that begins with its schema; NULL: none. */
struct json_object *json_start(const char *schema);

void json_set_number(struct json_object *object, const char *name, uint64_t value);
void json_set_boolean(struct json_object *object, const char *name, bool value);

/* Text that is not UTF-8 is escaped, and stands in NAME_bytes as it is, in base64. */
void json_set_text(struct json_object *object, const char *name, const char *text);

/* Microseconds since 1970; 0 becomes null. */
void json_set_time(struct json_object *object, const char *name, uint64_t usec);

/* The options that are set, under their keys. */
void json_set_options(struct json_object *object, const char *name, const bitsq_job_options *options);

/* All that is known of a job. SCHEMA may be NULL for one within an array. */
struct json_object *json_job(const char *schema, const bitsq_job *job);

/* Text of OBJECT on one line; it belongs to the object. */
const char *json_text(struct json_object *object);

/* Prints OBJECT as one line and frees it. */
void json_print(struct json_object *object);
