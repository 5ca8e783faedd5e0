/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/internal.h"

#include <dbus/names.h>
#include <errno.h>

const char *error_name(enum manager_fault fault)
{
    switch (fault) {
    case FAULT_NO_SUCH_JOB:
        return BITSQ_ERROR_NO_SUCH_JOB;
    case FAULT_INVALID_ARGUMENT:
        return BITSQ_ERROR_INVALID_ARGUMENT;
    case FAULT_INVALID_STATE:
        return BITSQ_ERROR_INVALID_STATE;
    case FAULT_LIMIT_REACHED:
        return BITSQ_ERROR_LIMIT_REACHED;
    case FAULT_SOURCE_UNREADABLE:
        return BITSQ_ERROR_SOURCE_UNREADABLE;
    case FAULT_ALREADY_EXISTS:
        return BITSQ_ERROR_ALREADY_EXISTS;
    case FAULT_DEGRADED:
        return BITSQ_ERROR_DEGRADED;
    case FAULT_NO_MEMORY:
    case FAULT_NONE:
        return SD_BUS_ERROR_NO_MEMORY;
    }
    return SD_BUS_ERROR_FAILED;
}

int error_set(sd_bus_error *error, const struct manager_error *fault)
{
    return sd_bus_error_set(error, error_name(fault->fault), fault->text);
}
