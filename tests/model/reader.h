/* reader.h: a sink for one reading of the feed: collects messages, at its own pace.
 *
 * Ownership: the caller's memory; it must outlive the reading (reader_finish waits for that).
 * Threads: the feed's threads fill it, the test's empties it. Errors: what takes too long is an assertion. */
#ifndef TESTS_MODEL_READER_H
#define TESTS_MODEL_READER_H

#include <pthread.h>
#include <stdbool.h>

#include "service/base/bytes.h"
#include "service/feed/feed.h"

struct reader_message {
    struct feed_message message;
    struct reader_message *next;
};

struct reader {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct reading *reading;
    struct reader_message *first;
    struct reader_message **last_link;
    bool slow;      /* messages leave only by reader_let_go */
    bool in_flight; /* of a slow reader */
    bool ended;
    bool ended_with_message;
    bool closed;
    enum failure failure;
};

extern const struct feed_sink reader_sink;

void reader_init(struct reader *reader, bool slow);

/* A slow reader's message leaves, if one is in flight. */
void reader_let_go(struct reader *reader);

/* Takes the next message; waits for one, for the end, or at most `wait_ms`. The caller calls its `release`. */
bool reader_receive(struct reader *reader, uint32_t wait_ms, struct feed_message *ret_message);

/* Waits until the reading has ended, letting slow messages go. */
void reader_wait_end(struct reader *reader);

/* Closes the reading in whatever state it is, waits until it is gone, frees what was not taken. */
void reader_finish(struct reader *reader);

#endif
