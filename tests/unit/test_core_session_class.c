/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every class of error once, as a table: what the server or the transport did, and what the job's owner then reads: the
 * action, the code and its stable name, where it arose, and the words that tell the next step.
 */
#include "support/unit.h"

#include "support/player.h"

#include "base/cleanup.h"

#include <string.h>

enum moment_of {
    AT_CREATE,
    AT_FRAGMENT,
    AT_CLOSE,
    AT_REPLY,
};

struct row {
    enum moment_of at;
    int status; /* 0 = the transport failed */
    const char *headers;
    bool is_ack;
    bool of_proxy;
    enum transport_result transport;
    enum certificate_fault certificate;
    enum session_action action;
    uint32_t code;
    const char *name;
    enum failure_context context;
    const char *words;
};

#define APPLICATION CONTEXT(0x7)

/* clang-format off */
static const struct row rows[] = {
    /* [MC-BUP] 2.2.1.2: what a BITS server says */
    {AT_FRAGMENT, 500, CODE(0x80200020) "\n" CONTEXT(0x5), .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80200020, .name = "BG_E_TOO_LARGE", .context = CONTEXT_REMOTE_FILE, .words = "raise the limit"},
    {AT_CREATE, 403, CODE(0x80070005) "\n" CONTEXT(0x5), .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80070005, .name = "E_ACCESSDENIED", .context = CONTEXT_REMOTE_FILE, .words = "check the rights"},
    {AT_CREATE, 501, CODE(0x80070005) "\n" CONTEXT(0x5), .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80070005, .name = "E_ACCESSDENIED", .context = CONTEXT_REMOTE_FILE, .words = "uploads are not enabled"},
    {AT_CREATE, 400, CODE(0x80070057) "\n" CONTEXT(0x5), .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80070057, .name = "E_INVALIDARG", .context = CONTEXT_REMOTE_FILE, .words = "not a folder"},
    {AT_FRAGMENT, 411, CODE(0x80070057) "\n" CONTEXT(0x5), .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80070057, .name = "E_INVALIDARG", .context = CONTEXT_REMOTE_FILE, .words = "answered 411"},
    {AT_FRAGMENT, 411, CODE(0x80070057) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80070057, .name = "E_INVALIDARG", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},
    {AT_CREATE, 403, CODE(0x80200023), .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80200023, .name = "BG_E_SERVER_EXECUTE_ENABLED", .context = CONTEXT_REMOTE_FILE, .words = "scripts"},
    {AT_FRAGMENT, 500, CODE(0x80070070), .is_ack = true, .action = SESSION_ACTION_WAIT,
     .code = 0x80070070, .name = "ERROR_DISK_FULL", .context = CONTEXT_REMOTE_FILE, .words = "tried again by itself"},
    {AT_FRAGMENT, 408, CODE(0x80070112) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_WAIT,
     .code = 0x80070112, .name = "ERROR_NOTIFICATION_TIMEOUT", .context = CONTEXT_REMOTE_APPLICATION,
     .words = "server's application answered 408"},
    {AT_CREATE, 200, "BITS-Session-Id: x\nBITS-Protocol: {0}", .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80200022, .name = "BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH", .context = CONTEXT_REMOTE_FILE,
     .words = "was not offered"},
    {AT_FRAGMENT, 500, CODE(0xA0AB0001), .is_ack = true, .action = SESSION_ACTION_WAIT,
     .code = 0xA0AB0001, .name = "0xA0AB0001", .context = CONTEXT_REMOTE_FILE, .words = "with 0xA0AB0001"},
    {AT_FRAGMENT, 403, "BITS-Error: xA0AB0001", .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0xA0AB0001, .name = "0xA0AB0001", .context = CONTEXT_REMOTE_FILE, .words = "with 0xA0AB0001"},

    /* the server's application: 300 to 307, 400s but 408, 409, 429, and 501, 505 are final */
    {AT_FRAGMENT, 403, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},
    {AT_FRAGMENT, 413, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},
    {AT_FRAGMENT, 409, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_WAIT,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},
    {AT_FRAGMENT, 429, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_WAIT,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},
    {AT_FRAGMENT, 504, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_WAIT,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},
    {AT_FRAGMENT, 501, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},
    {AT_FRAGMENT, 305, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_FAIL,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "redirects are not followed"},
    {AT_FRAGMENT, 306, CODE(0x80004005) "\n" APPLICATION, .is_ack = true, .action = SESSION_ACTION_WAIT,
     .code = 0x80004005, .name = "E_FAIL", .context = CONTEXT_REMOTE_APPLICATION, .words = "server's application"},

    /* statuses without a code */
    {AT_CREATE, 404, "", .action = SESSION_ACTION_FAIL, .code = 0x80190194, .name = "BG_E_HTTP_ERROR_404",
     .context = CONTEXT_REMOTE_FILE, .words = "not enabled for the folder"},
    {AT_CREATE, 404, "", .action = SESSION_ACTION_FAIL, .code = 0x80190194, .name = "BG_E_HTTP_ERROR_404",
     .context = CONTEXT_REMOTE_FILE, .words = "30,000,000 bytes"},
    {AT_CREATE, 405, "", .action = SESSION_ACTION_FAIL, .code = 0x80190195, .name = "BG_E_HTTP_ERROR_405",
     .context = CONTEXT_REMOTE_FILE, .words = "method_override=post"},
    {AT_CREATE, 501, "", .action = SESSION_ACTION_FAIL, .code = 0x801901F5, .name = "BG_E_HTTP_ERROR_501",
     .context = CONTEXT_REMOTE_FILE, .words = "blocks the verb BITS_POST"},
    {AT_CREATE, 401, "WWW-Authenticate: NTLM", .action = SESSION_ACTION_FAIL, .code = 0x80190191,
     .name = "BG_E_HTTP_ERROR_401", .context = CONTEXT_REMOTE_FILE, .words = "asks who you are (ntlm)"},
    {AT_CREATE, 407, "Proxy-Authenticate: Basic", .of_proxy = true, .action = SESSION_ACTION_FAIL, .code = 0x80190197,
     .name = "BG_E_HTTP_ERROR_407", .context = CONTEXT_TRANSPORT, .words = "proxy_credential=NAME"},
    {AT_CREATE, 403, "", .of_proxy = true, .action = SESSION_ACTION_FAIL, .code = 0x80190193,
     .name = "BG_E_HTTP_ERROR_403", .context = CONTEXT_TRANSPORT, .words = "noproxy=HOST"},
    {AT_CREATE, 502, "", .of_proxy = true, .action = SESSION_ACTION_WAIT, .code = 0x801901F6,
     .name = "BG_E_HTTP_ERROR_502", .context = CONTEXT_TRANSPORT, .words = "the proxy answered 502"},
    {AT_CREATE, 302, "Location: http://portal.example/login?token=secret", .action = SESSION_ACTION_FAIL,
     .code = 0x8019012E, .name = "BG_E_HTTP_ERROR_302", .context = CONTEXT_REMOTE_FILE,
     .words = "a redirect to http://portal.example/login;"},
    {AT_FRAGMENT, 503, "", .action = SESSION_ACTION_WAIT, .code = 0x801901F7, .name = "BG_E_HTTP_ERROR_503",
     .context = CONTEXT_REMOTE_FILE, .words = "tried again by itself"},
    {AT_CREATE, 200, "Content-Type: text/html", .action = SESSION_ACTION_WAIT, .code = 0x8020001B,
     .name = "BG_E_INVALID_SERVER_RESPONSE", .context = CONTEXT_REMOTE_FILE, .words = "a login page"},
    {AT_CREATE, 200, "", .is_ack = true, .action = SESSION_ACTION_WAIT, .code = 0x8020001B,
     .name = "BG_E_INVALID_SERVER_RESPONSE", .context = CONTEXT_REMOTE_FILE, .words = "no BITS-Session-Id"},
    {AT_CLOSE, 404, "", .is_ack = true, .action = SESSION_ACTION_FAIL, .code = 0x80190194,
     .name = "BG_E_HTTP_ERROR_404", .context = CONTEXT_REMOTE_FILE, .words = "all bytes were acknowledged"},

    /* the reply */
    {AT_REPLY, 404, "", .action = SESSION_ACTION_FAIL, .code = 0x80190194, .name = "BG_E_HTTP_ERROR_404",
     .context = CONTEXT_REMOTE_FILE, .words = "downloading the reply failed"},
    {AT_REPLY, 206, "Content-Range: bytes 0-0/*", .action = SESSION_ACTION_FAIL, .code = 0x80200011,
     .name = "BG_E_MISSING_FILE_SIZE", .context = CONTEXT_REMOTE_FILE, .words = "how long the reply is"},
    {AT_REPLY, 200, "Content-Length: 9999999", .action = SESSION_ACTION_FAIL, .code = 0x80200013,
     .name = "BG_E_INSUFFICIENT_RANGE_SUPPORT", .context = CONTEXT_REMOTE_FILE, .words = "ignores Range"},
    {AT_REPLY, 0, .transport = TRANSPORT_URL, .action = SESSION_ACTION_FAIL, .code = 0x8020001B,
     .name = "BG_E_INVALID_SERVER_RESPONSE", .context = CONTEXT_TRANSPORT, .words = "reply_other_host=yes"},

    /* the transport */
    {AT_CREATE, 0, .transport = TRANSPORT_RESOLVE, .action = SESSION_ACTION_WAIT, .code = 0x80072EE7,
     .name = "ERROR_NAME_NOT_RESOLVED", .context = CONTEXT_TRANSPORT, .words = "cannot be resolved"},
    {AT_CREATE, 0, .transport = TRANSPORT_CONNECT, .action = SESSION_ACTION_WAIT, .code = 0x80072EFD,
     .name = "ERROR_CANNOT_CONNECT", .context = CONTEXT_TRANSPORT, .words = "no connection to the server"},
    {AT_CREATE, 0, .transport = TRANSPORT_CONNECT_TIMEOUT, .action = SESSION_ACTION_WAIT, .code = 0x80072EE2,
     .name = "ERROR_TIMEOUT", .context = CONTEXT_TRANSPORT, .words = "in time"},
    {AT_CREATE, 0, .transport = TRANSPORT_TLS, .action = SESSION_ACTION_WAIT, .code = 0x80072F8F,
     .name = "ERROR_SECURE_FAILURE", .context = CONTEXT_TRANSPORT, .words = "TLS handshake"},
    {AT_CREATE, 0, .transport = TRANSPORT_PROXY, .action = SESSION_ACTION_WAIT, .code = 0x80072EFD,
     .name = "ERROR_CANNOT_CONNECT", .context = CONTEXT_TRANSPORT, .words = "through the proxy"},
    {AT_FRAGMENT, 0, .transport = TRANSPORT_CONNECTION_LOST, .action = SESSION_ACTION_WAIT, .code = 0x80072EFE,
     .name = "ERROR_CONNECTION_ERROR", .context = CONTEXT_TRANSPORT, .words = "connection was lost"},
    {AT_FRAGMENT, 0, .transport = TRANSPORT_RESPONSE_TIMEOUT, .action = SESSION_ACTION_WAIT, .code = 0x80072EE2,
     .name = "ERROR_TIMEOUT", .context = CONTEXT_TRANSPORT, .words = "did not answer in time"},
    {AT_FRAGMENT, 0, .transport = TRANSPORT_SEND_TIMEOUT, .action = SESSION_ACTION_WAIT, .code = 0x80072EE2,
     .name = "ERROR_TIMEOUT", .context = CONTEXT_TRANSPORT, .words = "nothing could be sent"},
    {AT_CREATE, 0, .transport = TRANSPORT_MALFORMED, .action = SESSION_ACTION_WAIT, .code = 0x8020001B,
     .name = "BG_E_INVALID_SERVER_RESPONSE", .context = CONTEXT_TRANSPORT, .words = "not HTTP"},
    {AT_CREATE, 0, .transport = TRANSPORT_LOCAL, .action = SESSION_ACTION_WAIT, .code = 0x8007000E,
     .name = "E_OUTOFMEMORY", .context = CONTEXT_QUEUE_MANAGER, .words = "out of memory or descriptors"},

    /* certificates */
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .action = SESSION_ACTION_FAIL, .code = 0x80072F8F,
     .name = "ERROR_SECURE_FAILURE", .context = CONTEXT_TRANSPORT, .words = "was not accepted"},
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .certificate = CERTIFICATE_EXPIRED,
     .action = SESSION_ACTION_FAIL, .code = 0x80072F05, .name = "ERROR_SECURE_CERT_DATE_INVALID",
     .context = CONTEXT_TRANSPORT, .words = "this machine's clock"},
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .certificate = CERTIFICATE_WRONG_HOST,
     .action = SESSION_ACTION_FAIL, .code = 0x80072F06, .name = "ERROR_SECURE_CERT_CN_INVALID",
     .context = CONTEXT_TRANSPORT, .words = "another host name"},
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .certificate = CERTIFICATE_UNKNOWN_ISSUER,
     .action = SESSION_ACTION_FAIL, .code = 0x80072F0D, .name = "ERROR_SECURE_INVALID_CA",
     .context = CONTEXT_TRANSPORT, .words = "cacert=FILE"},
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .certificate = CERTIFICATE_REVOKED,
     .action = SESSION_ACTION_FAIL, .code = 0x80072F8A, .name = "ERROR_SECURE_CERT_REVOKED",
     .context = CONTEXT_TRANSPORT, .words = "revoked"},
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .certificate = CERTIFICATE_PINNED_KEY,
     .action = SESSION_ACTION_FAIL, .code = 0x80072F89, .name = "ERROR_SECURE_INVALID_CERT",
     .context = CONTEXT_TRANSPORT, .words = "pinned_key=KEY"},
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .certificate = CERTIFICATE_OWN,
     .action = SESSION_ACTION_FAIL, .code = 0x80072F0C, .name = "ERROR_CLIENT_AUTH_CERT_NEEDED",
     .context = CONTEXT_TRANSPORT, .words = "key_file=FILE"},
    {AT_CREATE, 0, .transport = TRANSPORT_CERTIFICATE, .certificate = CERTIFICATE_OWN_AUTHORITY,
     .action = SESSION_ACTION_FAIL, .code = 0x80072F8F, .name = "ERROR_SECURE_FAILURE",
     .context = CONTEXT_LOCAL_FILE, .words = "trusted issuers"},
};
/* clang-format on */

static void go_to(struct player *p, enum moment_of at)
{
    switch (at) {
    case AT_CREATE:
        player_init(p, 1000);
        player_event(p, SESSION_EVENT_START);
        return;
    case AT_FRAGMENT:
        player_open(p, 1000);
        return;
    case AT_CLOSE:
        player_open(p, 1000);
        player_reach_close(p);
        return;
    case AT_REPLY:
        player_open_reply(p);
        p->outcome.received_bytes = 1;
        return;
    }
}

static void check(const struct row *row)
{
    struct player p;

    go_to(&p, row->at);
    p.outcome.proxy_answered = row->of_proxy;
    p.outcome.certificate = row->certificate;
    if (row->status == 0)
        player_lose(&p, row->transport, 1);
    else if (row->is_ack)
        player_ack(&p, row->status, row->headers);
    else
        player_answer(&p, row->status, row->headers);
    if (p.out.action == SESSION_ACTION_SEND && p.out.request.kind == EXCHANGE_CANCEL)
        player_ack(&p, 200, ""); /* the farewell to the server before the failure */
    assert_int_equal(p.out.action, row->action);
    assert_int_equal(p.out.failure.code, row->code);
    assert_string_equal(p.out.failure.name, row->name);
    assert_int_equal(p.out.failure.context, row->context);
    if (!strstr(p.out.failure.text, row->words))
        fail_msg("\"%s\" is not in: %s", row->words, p.out.failure.text);
    assert_null(strchr(p.out.failure.text, '\n'));
    assert_null(strstr(p.out.failure.text, "secret"));
    assert_true(strlen(p.out.failure.text) < FAILURE_TEXT_MAX - 1); /* nothing was cut off */
    if (row->action == SESSION_ACTION_FAIL)
        assert_non_null(strstr(p.out.failure.text, "; "));
}

static void every_class_of_error_has_its_name_its_place_and_its_next_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        check(&rows[i]);
    }
}

static void an_error_at_the_hosts_own_machine_names_that_machine(void **state)
{
    struct player p;

    (void)state;
    player_init(&p, 1000);
    player_event(&p, SESSION_EVENT_START);
    player_ack(&p, 200, "BITS-Session-Id: x\nBITS-Host-Id: node7.example.org");
    player_event(&p, SESSION_EVENT_PERSISTED);
    p.outcome.certificate = CERTIFICATE_WRONG_HOST;
    player_lose(&p, TRANSPORT_CERTIFICATE, 0);
    assert_failure(&p, FAIL, 0x80072F06);
    assert_non_null(strstr(p.out.failure.text, "node7.example.org"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_class_of_error_has_its_name_its_place_and_its_next_step),
    cmocka_unit_test(an_error_at_the_hosts_own_machine_names_that_machine),
};
UNIT_MAIN(tests);
