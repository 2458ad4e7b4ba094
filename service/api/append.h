/* append.h: one append between the wire and the sequencer, for Append and AppendMany: the way in (append_build.c), what is said
 * of a refusal (append_refuse.c), and the way back of the unary call (append_answer.c).
 *
 * Ownership: what a request points to lives in the arena it was made in, but for the filter of a condition: append_deinit.
 * Threads: one at a time; the sequencer's between submission and `done`. */
#ifndef SERVICE_API_APPEND_H
#define SERVICE_API_APPEND_H

#include "daybook/server.h"
#include "service/api/api.h"
#include "service/api/errors.h"
#include "service/commit/request.h"
#include "service/record/filter.h"

struct append {
    struct append_request request;
    struct append_condition condition;
    struct append_checkpoint checkpoint;
    struct filter *filter; /* of the condition, or NULL */
};

/* Checks a message and makes a request of it, without `done` and `context`. Both the message and the arena must outlive the
 * request, which must not move. False: it is refused, the error says why, and there is nothing to deinit. */
MUST_USE bool append_init(struct append *append, const struct api *api, const daybook_v1_AppendRequest *message,
                          upb_Arena *arena, struct error *ret_error);
void append_deinit(struct append *append);

/* Why a decided request was not committed. What the error points at is in the arena. */
void append_explain(const struct append_request *request, upb_Arena *arena, struct error *ret_error);

/* A unary call; lives in its arena. */
struct append_call {
    struct append append;
    daybook_server_call *call;
};

/* Answers a decided request, whose context is its call; its `done`. */
void append_answer(struct append_request *request);

#endif
