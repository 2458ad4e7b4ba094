/* append.h: one Append between its two halves: the way in (append.c) and the way back (append_answer.c).
 *
 * Ownership: the call's arena. Threads: the server's thread until the request is submitted, then the sequencer's. */
#ifndef SERVICE_API_APPEND_H
#define SERVICE_API_APPEND_H

#include "daybook/server.h"
#include "service/commit/request.h"

/* Lives in the call's arena, as everything the request points to. */
struct append_call {
    struct append_request request;
    daybook_server_call *call;
};

/* Answers a decided request; its `done`. */
void append_answer(struct append_request *request);

#endif
