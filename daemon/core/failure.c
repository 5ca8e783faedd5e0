/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/failure.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The names of bitsmsg.h and winerror.h; those of the transport are WinHTTP's without its prefix. */
static const struct {
    uint32_t code;
    const char *name;
} names[] = {
    {HR_INVALID_SERVER_RESPONSE, "BG_E_INVALID_SERVER_RESPONSE"},
    {HR_LOCAL_FILE_CHANGED, "BG_E_LOCAL_FILE_CHANGED"},
    {HR_SESSION_NOT_FOUND, "BG_E_SESSION_NOT_FOUND"},
    {HR_TOO_LARGE, "BG_E_TOO_LARGE"},
    {HR_PROTOCOL_MISMATCH, "BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH"},
    {HR_SERVER_EXECUTE_ENABLED, "BG_E_SERVER_EXECUTE_ENABLED"},
    {HR_NO_PROGRESS, "BG_E_NO_PROGRESS"},
    {HR_NETWORK_DISCONNECTED, "BG_E_NETWORK_DISCONNECTED"},
    {HR_ACCESS_DENIED, "E_ACCESSDENIED"},
    {HR_INVALID_ARGUMENT, "E_INVALIDARG"},
    {HR_DISK_FULL, "ERROR_DISK_FULL"},
    {HR_NOTIFICATION_TIMEOUT, "ERROR_NOTIFICATION_TIMEOUT"},
    {HR_FILE_NOT_FOUND, "ERROR_FILE_NOT_FOUND"},
    {HR_READ_FAULT, "ERROR_READ_FAULT"},
    {HR_TIMEOUT, "ERROR_TIMEOUT"},
    {HR_NOT_READY, "ERROR_NOT_READY"},
    {HR_DEADLINE, "ERROR_DEADLINE"},
    {HR_NAME_NOT_RESOLVED, "ERROR_NAME_NOT_RESOLVED"},
    {HR_CANNOT_CONNECT, "ERROR_CANNOT_CONNECT"},
    {HR_CONNECTION_ERROR, "ERROR_CONNECTION_ERROR"},
    {HR_SECURE_FAILURE, "ERROR_SECURE_FAILURE"},
    {HR_MISSING_FILE_SIZE, "BG_E_MISSING_FILE_SIZE"},
    {HR_INSUFFICIENT_RANGE_SUPPORT, "BG_E_INSUFFICIENT_RANGE_SUPPORT"},
    {HR_INVALID_CREDENTIALS, "BG_E_INVALID_CREDENTIALS"},
    {HR_PATH_NOT_FOUND, "ERROR_PATH_NOT_FOUND"},
    {HR_WRITE_FAULT, "ERROR_WRITE_FAULT"},
    {HR_CLIENT_CERT_NEEDED, "ERROR_CLIENT_AUTH_CERT_NEEDED"},
    {HR_CERT_DATE_INVALID, "ERROR_SECURE_CERT_DATE_INVALID"},
    {HR_CERT_CN_INVALID, "ERROR_SECURE_CERT_CN_INVALID"},
    {HR_INVALID_CA, "ERROR_SECURE_INVALID_CA"},
    {HR_INVALID_CERT, "ERROR_SECURE_INVALID_CERT"},
    {HR_CERT_REVOKED, "ERROR_SECURE_CERT_REVOKED"},
    {HR_OUT_OF_MEMORY, "E_OUTOFMEMORY"},
    {HR_NOT_IMPLEMENTED, "E_NOTIMPL"},
    /* What this program never reports itself, but a server may. */
    {0x80004005u, "E_FAIL"},
    {0x8000FFFFu, "E_UNEXPECTED"},
    {0x80070020u, "ERROR_SHARING_VIOLATION"},
    {0x80070027u, "ERROR_HANDLE_DISK_FULL"},
    {0x80070032u, "ERROR_NOT_SUPPORTED"},
    {0x80070050u, "ERROR_FILE_EXISTS"},
    {0x8007007Bu, "ERROR_INVALID_NAME"},
    {0x800700B7u, "ERROR_ALREADY_EXISTS"},
    {0x8007052Eu, "ERROR_LOGON_FAILURE"},
    {0x80200001u, "BG_E_NOT_FOUND"},
    {0x80200002u, "BG_E_INVALID_STATE"},
    {0x80200003u, "BG_E_EMPTY"},
    {0x80200004u, "BG_E_FILE_NOT_AVAILABLE"},
    {0x80200005u, "BG_E_PROTOCOL_NOT_AVAILABLE"},
    {0x8020000Du, "BG_E_DESTINATION_LOCKED"},
    {0x8020000Eu, "BG_E_VOLUME_CHANGED"},
    {0x8020000Fu, "BG_E_ERROR_INFORMATION_UNAVAILABLE"},
    {0x80200012u, "BG_E_INSUFFICIENT_HTTP_SUPPORT"},
    {0x8020001Cu, "BG_E_TOO_MANY_FILES"},
    {0x80200021u, "BG_E_STRING_TOO_LONG"},
    {0x80200025u, "BG_E_USERNAME_TOO_LARGE"},
    {0x80200026u, "BG_E_PASSWORD_TOO_LARGE"},
    {0x80200027u, "BG_E_INVALID_AUTH_TARGET"},
    {0x80200028u, "BG_E_INVALID_AUTH_SCHEME"},
    {0x8020003Eu, "BG_E_BLOCKED_BY_POLICY"},
    {0x8020003Fu, "BG_E_INVALID_PROXY_INFO"},
    {0x80200049u, "BG_E_TOO_MANY_JOBS_PER_USER"},
    {0x80200050u, "BG_E_TOO_MANY_JOBS_PER_MACHINE"},
    {0x80200051u, "BG_E_TOO_MANY_FILES_IN_JOB"},
    {0x80200054u, "BG_E_MAXDOWNLOAD_TIMEOUT"},
    {0x80200056u, "BG_E_TOKEN_REQUIRED"},
    {0x80200059u, "BG_E_BLOCKED_BY_COST_TRANSFER_POLICY"},
};

void failure_name_code(uint32_t code, char name[static FAILURE_NAME_MAX])
{
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        if (names[i].code == code) {
            (void)text_copy(name, FAILURE_NAME_MAX, names[i].name);
            return;
        }
    }
    if (code >= HR_HTTP_STATUS(100) && code <= HR_HTTP_STATUS(999))
        (void)snprintf(name, FAILURE_NAME_MAX, "BG_E_HTTP_ERROR_%" PRIu32, code - HR_HTTP_STATUS(0));
    else
        (void)snprintf(name, FAILURE_NAME_MAX, "0x%08" PRIX32, code);
}

const char *failure_phase_text(enum failure_phase phase)
{
    switch (phase) {
    case PHASE_NONE:
        return "";
    case PHASE_PING:
        return "Ping";
    case PHASE_CREATE:
        return "Create-Session";
    case PHASE_FRAGMENT:
        return "Fragment";
    case PHASE_CLOSE:
        return "Close-Session";
    case PHASE_CANCEL:
        return "Cancel-Session";
    case PHASE_REPLY:
        return "downloading the reply";
    case PHASE_SOURCE:
        return "reading the source";
    case PHASE_CREDENTIAL:
        return "reading the credentials";
    case PHASE_STORE_REPLY:
        return "storing the reply";
    }
    return "";
}

const char *failure_context_text(enum failure_context context)
{
    switch (context) {
    case CONTEXT_NONE:
        return "";
    case CONTEXT_UNKNOWN:
        return "unknown";
    case CONTEXT_QUEUE_MANAGER:
        return "the queue";
    case CONTEXT_NOTIFICATION:
        return "the notification";
    case CONTEXT_LOCAL_FILE:
        return "the local file";
    case CONTEXT_REMOTE_FILE:
        return "the server";
    case CONTEXT_TRANSPORT:
        return "the network";
    case CONTEXT_REMOTE_APPLICATION:
        return "the server's application";
    }
    return "";
}

bool failure_errno_is_shortage(int error)
{
    return error == -ETIMEDOUT || error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EAGAIN;
}

bool failure_errno_may_heal(int error)
{
    return error == -EIO || error == -ESTALE;
}

const char *failure_errno_text(int error)
{
    const char *words = error == -ETIMEDOUT ? "its file system does not answer" : NULL;

    if (!words && error < 0)
        words = strerrordesc_np(-error);
    return words ? words : "an unknown error";
}
