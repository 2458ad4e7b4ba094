/* change.h: a request that changes a stream or takes the bytes of events away, between its way in and its way back.
 *
 * It goes through the sequencer like an append, and may bring an event of the server's own that tells of it.
 * Ownership: the call's arena. Threads: the server's thread until it is submitted, then the sequencer's. */
#ifndef SERVICE_API_CHANGE_H
#define SERVICE_API_CHANGE_H

#include "daybook/server.h"
#include "service/api/api.h"
#include "service/commit/request.h"

struct change_call {
    const struct api *api;
    daybook_server_call *call;
    struct append_request request;
    struct append_write write;
    struct append_event event;
    struct append_result result;
    struct append_check check;
    struct append_conflict conflicts[4]; /* events, checks and two */
    struct append_stream_change change;
    struct append_rewrite rewrite;
    uint64_t *positions;
    const void *message; /* the request as it came */
};

/* Makes one in the call's arena. NULL: no memory, and the call is answered. */
struct change_call *change_new(const struct api *api, daybook_server_call *call, const void *message,
                               void (*done)(struct append_request *request));

/* Makes the event that tells of the request, of this type, as the one write of the request: the message itself is its payload.
 * False: no memory. */
bool change_tell(struct change_call *change, struct bytes stream, const char *type, const char *message_name,
                 const upb_MiniTable *layout);

/* What must be true of the stream that is changed. */
struct append_check change_expectation(struct bytes stream, bool has_revision, uint64_t revision);

/* Hands it to the sequencer, or answers why not. */
void change_submit(struct change_call *change);

/* Answers a request that was not committed. */
void change_refuse(const struct change_call *change, struct bytes stream);

#endif
