/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The BITS upload session, the parts of the machine among themselves. The door is core/session.h; the states, the
 * table of what leads where, and the order in which overlapping rules are applied stand in tests/model/README.md.
 *
 *   bits.c           events, and which request comes next
 *   bits_answer.c    what an answer means: one function a packet, then the rules that hold for all
 *   bits_fragment.c  lengths, offsets, loop guards
 *   bits_reply.c     fetching and storing the reply
 *   bits_host.c      the host that the session lives on
 *   bits_access.c    challenges, and credentials that cannot be had
 *   bits_end.c       how an attempt or a session ends: wait, fail, start anew, drop
 *   bits_failure.c   codes, contexts and sentences
 *   bits_advice.c    what to do about them
 */
#pragma once

#include "core/session.h"

/* One call of session_step(). */
struct step {
    struct session *session;
    const struct session_input *in;
    struct session_output *out;
    enum exchange_kind kind; /* with OUTCOME: of the exchange that ended */
};

/* bits.c: the next request, or what must come before it. */
void bits_go_on(struct step *step);
void bits_send(struct step *step, enum exchange_kind kind);
void bits_take_source_error(struct step *step, int error);
void bits_abort_exchange(struct step *step);

/* bits_answer.c */
void bits_take_outcome(struct step *step);

/* bits_fragment.c */
uint64_t bits_fragment_length(const struct session *session);
void bits_count_sent(struct session *session, uint64_t bytes);
void bits_uncount_sent(struct session *session); /* the Fragment never left */
void bits_fragment_answered(struct step *step);  /* 200 or 416 that names the next offset */
void bits_fragment_too_long(struct step *step);  /* 413, or what stands for it */
void bits_fragment_lost(struct session *session);
void bits_note_ambiguous(struct session *session); /* a Fragment may have gone out, and nobody knows its fate */
void bits_drop_ambiguous(struct step *step);

/* bits_reply.c */
void bits_forget_reply(struct session_record *record);
void bits_forget_reply_bytes(struct session_record *record);
void bits_note_reply_url(struct session *session, const struct ack *ack); /* once the offset is taken */
void bits_begin_reply(struct session *session);                           /* all bytes are acknowledged */
void bits_go_on_reply(struct step *step);
void bits_reply_range(const struct session *session, uint64_t *ret_first, uint64_t *ret_bytes);
void bits_warn_of_no_reply(struct step *step);
bool bits_take_reply(struct step *step);      /* whether the answer to a GET has a rule here */
bool bits_take_lost_reply(struct step *step); /* and what came of it below HTTP */
void bits_take_reply_stored(struct step *step);
void bits_take_reply_failed(struct step *step);

/* bits_host.c */
void bits_take_host(struct session *session, const struct ack *ack); /* of the Ack to Create-Session, checked */
void bits_forget_host(struct session_record *record);
void bits_aim(const struct session *session, struct exchange_request *request);
void bits_note_host_down(struct step *step); /* where the outcome says so */
void bits_note_host_up(struct session *session);
void bits_count_host_down(struct session *session, uint64_t usec);
void bits_fall_back_if_due(struct session *session);

/* bits_access.c */
bool bits_is_challenge(const struct ack *ack);
bool bits_may_ask_again(struct step *step); /* the same message once more: a new token has been had since */
void bits_take_unauthenticated(struct step *step);
void bits_describe_access(const char *fault, struct failure *ret);

/* bits_end.c. Each sets the action; FAILURE has its reason already, the advice is added here. */
void bits_wait(struct step *step, const struct failure *failure);
void bits_fail(struct step *step, const struct failure *failure, const char *advice);
void bits_done(struct step *step);
void bits_done_unconfirmed(struct step *step, bool has_predecessor);
void bits_gone(struct step *step);
void bits_idle(struct step *step);
void bits_away(struct step *step);                                   /* the source's file system is not mounted */
void bits_invalid(struct step *step, const struct failure *failure); /* an answer that breaks the protocol */
void bits_forget_session(struct session *session);
void bits_restart(struct step *step, const struct failure *failure); /* a new session from byte 0, within the guards */
void bits_drop_then_create(struct step *step, const struct failure *failure);
void bits_drop_then_fail(struct step *step, const struct failure *failure, const char *advice);
void bits_drop_then_retake(struct step *step, const struct failure *failure); /* the file as it will be */
bool bits_is_dropping(const struct session *session);
void bits_dropped(struct step *step);

/* bits_failure.c: what failed and why, "Fragment failed: the server answered 503"; the advice comes later. */
void bits_describe_outcome(const struct step *step, struct failure *ret);
void bits_describe(const struct step *step, uint32_t code, enum failure_context context, const char *why,
                   struct failure *ret);
void bits_describe_local(const struct step *step, uint32_t code, enum failure_phase phase, const char *why,
                         struct failure *ret);
void bits_advise(struct failure *failure, const char *advice); /* "; " and the advice behind the reason */
void bits_describe_no_progress(const struct step *step, const struct failure *last, struct failure *ret);
bool bits_is_not_found(const struct ack *ack);     /* the error header says BG_E_SESSION_NOT_FOUND */
bool bits_has_code(const struct ack *ack);         /* an error header other than 0 */
bool bits_from_application(const struct ack *ack); /* context 0x7 */

/* bits_advice.c */
uint32_t bits_certificate_words(enum certificate_fault fault, enum failure_context *ret_context, const char **ret_why);
const char *bits_advice_for(const struct step *step); /* after an outcome that is final */
