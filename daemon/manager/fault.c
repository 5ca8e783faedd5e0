/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a request was refused, in a sentence. */
#include "manager/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int manager_fault_set(struct manager_error *error, enum manager_fault fault, int result, const char *format, ...)
{
    va_list arguments;

    error->fault = fault;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return result;
}

int manager_fault_stopping(struct manager_error *error)
{
    return manager_fault_set(error, FAULT_DEGRADED, -ESHUTDOWN,
                             "the daemon is ending; run the command again to start it anew");
}

void manager_write_fault(struct manager *manager, int result, struct manager_error *ret)
{
    (void)manager_fault_set(ret, FAULT_DEGRADED, 0, "the queue in %s cannot be written: %s; %s, and try again",
                            manager->state_directory, strerror(-result), manager_write_remedy(result));
}
