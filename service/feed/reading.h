/* reading.h: the inside of the feed: its shared state and one reader's progress. For the files of this folder.
 *
 * Threads: one mutex guards the state of the feed and of every reading; it is never held across a step, a read of the disk or a
 * callback. A step runs on a pool thread while `running` is set: until it is cleared nobody else touches the cursor, and the
 * reading is not freed. */
#ifndef SERVICE_FEED_READING_H
#define SERVICE_FEED_READING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "service/base/checksum.h"
#include "service/base/limits.h"
#include "service/base/state_machine.h"
#include "service/feed/buffers.h"
#include "service/feed/feed.h"
#include "service/feed/message.h"
#include "service/feed/source.h"
#include "service/feed/tail.h"
#include "service/store/index.h"

enum reading_state {
    READING_READY,   /* a step is due or running */
    READING_HOLDING, /* as many outcomes as may be held wait for the message in flight */
    READING_WAITING, /* parked until the head moves or a heartbeat is due */
    READING_ENDED,   /* nothing more will be sent */
    READING_CLOSED,  /* given back */
};

/* What a step found. */
enum step_kind {
    STEP_MESSAGE, /* `message` goes to the sink */
    STEP_WAIT,    /* nothing to say until the head moves */
    STEP_AGAIN,   /* nothing to say yet: a filter has passed over everything so far */
    STEP_END,     /* `failure` goes to the sink */
};

struct step {
    enum step_kind kind;
    bool is_last; /* of a finite read: a message, and the end without a failure behind it */
    struct feed_message message;
    enum failure failure;
    uint64_t log_records_count;  /* looked at on disk */
    uint64_t tail_records_count; /* looked at in memory */
};

/* Outcomes that wait for the message in flight, oldest first: messages, and at most one end, which is the newest. */
struct held {
    struct step steps[HELD_MESSAGES_COUNT_MAX];
    uint32_t first;
    uint32_t count;
};

/* Where a subscription is. */
struct subscription {
    uint64_t cursor; /* everything up to here is delivered or did not match */
    bool caught_up;  /* said so, and served from memory since */
    bool fell_behind_due;
    uint32_t heartbeat_ms;
};

/* Index hits that a read of one stream fetches at once. */
#define READ_HITS_COUNT_MAX 256

/* Where a finite read is. */
struct read {
    uint64_t head; /* of the moment it was opened */
    uint64_t next; /* position, or revision of a stream; 0: the end is reached */
    uint64_t remaining;
    bool backward;
    bool from_time_is_due; /* the first step turns it into `next` */
    bool stream_is_due;    /* the first step looks at where the stream begins */
    uint64_t first_revision;
    int64_t from_time_ns;
    bool has_stream;
    bool stream_found; /* at least one of the stream's records was seen */
    bool message_sent;
    size_t stream_size;
    struct term term;
    uint32_t hits_first;
    uint32_t hits_count;
    /* From here on nothing is cleared: most of a reading's memory is here, and most reads use none of it. */
    uint8_t stream[NAME_BYTES_MAX];
    struct index_entry hits[READ_HITS_COUNT_MAX]; /* fetched and not yet used: [hits_first, hits_count) */
};
#define READ_CLEARED_BYTES offsetof(struct read, stream)

struct reading {
    struct feed *feed;
    const struct feed_sink *sink;
    void *context;
    const struct filter *filter;
    bool is_subscription;

    /* Guarded by the feed's mutex. */
    struct state_machine state;
    bool queued;
    bool running;    /* a step is being taken */
    bool delivering; /* the sink is being called with a message */
    bool in_flight;  /* a message is with the sink */
    struct held held;
    bool cancelled;
    bool close_asked;
    bool heartbeat_due;
    size_t chunk_bytes; /* about so much goes into the message of the next step */
    int64_t heartbeat_at_ns;
    struct reading *queue_next;
    struct reading *all_next;
    struct reading *all_previous;

    /* Whoever runs a step. */
    union {
        struct subscription subscription;
        struct read read;
    };
};

struct feed {
    struct store *store;
    struct index *index;
    struct tail tail;
    struct buffers *buffers;
    atomic_uint_fast64_t head;

    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct reading *queue_first;
    struct reading **queue_last_link;
    struct reading *all_first;
    uint32_t readings_count;
    uint32_t waiting_count;
    size_t held_bytes;  /* of all readings */
    int64_t tick_at_ns; /* when the heartbeats are looked at next */
    bool draining;
    bool stopping;
    struct feed_counts counts;

    uint32_t readers_taken_count; /* by threads that have begun */

    uint32_t threads_count;
    pthread_t threads[READER_THREADS_COUNT_MAX];
    struct store_reader *readers[READER_THREADS_COUNT_MAX]; /* one for each thread */
};

/* --- read_time.c ------------------------------------------------------------------------------------------------------ */
/* Sets where the read begins by the time it was asked for. */
MUST_USE result read_time_resolve(struct reading *reading, struct source *source);

/* --- pool.c: the threads. -------------------------------------------------------------------------------------------- */
MUST_USE result pool_start(struct feed *feed);
void pool_stop(struct feed *feed);
/* Lets a step of the reading run soon. The mutex is held. `wake`: another thread than the caller's may have to take it. */
void pool_queue(struct feed *feed, struct reading *reading, bool wake);

/* --- reading.c: the life of a reading. ------------------------------------------------------------------------------- */
/* Runs one step and everything that follows from it. The mutex is not held; `running` is set. */
void reading_run(struct reading *reading, struct store_reader *reader);
/* A parked reading has a reason to look again. The mutex is held. */
void reading_wake(struct reading *reading);

/* --- subscription.c, read.c: the two kinds of steps. `feed` and `reading` are only read, but for the cursor. ------------ */
struct step subscription_step(struct reading *reading, struct source *source, bool heartbeat_due);
struct step read_step(struct reading *reading, struct source *source);
/* Sets the first position or revision, once the head is known. */
void read_begin(struct read *read, const struct read_options *options, uint64_t head);

/* Whether `before` and `after`, neighbours in the log, belong to different appends: all events of one append share their
 * recorded_at, which is later than that of the append before. */
MUST_USE result append_ends(struct bytes before, struct bytes after, bool *ret_ends);

static inline struct step step_end(enum failure failure) {
    return (struct step){.kind = STEP_END, .failure = failure};
}

#endif
