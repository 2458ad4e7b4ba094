/* The feed while memory runs out at every point, in all threads: a reading ends well with everything, or says that there was no
 * memory; what it delivers is in order and without a gap. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "service/feed/feed.h"
#include "service/record/record.h"
#include "service/store/terms.h"
#include "tests/model/responses.h"
#include "tests/support/allocation_faults.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define RECORDS_COUNT 210
#define PAYLOAD_BYTES 100
#define STREAMS_COUNT 7 /* of stores_record */

static struct temporary_directory directory;
static struct store *store;
static struct index *feed_index;
static struct chunk *chunk; /* the newest record, for live subscribers */

static void setup(void) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
    cr_assert_eq(stores_append(store, 1, RECORDS_COUNT, PAYLOAD_BYTES).failure, FAILURE_NONE);
    const struct temporary_path path = temporary_path(&directory, "index");
    const struct index_options options = {
        .directory = path.text, .map_bytes = STORES_MAP_BYTES, .store_id = store_id(store)};
    struct problem problem;
    cr_assert_eq(index_open(&options, &feed_index, &problem).failure, FAILURE_NONE);
    cr_assert_eq(terms_catch_up(store, feed_index).failure, FAILURE_NONE);
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    const struct bytes record = stores_record(RECORDS_COUNT, PAYLOAD_BYTES);
    cr_assert_eq(chunk_append_encoded(chunk, RECORDS_COUNT, record).failure, FAILURE_NONE);
    stores_record_free(record);
}

static void teardown(void) {
    chunk_unref(chunk);
    index_close(feed_index);
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(feed_allocation, .init = setup, .fini = teardown, .timeout = 300);

/* A sink that takes no memory. */
struct taker {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct reading *reading;
    uint64_t step;     /* from position to position */
    uint64_t position; /* of the last event */
    bool is_ended;
    bool is_closed;
    enum failure failure;
};

static void take(struct taker *taker, const struct feed_message *message) {
    struct response response = response_read(bytes_of(message->data, message->size));
    struct bytes record;
    while (response_take(&response, &record)) {
        cr_assert_eq(record_position(record), taker->position + taker->step);
        taker->position += taker->step;
    }
    message->release(message->context);
}

static void end(struct taker *taker, enum failure failure) {
    pthread_mutex_lock(&taker->mutex);
    taker->is_ended = true;
    taker->failure = failure;
    pthread_cond_broadcast(&taker->changed);
    pthread_mutex_unlock(&taker->mutex);
}

static void on_message(void *context, struct feed_message message) {
    struct taker *taker = context;
    take(taker, &message);
    /* A subscription has no end of its own. */
    if (taker->position == RECORDS_COUNT) end(taker, FAILURE_NONE);
    reading_sent(taker->reading, true);
}

static void on_last(void *context, struct feed_message message) {
    take(context, &message);
    end(context, FAILURE_NONE);
}

static void on_ended(void *context, enum failure failure) {
    end(context, failure);
}

static void on_closed(void *context) {
    struct taker *taker = context;
    pthread_mutex_lock(&taker->mutex);
    taker->is_closed = true;
    pthread_cond_broadcast(&taker->changed);
    pthread_mutex_unlock(&taker->mutex);
}

static const struct feed_sink sink = {.message = on_message, .last = on_last, .ended = on_ended, .closed = on_closed};

static void await(struct taker *taker, const bool *flag) {
    pthread_mutex_lock(&taker->mutex);
    while (!*flag) pthread_cond_wait(&taker->changed, &taker->mutex);
    pthread_mutex_unlock(&taker->mutex);
}

/* A reading from its beginning to its end. */
static void reading_take(struct taker *taker, result opened, uint64_t last) {
    if (failed(opened)) {
        cr_assert_eq(opened.failure, FAILURE_MEMORY);
        return;
    }
    await(taker, &taker->is_ended);
    reading_close(taker->reading);
    await(taker, &taker->is_closed);
    cr_assert(taker->failure == FAILURE_MEMORY || (taker->failure == FAILURE_NONE && taker->position == last),
              "%s at position %lu", failure_name(taker->failure), (unsigned long)taker->position);
}

static struct taker taker_from(uint64_t position, uint64_t step) {
    struct taker taker = {.position = position, .step = step};
    pthread_mutex_init(&taker.mutex, NULL);
    pthread_cond_init(&taker.changed, NULL);
    return taker;
}

static void readings_take(struct feed *feed) {
    struct taker all = taker_from(0, 1);
    const struct read_options everything = {.from = 1};
    reading_take(&all, feed_read(feed, &everything, &sink, &all, &all.reading), RECORDS_COUNT - 1);

    struct taker one = taker_from(3 - STREAMS_COUNT + STREAMS_COUNT * 2, STREAMS_COUNT);
    const struct read_options stream = {.stream = bytes_of_text("stream-3"), .from = 3};
    reading_take(&one, feed_read(feed, &stream, &sink, &one, &one.reading), RECORDS_COUNT - STREAMS_COUNT + 3);

    struct taker live = taker_from(RECORDS_COUNT / 2, 1);
    const struct subscribe_options subscription = {.after = RECORDS_COUNT / 2};
    const result opened = feed_subscribe(feed, &subscription, &sink, &live, &live.reading);
    feed_committed(feed, chunk);
    reading_take(&live, opened, RECORDS_COUNT);
}

/* Whether allocation `number` was made at all. */
static bool fail(uint32_t number, bool and_all_after) {
    const struct feed_options options = {.store = store, .index = feed_index, .head = RECORDS_COUNT - 1};
    const int64_t before_count = allocation_faults_live_count();
    struct feed *feed;
    allocation_faults_begin(number, and_all_after);
    const result opened = feed_open(&options, &feed);
    if (failed(opened)) {
        cr_assert_eq(opened.failure, FAILURE_MEMORY);
    } else {
        readings_take(feed);
        feed_close(feed);
    }
    const bool has_failed = allocation_faults_end() > 0;
    const int64_t forgotten_count = allocation_faults_live_count() - before_count;
    cr_assert_leq(forgotten_count, 1, "%ld blocks were forgotten after number %u", (long)forgotten_count, number);
    return has_failed;
}

static void fail_every(bool and_all_after) {
    cr_assert_gt(allocation_faults_each(fail, and_all_after), 5,
                 "a feed, its threads' readers, readings and messages are allocated");
}

Test(feed_allocation, one_that_fails) {
    fail_every(false);
}

Test(feed_allocation, all_that_fail_from_one_on) {
    fail_every(true);
}
