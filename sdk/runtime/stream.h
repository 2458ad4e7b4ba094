/* stream.h: a stream's parts as its three files see them; see daybook/stream.h.
 *
 * stream.c opens, ends and closes; stream_read.c receives, and stream_write.c sends.
 *
 * Operations of gRPC run beside each other, at most one of a kind, and are counted. The one that receives the status is
 * among them from the start, and nothing is started once the status is known, so the stream is over exactly when nothing
 * is pending any more:
 *
 *            open                  nothing is pending            gRPC's call is let go
 *   (new) --------> STREAM_RUNNING -----------------> STREAM_ENDING ----------------> STREAM_ENDED
 *
 * Ownership: a stream owns its parts; gRPC points into them until the operation has completed.
 * Threads: as each function says. Operations are counted while the stream is locked, and started when it is not: gRPC
 * works on the network meanwhile, which must not hold up the other threads.
 * Errors: none beside those of daybook/stream.h. */
#ifndef DAYBOOK_SDK_RUNTIME_STREAM_H
#define DAYBOOK_SDK_RUNTIME_STREAM_H

#include <pthread.h>

#include "daybook/stream.h"
#include "sdk/runtime/exchange.h"
#include "sdk/runtime/loop.h"

/* Messages that have come and were not read yet: one more is asked for while there are fewer, and fewer bytes. */
#define DAYBOOK_STREAM_READS_BYTES_MAX 16384
#define DAYBOOK_STREAM_READS_MAX       64

/* The first block of the arena that a message is decoded into: small messages need no other. */
#define STREAM_ARENA_BYTES 1024

/* Messages that are sent between two looks at the queue. Half of the window: the writer fills the other half meanwhile. */
#define STREAM_WRITES_BATCH_MAX (DAYBOOK_STREAM_WRITES_MAX / 2)

typedef enum stream_state {
    STREAM_RUNNING,
    STREAM_ENDING,
    STREAM_ENDED,
} stream_state;

/* The receiving part. */
struct stream_reads {
    struct loop_operation operation;
    grpc_byte_buffer *incoming; /* gRPC's, while a message is being received */

    /* The lock's. */
    bool receiving;
    bool drained; /* no message is left to receive */
    grpc_byte_buffer *ahead[DAYBOOK_STREAM_READS_MAX];
    uint32_t ahead_first;
    uint32_t ahead_count;
    size_t ahead_bytes;

    /* The reader's own; no other thread touches them. */
    bool over; /* END or ERROR was said, or the response given out, and is ever after */
    bool has_trailing_metadata;
    daybook_status outcome;
    grpc_byte_buffer *current; /* what the message given out last points into */
    const void *message;
    upb_Arena *arena;
    char arena_memory[STREAM_ARENA_BYTES] __attribute__((aligned(16)));
};

/* The sending part, of methods whose client streams. Whoever has set `sending` goes on alone, from one completion to the
 * next, until nothing is queued; messages that it has seen under the lock it takes without. */
struct stream_writes {
    struct daybook_stream *stream;
    struct loop_operation operation;
    grpc_byte_buffer *outgoing; /* carries each message to gRPC */

    /* The lock's. */
    bool sending;
    bool failed; /* gRPC takes no message any more */
    bool done;   /* nothing more will be written */
    bool done_sent;
    uint32_t count; /* in the queue, or sent since the sender has looked last */
    size_t bytes;
    grpc_slice queue[DAYBOOK_STREAM_WRITES_MAX]; /* a ring; what the sender has seen is its own */
    uint32_t last;                               /* where the next one is put */

    /* The sender's own. */
    uint32_t first;
    uint32_t seen_count; /* messages that are queued for certain */
    uint32_t sent_count; /* since it has looked last */
    size_t sent_bytes;
};

struct daybook_stream {
    struct exchange exchange;
    struct loop_operation opening;
    struct loop_operation ending;

    pthread_mutex_t mutex;
    pthread_cond_t readable; /* for the reader, and for close */
    pthread_cond_t writable;
    stream_state state;
    uint32_t operations_pending;
    bool cancelled;
    bool status_known;
    daybook_status status;
    bool initial_metadata_known;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;

    struct stream_reads reads;
    struct stream_writes *writes; /* NULL unless the client streams */
};

/* Counts an operation that is about to be started. The stream is locked and runs. */
void daybook__stream_operation_begins(struct daybook_stream *stream);

/* Counts an operation that has ended, and unlocks the stream: when it was the last, the stream is over, and may be gone when
 * this returns. */
void daybook__stream_operation_ends_unlock(struct daybook_stream *stream);

/* Whether nothing may be started any more. The stream is locked. */
bool daybook__stream_is_over(const struct daybook_stream *stream);

/* Notes the server's initial metadata. The stream is locked. */
void daybook__stream_note_initial_metadata(struct daybook_stream *stream);

/* --- stream_read.c ------------------------------------------------------------------------------------------------- */

/* Asks for the first message. The stream is locked. */
void daybook__stream_reads_start(struct daybook_stream *stream);

/* Frees what was received, once nothing is pending. */
void daybook__stream_reads_deinit(struct stream_reads *reads);

/* --- stream_write.c ------------------------------------------------------------------------------------------------ */

/* NULL without memory. */
DAYBOOK_MUST_USE struct stream_writes *daybook__stream_writes_new(struct daybook_stream *stream);

/* Frees what was not sent, once nothing is pending. NULL is allowed. */
void daybook__stream_writes_free(struct stream_writes *writes);

#endif
