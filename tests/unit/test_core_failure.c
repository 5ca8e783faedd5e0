/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/failure.h"
#include "support/unit.h"

#include <string.h>

static void codes_have_the_names_of_the_windows_headers(void **state)
{
    static const struct {
        uint32_t code;
        const char *name;
    } table[] = {
        {0x8020001F, "BG_E_SESSION_NOT_FOUND"}, {0x8020001D, "BG_E_LOCAL_FILE_CHANGED"},
        {0x80200024, "BG_E_NO_PROGRESS"},       {0x80070005, "E_ACCESSDENIED"},
        {0x80072EFD, "ERROR_CANNOT_CONNECT"},   {0x80190193, "BG_E_HTTP_ERROR_403"},
        {0x80190064, "BG_E_HTTP_ERROR_100"},    {0x801901F7, "BG_E_HTTP_ERROR_503"},
    };
    char name[FAILURE_NAME_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        failure_name_code(table[i].code, name);
        assert_string_equal(name, table[i].name);
    }
}

static void a_vendors_code_passes_through_as_a_number(void **state)
{
    char name[FAILURE_NAME_MAX];

    (void)state;
    failure_name_code(0xA0AB0001, name);
    assert_string_equal(name, "0xA0AB0001");
    failure_name_code(0, name);
    assert_string_equal(name, "0x00000000");
    failure_name_code(HR_HTTP_STATUS(99), name);
    assert_string_equal(name, "0x80190063");
}

static void every_phase_and_context_has_words(void **state)
{
    (void)state;
    assert_string_equal(failure_phase_text(PHASE_NONE), "");
    for (int phase = PHASE_PING; phase <= PHASE_STORE_REPLY; phase++)
        assert_true(strlen(failure_phase_text((enum failure_phase)phase)) > 0);
    assert_string_equal(failure_context_text(CONTEXT_NONE), "");
    for (int context = CONTEXT_UNKNOWN; context <= CONTEXT_REMOTE_APPLICATION; context++)
        assert_true(strlen(failure_context_text((enum failure_context)context)) > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(codes_have_the_names_of_the_windows_headers),
    cmocka_unit_test(a_vendors_code_passes_through_as_a_number),
    cmocka_unit_test(every_phase_and_context_has_words),
};
UNIT_MAIN(tests);
