/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why a job failed or waits: a stable name for programs, the HRESULT that BITS uses, where it happened, and one
 * sentence for people that says what failed, why, and what to do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FAILURE_NAME_MAX 48
#define FAILURE_TEXT_MAX 512

/* Where an error arose; the values of BG_ERROR_CONTEXT. */
enum failure_context {
    CONTEXT_NONE = 0,
    CONTEXT_UNKNOWN = 1,
    CONTEXT_QUEUE_MANAGER = 2,
    CONTEXT_NOTIFICATION = 3,
    CONTEXT_LOCAL_FILE = 4,
    CONTEXT_REMOTE_FILE = 5,
    CONTEXT_TRANSPORT = 6,
    CONTEXT_REMOTE_APPLICATION = 7,
};

/* What the job was doing; the wire's packet, or the local step. */
enum failure_phase {
    PHASE_NONE = 0,
    PHASE_PING,
    PHASE_CREATE,
    PHASE_FRAGMENT,
    PHASE_CLOSE,
    PHASE_CANCEL,
    PHASE_REPLY,
    PHASE_SOURCE,
    PHASE_CREDENTIAL, /* reading a credential, a header file, a token */
    PHASE_STORE_REPLY,
};

struct failure {
    char name[FAILURE_NAME_MAX]; /* "BG_E_LOCAL_FILE_CHANGED", "BG_E_HTTP_ERROR_503", "ERROR_CANNOT_CONNECT"; "" = none
                                  */
    uint32_t code;               /* HRESULT */
    uint32_t context;            /* enum failure_context */
    uint32_t phase;              /* enum failure_phase */
    int32_t http_status;         /* 0 where no response came */
    char text[FAILURE_TEXT_MAX];
};

/* HRESULTs ([MC-BUP] 2.2.1.2, bitsmsg.h, winerror.h). */
#define HR_INVALID_SERVER_RESPONSE    0x8020001Bu /* BG_E_INVALID_SERVER_RESPONSE */
#define HR_LOCAL_FILE_CHANGED         0x8020001Du
#define HR_SESSION_NOT_FOUND          0x8020001Fu
#define HR_TOO_LARGE                  0x80200020u
#define HR_PROTOCOL_MISMATCH          0x80200022u /* BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH */
#define HR_SERVER_EXECUTE_ENABLED     0x80200023u
#define HR_NO_PROGRESS                0x80200024u
#define HR_NETWORK_DISCONNECTED       0x80200010u
#define HR_ACCESS_DENIED              0x80070005u /* E_ACCESSDENIED */
#define HR_INVALID_ARGUMENT           0x80070057u /* E_INVALIDARG */
#define HR_DISK_FULL                  0x80070070u /* HRESULT_FROM_WIN32(ERROR_DISK_FULL) */
#define HR_NOTIFICATION_TIMEOUT       0x80070112u /* [MC-BUP] prints it for a full disk too */
#define HR_FILE_NOT_FOUND             0x80070002u
#define HR_READ_FAULT                 0x8007001Eu
#define HR_NOT_READY                  0x80070015u /* the file system is not mounted */
#define HR_DEADLINE                   0x800705B4u /* HRESULT_FROM_WIN32(ERROR_TIMEOUT) */
#define HR_TIMEOUT                    0x80072EE2u /* ERROR_WINHTTP_TIMEOUT */
#define HR_NAME_NOT_RESOLVED          0x80072EE7u
#define HR_CANNOT_CONNECT             0x80072EFDu
#define HR_CONNECTION_ERROR           0x80072EFEu
#define HR_SECURE_FAILURE             0x80072F8Fu
#define HR_MISSING_FILE_SIZE          0x80200011u
#define HR_INSUFFICIENT_RANGE_SUPPORT 0x80200013u
#define HR_INVALID_CREDENTIALS        0x80200040u
#define HR_PATH_NOT_FOUND             0x80070003u
#define HR_WRITE_FAULT                0x8007001Du
#define HR_CLIENT_CERT_NEEDED         0x80072F0Cu /* ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED */
#define HR_CERT_DATE_INVALID          0x80072F05u
#define HR_CERT_CN_INVALID            0x80072F06u
#define HR_INVALID_CA                 0x80072F0Du
#define HR_INVALID_CERT               0x80072F89u
#define HR_CERT_REVOKED               0x80072F8Au
#define HR_HTTP_STATUS(status)        (0x80190000u + (uint32_t)(status)) /* BG_E_HTTP_ERROR_nnn */
#define HR_OUT_OF_MEMORY              0x8007000Eu                        /* E_OUTOFMEMORY */
#define HR_NOT_IMPLEMENTED            0x80004001u                        /* E_NOTIMPL */

/* The stable name of an HRESULT, written into NAME ("0x…" for one that nobody named). */
void failure_name_code(uint32_t code, char name[static FAILURE_NAME_MAX]);

/* Of a file operation: a shortage of this machine, or a file system that hangs; time alone may help. */
bool failure_errno_is_shortage(int error);
/* Of a file operation: an error of the disk or of a server of files, which may be over at the next attempt. */
bool failure_errno_may_heal(int error);
const char *failure_errno_text(int error); /* words for people */

const char *failure_phase_text(enum failure_phase phase); /* "Create-Session", "Fragment", "reading the source" */
const char *failure_context_text(enum failure_context context);
