/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every test program of this tree begins with: cmocka with the headers that it wants before it, and main().
 *
 *     static void a_gate_that_opens_starts_the_job(void **state) { ... }
 *     static const struct CMUnitTest tests[] = {
 *         cmocka_unit_test(a_gate_that_opens_starts_the_job),
 *     };
 *     UNIT_MAIN(tests)
 *
 * BITSQ_TEST=name in the environment runs only that test ('*' and '?' match as in a shell).
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define UNIT_MAIN(tests)                                    \
    int main(void)                                          \
    {                                                       \
        cmocka_set_test_filter(getenv("BITSQ_TEST"));       \
        return cmocka_run_group_tests((tests), NULL, NULL); \
    }                                                       \
    struct unit_main_swallow_semicolon
