/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <microhttpd.h>

#include "reply.h"
#include "server.h"
#include "text.h"

#define PROTOCOL           "{7df0354d-249b-430f-820d-3d2a9bef4931}"
#define HEADER_VALUE_MAX   4096 /* bytes */
#define NEXT_HEADER        "BITS-Received-Content-Range"
#define MISSPELT_HEADER    "BITS-Recieved-Content-Range"
#define SESSION_HEADER     "BITS-Session-Id"
#define PROTOCOL_SEPARATOR " ,\t"

/* Ends the request's work: an Ack with this status and, unless it is 0, this error code. */
static void refuse(struct request *request, unsigned status, uint32_t hresult)
{
    char code[16];

    answer_ack(&request->answer, status);
    if (hresult != 0) {
        snprintf(code, sizeof(code), "0x%08X", hresult);
        answer_error(&request->answer, request->server->options.error_header, code, "0x5");
    }
    request->answered = true;
}

static void refuse_errno(struct request *request, int error)
{
    bool spec = request->server->options.mode == MODE_SPEC;

    /* A file size limit is how a test fills a disk without one. */
    if (error == -ENOSPC || error == -EDQUOT || error == -EFBIG)
        refuse(request, 500, spec ? ERROR_DISK_FULL_SPEC : ERROR_DISK_FULL_WIN32);
    else if (error == -EEXIST)
        refuse(request, spec ? 403 : 409, spec ? E_ACCESSDENIED : 0);
    else if (error == -ENOENT)
        refuse(request, 404, 0);
    else if (error == -EACCES || error == -EPERM || error == -EROFS)
        refuse(request, 403, E_ACCESSDENIED);
    else
        refuse(request, 500, 0);
}

/* The Ack of success; the specification wants the session's id in each, IIS sends it only to Create-Session. */
static void accept_packet(struct request *request, const struct session *session)
{
    answer_ack(&request->answer, 200);
    if (session != NULL && (request->packet == PACKET_CREATE || request->server->options.mode == MODE_SPEC))
        answer_set(&request->answer, SESSION_HEADER, "%s", session_id(session));
}

static void say_next(struct request *request)
{
    struct session_view view = session_look(request->upload.session);
    const struct fault_plan *plan = &request->plan;

    /* Not beyond the end, where the client would take the upload for complete. */
    if (plan->next_by_negative)
        view.next -= plan->next_by < view.next ? plan->next_by : view.next;
    else if (view.next < view.total)
        view.next += plan->next_by < view.total - view.next ? plan->next_by : view.total - view.next - 1;
    answer_set(&request->answer, plan->misspell ? MISSPELT_HEADER : NEXT_HEADER, "%" PRIu64, view.next);
}

static enum MHD_Result find_long_value(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    bool *found = context;

    (void)kind;
    (void)name;
    if (value != NULL && strlen(value) > HEADER_VALUE_MAX)
        *found = true;
    return MHD_YES;
}

static void find_session(struct request *request)
{
    struct server *server = request->server;
    const char *id = request_header(request, SESSION_HEADER);
    struct session *session = NULL;

    if (id != NULL && request->path_error == 0)
        session = session_find(server->sessions, id, request->path);
    if (session != NULL && server->options.bind_sessions && session_connection(session) != request->connection_number)
        session = session_unref(session);
    if (session != NULL && request->plan.forget_session) {
        session_delete(server->sessions, session);
        session = session_unref(session);
    }
    request->upload.session = session;
    if (session == NULL)
        refuse(request, 500, BG_E_SESSION_NOT_FOUND);
    else if (request->plan.vanish)
        session_vanish(server->sessions, session);
}

/*
 * The checks that all packets share, in the order of the specification.
 */
static void check_head(struct request *request)
{
    const struct options *options = &request->server->options;
    bool too_long = false;

    if (strcmp(request->version, MHD_HTTP_VERSION_1_1) != 0) {
        answer_plain(&request->answer, 505);
        request->answered = true;
        return;
    }
    if (request->content_length > options->max_request_bytes) {
        answer_plain(&request->answer, 413);
        request->answered = true;
        return;
    }
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, find_long_value, &too_long);
    if (too_long)
        return refuse(request, 400, E_INVALIDARG);
    if (!options->uploads)
        return refuse(request, 501, E_ACCESSDENIED);
    if (!auth_check(request))
        return;
    if (!request->has_length)
        return refuse(request, options->mode == MODE_SPEC ? 411 : 400, E_INVALIDARG);
    if (request->packet == PACKET_UNKNOWN)
        return refuse(request, 400, E_INVALIDARG);
    if (request->packet != PACKET_FRAGMENT && request->content_length > 0)
        return refuse(request, 400, E_INVALIDARG);
    if (request->packet == PACKET_FRAGMENT || request->packet == PACKET_CLOSE || request->packet == PACKET_CANCEL)
        find_session(request);
}

static bool offers_protocol(const char *list)
{
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, PROTOCOL_SEPARATOR);

        if (length == strlen(PROTOCOL) && strncasecmp(list, PROTOCOL, length) == 0)
            return true;
        list += length;
        list += strspn(list, PROTOCOL_SEPARATOR);
    }
    return false;
}

/* What forbids an upload to this target, as a negative errno of refuse_errno(), or -EISDIR. */
static int check_target(struct request *request)
{
    const struct options *options = &request->server->options;
    int root_fd = request->server->root_fd;
    enum path_state state;

    if (request->path_error < 0)
        return request->path_error;
    state = path_look(root_fd, request->path);
    if (state == PATH_NO_PARENT && options->make_parents) {
        int r = path_make_parents(root_fd, request->path);

        if (r < 0)
            return r;
        state = PATH_FREE;
    }
    switch (state) {
    case PATH_FREE:
        return 0;
    case PATH_FILE:
        return options->overwrite ? 0 : -EEXIST;
    case PATH_FOLDER:
        return -EISDIR;
    case PATH_NO_PARENT:
        return -ENOENT;
    }
    abort();
}

static void create_session(struct request *request)
{
    struct server *server = request->server;
    const char *form = request->plan.session_form != NULL ? request->plan.session_form : "upper";
    int r = check_target(request);

    if (!offers_protocol(request_header(request, "BITS-Supported-Protocols")) || r == -EISDIR || r == -EINVAL ||
        r == -ENAMETOOLONG)
        return refuse(request, 400, E_INVALIDARG);
    if (r == 0)
        r = session_create(server->sessions, request->path, form, request->connection_number, &request->upload.session);
    if (r < 0)
        return refuse_errno(request, r);
    accept_packet(request, request->upload.session);
    answer_set(&request->answer, "BITS-Protocol", PROTOCOL);
    answer_set(&request->answer, "Accept-encoding", "identity");
    if (server->options.host_id != NULL)
        answer_set(&request->answer, "BITS-Host-Id", "%s", server->options.host_id);
    if (server->options.host_id_timeout != NULL)
        answer_set(&request->answer, "BITS-Host-Id-Fallback-Timeout", "%s", server->options.host_id_timeout);
}

/* "bytes FIRST-LAST/TOTAL" */
static int parse_range(const char *text, struct upload *upload)
{
    char first[24], last[24], total[24], rest;
    uint64_t a, b, c;

    if (text == NULL || strncasecmp(text, "bytes", 5) != 0 || text[5] != ' ')
        return -EINVAL;
    if (sscanf(text + 6, " %23[0-9]-%23[0-9]/%23[0-9]%c", first, last, total, &rest) != 3)
        return -EINVAL;
    if (text_parse_u64(first, &a) < 0 || text_parse_u64(last, &b) < 0 || text_parse_u64(total, &c) < 0)
        return -EINVAL;
    if (a > b || b >= c || c > INT64_MAX)
        return -EINVAL;
    upload->first = a;
    upload->last = b;
    upload->total = c;
    return 0;
}

/* Judges a Fragment by its head. MSDN's server takes what is new in an overlap, the specification's takes none. */
static void begin_fragment(struct request *request)
{
    const struct options *options = &request->server->options;
    struct upload *upload = &request->upload;
    struct session_view view = session_look(upload->session);

    if (parse_range(request_header(request, "Content-Range"), upload) < 0 ||
        upload->last - upload->first + 1 != request->content_length ||
        (view.total_known && view.total != upload->total))
        return refuse(request, 400, E_INVALIDARG);
    if (upload->total > options->max_upload_bytes)
        return refuse(request, 500, BG_E_TOO_LARGE);
    if (view.total_known && view.next == view.total && session_reply(upload->session) != NULL) {
        /* All is here: a Fragment now only has the application called again, or asks what it said. */
    } else if (upload->first > view.next || (options->mode == MODE_SPEC && upload->first != view.next)) {
        refuse(request, 416, 0);
        return say_next(request);
    }
    upload->accepted = true;
    session_turn(upload->session, upload->total, &upload->turn);
}

void bits_begin(struct request *request)
{
    check_head(request);
    if (!request->answered && request->packet == PACKET_FRAGMENT && request_wanted(request))
        begin_fragment(request);
}

void bits_body(struct request *request, const char *data, size_t length)
{
    const struct fault_plan *plan = &request->plan;
    struct upload *upload = &request->upload;
    uint64_t done = request->body_received;
    bool advance = request->server->options.keep_partial || plan->store_bytes != FAULT_NONE;

    if (!upload->accepted || upload->error < 0)
        return;
    if (plan->store_bytes != FAULT_NONE &&
        length > plan->store_bytes - (done < plan->store_bytes ? done : plan->store_bytes))
        length = done < plan->store_bytes ? plan->store_bytes - done : 0;
    if (plan->full_bytes != FAULT_NONE && done + length > plan->full_bytes) {
        upload->error = -ENOSPC;
        length = done < plan->full_bytes ? plan->full_bytes - done : 0;
    }
    if (length > 0) {
        int r = session_write(upload->session, upload->turn, upload->first + done, data, length, advance);

        if (r < 0)
            upload->error = r;
    }
    if (upload->error == -ESTALE)
        request->abandon = true;
}

static void end_fragment(struct request *request)
{
    struct server *server = request->server;
    struct upload *upload = &request->upload;
    uint64_t stored =
        request->plan.store_bytes < request->content_length ? request->plan.store_bytes : request->content_length;
    struct session_view view;
    int r = upload->error;

    if (r == 0)
        r = session_advance(upload->session, upload->turn, upload->first + stored);
    if (r == -ESTALE) {
        request->abandon = true;
        return;
    }
    view = session_look(upload->session);
    if (r == 0 && view.next == view.total && session_reply(upload->session) != NULL) {
        reply_finish(request);
        if (server->options.mode == MODE_MSDN && reply_wants_copy(session_reply(upload->session)))
            r = session_publish(server->sessions, upload->session, server->options.overwrite);
        return r < 0 ? refuse_errno(request, r) : say_next(request);
    }
    if (r == 0 && view.next == view.total && server->options.mode == MODE_MSDN)
        r = session_publish(server->sessions, upload->session, server->options.overwrite);
    if (r < 0)
        return refuse_errno(request, r);
    accept_packet(request, upload->session);
    say_next(request);
}

/* A session that no Fragment has reached is the empty file; one that is not full is dropped. */
static void close_session(struct request *request)
{
    struct server *server = request->server;
    struct session *session = request->upload.session;
    struct session_view view = session_look(session);
    bool complete = !view.total_known || view.next == view.total;
    int r = 0;

    /* Where an application takes the files, only it can want one at the destination. */
    if (view.total_known && session_reply(session) != NULL && !reply_wants_copy(session_reply(session)))
        complete = false;
    if (complete)
        r = session_publish(server->sessions, session, server->options.overwrite);
    if (r == -EEXIST || r == -EACCES)
        return refuse_errno(request, r); /* the data stays until Cancel-Session or the timeout */
    session_delete(server->sessions, session);
    if (r < 0)
        return refuse_errno(request, r);
    accept_packet(request, session);
}

static void cancel_session(struct request *request)
{
    session_delete(request->server->sessions, request->upload.session);
    accept_packet(request, request->upload.session);
}

static void carry_out(struct request *request)
{
    switch (request->packet) {
    case PACKET_CREATE:
        create_session(request);
        break;
    case PACKET_PING:
        accept_packet(request, NULL);
        break;
    case PACKET_FRAGMENT:
        end_fragment(request);
        break;
    case PACKET_CLOSE:
        close_session(request);
        break;
    case PACKET_CANCEL:
        cancel_session(request);
        break;
    case PACKET_UNKNOWN:
    case PACKET_PUT:
    case PACKET_GET:
    case PACKET_OTHER:
    case PACKET_COUNT_:
        abort(); /* never gets past check_head() */
    }
}

void bits_end(struct request *request)
{
    struct session *session = request->upload.session;

    if (!request->answered && request_wanted(request))
        carry_out(request);
    else if (!request->answered)
        answer_ack(&request->answer, 200);
    if (session == NULL || request->packet != PACKET_FRAGMENT)
        return;
    if (request->plan.seek != FAULT_NONE)
        session_seek(session, request->plan.seek);
    if (request->plan.seek != FAULT_NONE || request->plan.status == 416)
        say_next(request);
}
