/* stream.h: a stream's parts as its three files see them; see daybook/stream.h.
 *
 * stream.c opens and closes, stream_read.c receives, and stream_write.c sends. No thread works for a stream but those that use
 * it: it has a completion queue of its own, from which each plucks what it waits for (pluck.h). So every operation belongs to
 * one thread at a time: the reader's are the messages and, after the last one, the status; the writer's are what it has
 * written; when both are done, whoever closes takes what is left. What is shared is atomic.
 *
 * Ownership: a stream owns its parts; gRPC points into them until the operation has been plucked.
 * Threads: as said; `cancel` is for any.
 * Errors: none beside those of daybook/stream.h. */
#ifndef DAYBOOK_SDK_RUNTIME_STREAM_H
#define DAYBOOK_SDK_RUNTIME_STREAM_H

#include <stdatomic.h>

#include "daybook/stream.h"
#include "sdk/runtime/exchange.h"
#include "sdk/runtime/pluck.h"

/* The first block of the arena that a message is decoded into: small messages need no other. */
#define STREAM_ARENA_BYTES 1024

/* An operation, and whether it was started and not plucked yet. */
struct stream_operation {
    struct loop_operation operation;
    bool pending;
};

struct daybook_stream {
    struct exchange exchange;
    grpc_completion_queue *queue;
    atomic_bool cancelled;
    atomic_bool initial_metadata_known;

    /* The reader's. */
    struct stream_operation heading; /* receives the initial metadata */
    struct stream_operation receiving;
    struct stream_operation ending;
    grpc_byte_buffer *incoming; /* gRPC's, while a message is being received */
    bool drained;               /* no message is left to receive */
    bool over;                  /* END or ERROR was said, or the response given out, and is ever after */
    bool has_trailing_metadata;
    daybook_status outcome;
    grpc_byte_buffer *current; /* what the message given out last points into */
    const void *message;
    upb_Arena *arena;
    char arena_memory[STREAM_ARENA_BYTES] __attribute__((aligned(16)));

    /* The writer's. */
    struct stream_operation sending;
    struct stream_operation closing; /* of the sending half */
    grpc_byte_buffer *outgoing;
    bool writes_failed; /* gRPC takes no message any more */
};

/* Starts an operation that is not pending. */
void daybook__stream_start(struct daybook_stream *stream, struct stream_operation *operation, const grpc_op *batch,
                           size_t batch_count);

/* Plucks an operation that is pending. False: not before the deadline. */
DAYBOOK_MUST_USE bool daybook__stream_pluck(struct daybook_stream *stream, struct stream_operation *operation,
                                            gpr_timespec deadline, bool *ret_ok);

/* Asks for a message. The reader's. */
void daybook__stream_receive(struct daybook_stream *stream);

/* Frees what was received, and what was to be sent, once nothing is pending. */
void daybook__stream_reads_deinit(struct daybook_stream *stream);
void daybook__stream_writes_deinit(struct daybook_stream *stream);

#endif
