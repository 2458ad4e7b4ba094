/* feed.h: how events reach readers: the head, the tail ring, reads and subscriptions.
 *
 * A subscription is a head broadcast and a pull cursor: catch-up and live are one path (subscription.c draws it). Readers
 * take what they need from the tail ring in memory or from the log on disk, in short steps on the feed's own threads; a
 * slow reader costs nobody anything.
 * Ownership: the feed borrows store and index, which outlive it. Readings belong to the feed; the caller holds them from
 * open until `closed`.
 * Threads: as each function says. Sink callbacks of one reading never run at the same time. */
#ifndef SERVICE_FEED_FEED_H
#define SERVICE_FEED_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"
#include "service/commit/listener.h"
#include "service/record/filter.h"

struct feed;
struct index;
struct reading;
struct store;

struct feed_options {
    struct store *store;
    struct index *index;
    uint32_t reader_threads_count; /* 0: READER_THREADS_COUNT_DEFAULT */
    uint64_t head;                 /* the store's last position at the start */
    size_t tail_bytes_max;         /* 0: TAIL_BYTES_MAX; tests use small ones */
};

MUST_USE result feed_open(const struct feed_options *options, struct feed **ret_feed);

/* Every reading must be closed before. NULL is allowed. Returns NULL. */
struct feed *feed_close(struct feed *feed);

/* What the sequencer tells: publishes the chunk in the tail, then advances the head, then wakes who waits. */
void feed_committed(struct feed *feed, struct chunk *chunk);

/* What the sequencer tells before that, when it has rewritten older records: memory forgets what it has of them. */
void feed_rewritten(struct feed *feed);

/* The last position that may be read: durable and published. Any thread. */
uint64_t feed_head(const struct feed *feed);

/* Ends every subscription with FAILURE_STOPPED and lets no new reading in; finite reads go on to their end. Any thread. */
void feed_drain(struct feed *feed);
/* Whether that was said. Any thread. */
bool feed_is_draining(struct feed *feed);

/* One message to a client: the bytes of a response, ready to be sent. `release` must be called once, when they are no longer
 * used, from any thread. */
struct feed_message {
    const void *data;
    size_t size;
    void (*release)(void *context);
    void *context;
};

/* Where a reading delivers. All callbacks run on the feed's threads and must not block. */
struct feed_sink {
    /* The next message; the sink answers with reading_sent once it has left. One is in flight at a time. */
    void (*message)(void *context, struct feed_message message);
    /* `message`, and the end of a finite read behind it, in one: what `ended` says with FAILURE_NONE holds, and no
     * reading_sent is due. */
    void (*last)(void *context, struct feed_message message);
    /* Nothing more will come, and nothing is in flight: FAILURE_NONE at the end of a finite read,
     * FAILURE_NOT_FOUND for a stream without events, FAILURE_STOPPED when the daemon drains, FAILURE_CORRUPT,
     * FAILURE_STORAGE, FAILURE_MEMORY. Not after reading_cancel was called. The reading is still open: the sink closes it
     * with reading_close. */
    void (*ended)(void *context, enum failure failure);
    /* After reading_close: nothing is in flight and nothing of the reading will be used again. Exactly once. */
    void (*closed)(void *context);
};

enum reading_direction { READING_FORWARD, READING_BACKWARD };

/* A finite read: ReadResponse messages up to the head of the moment it was opened. */
struct read_options {
    struct bytes stream; /* empty: everything; copied */
    uint64_t from;       /* a revision when `stream` is set, else a position; 0: the first, or the last backward */
    /* Instead of `from`: the first event recorded at or after a time, or the last one at or before it backward. */
    bool has_from_time;
    int64_t from_time_ns; /* since 1970 */
    enum reading_direction direction;
    uint64_t limit;              /* 0: none */
    const struct filter *filter; /* NULL: everything; owned by the caller until `closed` */
};
/* FAILURE_LIMIT: too many readings, FAILURE_STOPPED, FAILURE_MEMORY. Callbacks may run before this returns, but not before
 * `*ret_reading` is set. */
MUST_USE result feed_read(struct feed *feed, const struct read_options *options, const struct feed_sink *sink,
                          void *context, struct reading **ret_reading);

/* A subscription: SubscribeResponse messages, for ever. */
struct subscribe_options {
    uint64_t after;
    bool from_end; /* after the head of this moment instead */
    uint32_t heartbeat_ms;
    const struct filter *filter; /* as above */
};
MUST_USE result feed_subscribe(struct feed *feed, const struct subscribe_options *options, const struct feed_sink *sink,
                               void *context, struct reading **ret_reading);

/* The message given to the sink has left (ok), or the client is gone (not ok: as reading_cancel). Any thread. */
void reading_sent(struct reading *reading, bool ok);

/* The client is gone: no further message. `closed` still needs reading_close. Any thread, any number of times. */
void reading_cancel(struct reading *reading);

/* The caller is done with the reading; `closed` follows when nothing is in flight, perhaps before this returns. Any thread,
 * once. */
void reading_close(struct reading *reading);

struct feed_counts {
    uint64_t subscriptions_count;
    uint64_t reads_count;
    uint64_t tail_bytes;
    uint64_t messages_sent;
    uint64_t records_from_tail;
    uint64_t records_from_log;
};
struct feed_counts feed_count(struct feed *feed);

#endif
