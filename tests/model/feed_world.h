/* feed_world.h: the daemon's rooms up to the feed, with subscribers of them, and the model that they are compared with.
 *
 * The tail and the runs of the index are tiny, so that every hand-off between memory and disk happens all the time. A step does
 * something at random and compares what comes of it.
 * Ownership: the world is the test's. Threads: one. Errors: assertions. */
#ifndef TESTS_MODEL_FEED_WORLD_H
#define TESTS_MODEL_FEED_WORLD_H

#include <semaphore.h>

#include "service/commit/listener.h"
#include "tests/model/model.h"
#include "tests/model/reader.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"

#define FEED_SUBSCRIBERS_COUNT 6

struct filter;

struct feed_subscriber {
    bool open;
    struct reader reader;
    struct model_filter wanted;
    struct filter *filter;
    uint64_t delivered; /* the last position seen, or where it began */
    uint64_t position;  /* what the responses said */
    bool caught_up;
};

struct feed_world {
    struct random random;
    struct temporary_directory directory;
    struct model *model;
    struct store *store;
    struct index *index;
    struct feed *feed;
    struct sequencer *sequencer;
    struct commit_listener listener;
    struct feed_subscriber subscribers[FEED_SUBSCRIBERS_COUNT];
    sem_t done;
    uint64_t appends_count;
    uint64_t conflicts_count;
    uint64_t responses_count;
};

/* Opens the rooms in their directory, and closes them; the directory stays. */
void feed_rooms_open(struct feed_world *world);
void feed_rooms_close(struct feed_world *world);

/* Any filter, and the daemon's for it; NULL when everything is wanted. */
struct model_filter feed_filter_wanted(struct feed_world *world);
struct filter *feed_filter_make(const struct model_filter *wanted);

/* feed_appends.c: one append, which may be refused, and several at once, which share groups. */
void feed_step_append_one(struct feed_world *world);
void feed_step_append_many(struct feed_world *world);

/* feed_reads.c */
void feed_step_read(struct feed_world *world);

#endif
