/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/args.h"

#include <string.h>

#define WORD_MAX 32 /* longer words are never near: no option is as long */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

unsigned word_distance(const char *a, const char *b, unsigned limit)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    if (a_length > WORD_MAX || b_length > WORD_MAX)
        return limit + 1;
    for (size_t j = 0; j <= b_length; j++)
        last[j] = before[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        unsigned *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b_length] > limit ? limit + 1 : last[b_length];
}

bool word_is_near(const char *word, const char *guess)
{
    size_t length = strlen(word);
    unsigned limit = length <= 5 ? 1 : 2;

    if (length >= 3 && (strncmp(guess, word, length) == 0 || strncmp(word, guess, strlen(guess)) == 0))
        return true;
    return word_distance(word, guess, limit) <= limit;
}
