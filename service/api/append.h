/* append.h: one Append between its two halves: the way in (append.c) and the way back (append_answer.c, append_refuse.c).
 *
 * Ownership: the call's arena, but for the filter of a condition. Threads: the server's thread until the request is
 * submitted, then the sequencer's. */
#ifndef SERVICE_API_APPEND_H
#define SERVICE_API_APPEND_H

#include "daybook/server.h"
#include "service/commit/request.h"
#include "service/record/filter.h"

/* Lives in the call's arena, as everything the request points to. */
struct append_call {
    struct append_request request;
    struct append_condition condition;
    struct append_checkpoint checkpoint;
    struct filter *filter; /* of the condition, or NULL; freed when the request is answered */
    daybook_server_call *call;
};

/* Answers a decided request; its `done`. */
void append_answer(struct append_request *request);

/* The answer to a request that has conflicts. */
void append_refuse(struct append_call *append, upb_Arena *arena);

#endif
