/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners that free themselves at the end of their scope, and how ownership leaves such a scope. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Hands the pointer over: the variable no longer owns it. */
#define TAKE_PTR(p)                          \
    ({                                       \
        __typeof__(p) *taken_from_ = &(p);   \
        __typeof__(p) taken_ = *taken_from_; \
        *taken_from_ = NULL;                 \
        taken_;                              \
    })

#define TAKE_FD(fd)                \
    ({                             \
        int *taken_from_ = &(fd);  \
        int taken_ = *taken_from_; \
        *taken_from_ = -1;         \
        taken_;                    \
    })

/* Defines function_p() for _cleanup_(), from a function that frees one object and accepts NULL. */
#define DEFINE_CLEANUP(type, function)       \
    static inline void function##_p(type *p) \
    {                                        \
        if (*p != NULL)                      \
            (void)function(*p);              \
    }                                        \
    struct base_cleanup_swallow_semicolon

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static inline void free_p(void *p)
{
    free(*(void **)p);
}

static inline void close_p(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* Overwrites a text before it frees it; NULL is none. */
static inline void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

#define _cleanup_free_  _cleanup_(free_p)
#define _cleanup_close_ _cleanup_(close_p)
