/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of net/ share. */
#pragma once

#include "core/transfer.h"
#include "net/glue.h"
#include "net/identity.h"
#include "net/response.h"
#include "net/target.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

/* In a function that returns a negative errno, with the easy handle as `easy`. */
#define SET(option, value)                                           \
    do {                                                             \
        CURLcode code_ = curl_easy_setopt(easy, (option), (value));  \
        if (code_ != CURLE_OK)                                       \
            return code_ == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL; \
    } while (0)

struct net {
    sd_event *event;
    struct glue *glue;
    uint64_t keep_alive_usec;
    char *user_agent;
    uint64_t connections_count; /* TCP connections so far: they are numbered by it */
    bool breaking;              /* transfers of a broken multi handle are being ended */
    TAILQ_HEAD(transfer_list, transfer) transfers;
};

#define CONNECTION_FDS 4 /* while a connection is made, several addresses are tried at a time */

/*
 * One session's connection: an easy handle, and a share with a connection cache that no other session sees. In the
 * common cache of the multi handle two sessions that are idle between fragments swap their connections.
 */
struct transfer_connection {
    struct net *net;
    CURL *easy;
    CURLSH *share;
    struct transfer *transfer; /* the exchange under way */
    uint64_t number;           /* of the TCP connection that was last used; 0 = none yet */
    int local_port;            /* of the same */
    /* Of the TCP connection that was last found authenticated, where the scheme binds to it; 0 = none. */
    uint64_t authenticated_number;
    bool any_is_ntlm;         /* the host, or its proxy, offers no better scheme */
    bool socket_opened;       /* within this exchange */
    int socket_error;         /* negative errno of a lack on this side, within this exchange */
    int fds[CONNECTION_FDS];  /* open sockets; -1 = a free place */
    bool lower_effort;        /* as they are marked */
    uint64_t paced_rate;      /* as the kernel was told; 0 = no limit */
    long upload_buffer_bytes; /* in force; setting it again would throw the buffer away */
    struct identity identity; /* of whom it served last; empty = nobody yet */
    bool stale;               /* its multi handle broke, or it served another: begin with new handles */
};

enum transfer_phase {
    TRANSFER_CONNECTING,
    TRANSFER_SENDING,
    TRANSFER_AWAITING_RESPONSE,
};

enum transfer_pause {
    TRANSFER_FLOWING,
    TRANSFER_PAUSED_FOR_SOURCE,
    TRANSFER_PAUSED_ON_PURPOSE, /* body.read said so: no deadline runs */
};

struct transfer {
    TAILQ_ENTRY(transfer) entry;
    struct net *net;
    struct transfer_connection *connection;
    struct transfer_job job; /* url and request are not used after start() */
    struct target target;
    const char *target_fault; /* there is no URL to ask: nothing is sent, and done() says so */
    uint64_t sink_bytes;      /* the most that the sink takes; 0 = there is none */
    uint64_t received_bytes;  /* given to it */
    int sink_error;           /* negative errno; it did not take what came */
    bool sink_overflowed;
    char method[sizeof(((struct exchange_request *)NULL)->method)];
    enum auth_scheme scheme; /* by which it may authenticate to the server; AUTH_NONE where it must not */
    uint64_t body_bytes;
    uint64_t connect_timeout_usec, send_timeout_usec, response_timeout_usec;
    struct curl_slist *headers;

    enum transfer_phase phase;
    enum transfer_pause pause;
    bool inside_read;    /* body.read is running */
    bool resumed_inside; /* and called resume() */
    bool uses_proxy;     /* for this target */
    bool doomed;         /* its multi handle broke */
    bool connected;      /* connection->number is this exchange's */
    bool resend_refused; /* libcurl wanted to send the request a second time */
    int source_error;
    struct response response;
    uint64_t body_read_bytes; /* copied from the source into libcurl's buffer */
    uint64_t body_sent_bytes; /* handed to the kernel */
    unsigned heads_sent;      /* but for those that a challenge answered */
    unsigned legs;            /* challenges that were answered */
    bool lacks_authentication;
    uint64_t progress_bytes;                                          /* that were told */
    uint64_t first_byte_usec;                                         /* CLOCK_MONOTONIC, 0 = none yet */
    char address[sizeof(((struct exchange_outcome *)NULL)->address)]; /* of the connection, or tried last */
    char error[CURL_ERROR_SIZE];

    /* One timer for both; it may fire early, when what it was set for has moved. */
    sd_event_source *timer;
    uint64_t timer_usec;
    uint64_t deadline_usec;
    uint64_t wake_usec; /* to go on, whatever it waits for */
};

/* connection.c */
int connection_new(void *transport, struct transfer_connection **ret);
void connection_free(void *transport, struct transfer_connection *connection);
/*
 * Makes the handles of a connection anew whose multi handle broke, and of one that served somebody else or spoke to
 * another HOST ("host:port"): closed with them is whatever the server, or a proxy, knows that one by, and what one host
 * asked of a user is not for the next.
 */
int connection_prepare(struct transfer_connection *connection, const struct transfer_job *job, const char *host);

/* courtesy.c: what the packets of a connection tell the network. */
void connection_add_socket(struct transfer_connection *connection, int fd);
void connection_drop_socket(struct transfer_connection *connection, int fd);
void connection_set_lower_effort(struct transfer_connection *connection, bool lower_effort);
void connection_set_rate(struct transfer_connection *connection, uint64_t bytes_per_second);

/* options.c: sets every option of TRANSFER's easy handle. */
int transfer_set_options(struct transfer *transfer, const struct exchange_request *request);

/* proxy.c */
int transfer_set_proxy(struct transfer *transfer);
/* Tells in *outcome what was the proxy's doing. */
void outcome_add_proxy(const struct transfer *transfer, struct exchange_outcome *outcome);

/* challenge.c */
/* Whether the response is a challenge that libcurl answers by sending the request again. */
bool transfer_may_answer(const struct transfer *transfer);
/* Returns whether the request goes out again for that reason, and forgets the first time then. */
bool transfer_begin_leg(struct transfer *transfer);
/* Whether the body would go over a connection that has to be authenticated without one first. */
bool transfer_lacks_authentication(const struct transfer *transfer);
void transfer_note_authenticated(struct transfer *transfer); /* with each head of a response */

/* credentials.c */
unsigned long auth_bits(enum auth_scheme scheme);            /* CURLAUTH_*, such that nothing goes out unasked */
const char *auth_user(const struct transfer_secret *secret); /* "" = whoever holds the ticket */
const char *auth_password(const struct transfer_secret *secret);
int append_header(struct curl_slist **headers, const char *line);
void free_headers(struct curl_slist *headers); /* and overwrites them: a token may be among them */
/* The lines of the user's own, and the token, as far as they may go where TRANSFER goes. */
int transfer_add_own_headers(struct transfer *transfer);
int transfer_set_credentials(struct transfer *transfer);

/* tls.c */
int transfer_set_tls(struct transfer *transfer);
/* Whether CODE means that a certificate was not accepted; which, and why, stands in *ret then. */
bool outcome_from_tls(const struct transfer *transfer, CURLcode code, struct exchange_outcome *ret);

/* callbacks.c: curl's callbacks; userdata is the transfer, but for the socket's, which outlive it. */
curl_socket_t connection_on_open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address);
int connection_on_close_socket(void *userdata, curl_socket_t fd);
int transfer_on_request(void *userdata, char *remote_ip, char *local_ip, int remote_port, int local_port);
size_t transfer_on_read(char *buffer, size_t size, size_t count, void *userdata);
int transfer_on_seek(void *userdata, curl_off_t offset, int origin);
size_t transfer_on_header(char *line, size_t size, size_t count, void *userdata);
size_t transfer_on_body(char *data, size_t size, size_t count, void *userdata);
int transfer_on_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *userdata);

/* transfer.c */
int transfer_start(void *transport, const struct transfer_job *job, struct transfer **ret);
void transfer_cancel(void *transport, struct transfer *transfer);
void transfer_resume(void *transport, struct transfer *transfer);
void transfer_set_rate(void *transport, struct transfer *transfer, uint64_t bytes_per_second);
void transfer_completed(struct transfer *transfer, CURLcode code);
/* Ends it with TRANSPORT_LOCAL. */
void transfer_fail(struct transfer *transfer, const char *text);
uint64_t transfer_now(const struct transfer *transfer);
/* The transfer enters PHASE, or bytes moved within it: its deadline begins again. */
void transfer_touch(struct transfer *transfer, enum transfer_phase phase);
/* body.read holds the body back: no time runs out meanwhile. */
void transfer_stop_clock(struct transfer *transfer);
/* As soon as the loop turns, and not from within the call. */
void transfer_wake(struct transfer *transfer);

/* lastwords.c: reads what still waits on FD, which libcurl gave up while it was sending. */
void transfer_take_last_words(struct transfer *transfer, int fd);

/* outcome.c */
/* Whether the final head of an error has come before all of the body was sent: nothing more is waited for. */
bool transfer_has_early_error(const struct transfer *transfer);
void outcome_from_curl(struct transfer *transfer, CURLcode code, struct exchange_outcome *ret);
void outcome_from_target(const struct transfer *transfer, struct exchange_outcome *ret);
void outcome_from_deadline(struct transfer *transfer, struct exchange_outcome *ret);
