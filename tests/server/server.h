/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all parts of the server share: its options, and one request on its way through. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "auth.h"
#include "fault.h"
#include "log.h"
#include "notify.h"
#include "path.h"
#include "session.h"

struct MHD_Connection;

/* The two servers that the documents describe; README.md says where they differ. */
enum mode {
    MODE_MSDN,
    MODE_SPEC,
};

/* How BITS-Reply-URL names a reply of ours. */
enum reply_url {
    REPLY_URL_BACKSLASH, /* BITS-Sessions\Replies\{GUID}\responsefile.bin, as IIS */
    REPLY_URL_SLASH,
    REPLY_URL_ABSOLUTE,
};

struct options {
    char bind[64]; /* a numeric address */
    uint16_t port; /* 0: any free one */
    const char *root;
    enum mode mode;
    enum error_header error_header;
    bool overwrite;
    bool uploads;      /* false: every upload is refused with 501 */
    bool keep_partial; /* what arrived of a torn Fragment counts */
    bool make_parents;
    bool bind_sessions;         /* a session is known only on the connection that created it */
    uint64_t max_upload_bytes;  /* of a file */
    uint64_t max_request_bytes; /* of a request's body */
    uint64_t session_timeout_usec;
    unsigned max_connections; /* 0: as many as come */
    const char *log;
    const char *tls_cert; /* these are files; NULL: no TLS */
    const char *tls_key;
    const char *tls_client_ca;
    enum auth_scheme auth;
    const char *user;
    const char *password;
    const char *bearer;      /* the token */
    uint64_t refusal_status; /* of an answer that asks for credentials */
    enum notify_type notify_type;
    const char *notify_url;
    uint64_t notify_timeout_usec;
    enum reply_url reply_url;
    bool closed_ranges;          /* 400 to "Range: bytes=5-" */
    const char *host_id;         /* or NULL */
    const char *host_id_timeout; /* or NULL */
};

struct server {
    struct options options;
    int root_fd;
    int stop_fd; /* readable once the server ends: no thread may wait without looking at it */
    struct session_table *sessions;
    struct fault_set *faults;
    struct auth *auth; /* NULL: everyone may */
    struct log *log;
    uint64_t connections; /* atomic */
};

/* A Fragment on its way into the session's file. */
struct upload {
    struct session *session; /* a reference */
    uint64_t turn;
    uint64_t first, last, total;
    bool accepted; /* the body is to be stored */
    int error;     /* negative errno of the first write that failed */
};

struct request {
    struct server *server;
    struct MHD_Connection *connection;
    uint64_t n;
    uint64_t connection_number;
    uint64_t time_usec;
    char *target; /* as on the request line */
    char *method;
    char *headers; /* JSON, for the log */
    const char *version;
    enum packet packet;
    struct fault_plan plan;

    bool has_length; /* a Content-Length header */
    uint64_t content_length;
    uint64_t body_received;
    char path[PATH_BYTES_MAX];
    int path_error;

    bool begun;    /* the head was handled */
    bool answered; /* ANSWER is final: what is left of the body is read and dropped */
    bool abandon;  /* end the connection instead of answering */
    bool logged;
    struct answer answer;

    struct upload upload;
    int file_fd; /* PUT: the temporary file */
    char file_temporary[80];
};

/* A request header, or NULL. */
const char *request_header(const struct request *request, const char *name);

/* False: the rules want this request answered without being carried out. */
bool request_wanted(const struct request *request);
