/* Reads and subscriptions as their clients see them. tests/model has them all at once and at random. */
#include <criterion/criterion.h>

#include "service/base/limits.h"
#include "service/feed/reading.h"
#include "service/record/record.h"
#include "service/store/terms.h"
#include "tests/model/reader.h"
#include "tests/model/responses.h"
#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

#define RECORDS_COUNT 1000
#define PAYLOAD_BYTES 100
#define LONG_MS       60000

static struct temporary_directory directory;
static struct store *store;
static struct index *feed_index;
static struct feed *feed;
static struct reader reader;

static void begin(uint64_t records_count, size_t payload_bytes) {
    directory = temporary_directory_make();
    store = stores_open(directory.path);
    for (uint64_t first = 1; first <= records_count; first += 100) {
        const result appended = stores_append(store, first, first + 99, payload_bytes);
        cr_assert_eq(appended.failure, FAILURE_NONE);
    }
    const struct temporary_path path = temporary_path(&directory, "index");
    const struct index_options index_options = {
        .directory = path.text, .map_bytes = STORES_MAP_BYTES, .store_id = store_id(store)};
    struct problem problem;
    cr_assert_eq(index_open(&index_options, &feed_index, &problem).failure, FAILURE_NONE);
    cr_assert_eq(terms_catch_up(store, feed_index).failure, FAILURE_NONE);
    const struct feed_options options = {.store = store, .index = feed_index, .head = records_count};
    cr_assert_eq(feed_open(&options, &feed).failure, FAILURE_NONE);
    reader_init(&reader, false);
}

static void setup(void) {
    begin(RECORDS_COUNT, PAYLOAD_BYTES);
}

static void teardown(void) {
    feed = feed_close(feed);
    index_close(feed_index);
    store_close(store);
    temporary_directory_remove(&directory);
}

TestSuite(feed, .init = setup, .fini = teardown);

/* One more group on disk and at the head. */
static void commit(uint64_t first, uint64_t last) {
    cr_assert_eq(stores_append(store, first, last, PAYLOAD_BYTES).failure, FAILURE_NONE);
    struct chunk *chunk;
    cr_assert_eq(chunk_new(0, 0, &chunk).failure, FAILURE_NONE);
    for (uint64_t position = first; position <= last; position++) {
        const struct bytes record = stores_record(position, PAYLOAD_BYTES);
        cr_assert_eq(chunk_append_encoded(chunk, position, record).failure, FAILURE_NONE);
        stores_record_free(record);
    }
    feed_committed(feed, chunk);
    chunk_unref(chunk);
}

static void read_start(struct read_options options) {
    cr_assert_eq(feed_read(feed, &options, &reader_sink, &reader, &reader.reading).failure, FAILURE_NONE);
}

static void subscribe(struct subscribe_options options) {
    cr_assert_eq(feed_subscribe(feed, &options, &reader_sink, &reader, &reader.reading).failure, FAILURE_NONE);
}

/* Takes the read to its end; its events must be those of the positions from `first` on by `step`, `count` of them. */
static void expect_read(uint64_t first, int64_t step, uint64_t count) {
    struct feed_message message;
    uint64_t position = first;
    uint64_t seen_count = 0;
    while (reader_receive(&reader, LONG_MS, &message)) {
        struct response response = response_read(bytes_of(message.data, message.size));
        cr_assert_eq(response.fields[2], RECORDS_COUNT, "the head");
        struct bytes record;
        for (; response_take(&response, &record); seen_count++) {
            cr_assert_eq(record_position(record), position);
            position = (uint64_t)((int64_t)position + step);
        }
        message.release(message.context);
    }
    cr_assert_eq(seen_count, count);
    cr_assert_eq(reader.failure, FAILURE_NONE);
    cr_assert(reader.ended_with_message, "the end goes with the last message");
    reader_finish(&reader);
}

Test(feed, a_read_of_everything) {
    read_start((struct read_options){0});
    expect_read(1, 1, RECORDS_COUNT);
}

Test(feed, a_read_backward_from_the_head) {
    read_start((struct read_options){.direction = READING_BACKWARD});
    expect_read(RECORDS_COUNT, -1, RECORDS_COUNT);
}

Test(feed, a_read_with_a_beginning_and_a_limit) {
    read_start((struct read_options){.from = 500, .limit = 7});
    expect_read(500, 1, 7);
}

Test(feed, a_read_from_beyond_the_head_finds_nothing) {
    read_start((struct read_options){.from = RECORDS_COUNT + 1});
    expect_read(0, 1, 0);
}

Test(feed, a_read_of_one_stream_by_revision) {
    /* stores_record: stream-3 has the positions 3, 10, 17, ... */
    read_start((struct read_options){.stream = bytes_of_text("stream-3"), .from = 2, .limit = 5});
    expect_read(10, 7, 5);
}

Test(feed, a_read_of_one_stream_backward) {
    read_start((struct read_options){.stream = bytes_of_text("stream-3"), .direction = READING_BACKWARD, .from = 3});
    expect_read(17, -7, 3);
}

Test(feed, a_read_of_an_unknown_stream) {
    read_start((struct read_options){.stream = bytes_of_text("nobody")});
    reader_wait_end(&reader);
    cr_assert_eq(reader.failure, FAILURE_NOT_FOUND);
    reader_finish(&reader);
}

Test(feed, a_read_does_not_see_what_comes_after_its_beginning) {
    reader_init(&reader, true);
    read_start((struct read_options){0});
    commit(RECORDS_COUNT + 1, RECORDS_COUNT + 10);
    reader_wait_end(&reader);
    expect_read(1, 1, RECORDS_COUNT);
}

/* Takes responses until one is at a position; returns the marks of the last. */
static struct response follow_to(uint64_t *position, uint64_t last) {
    struct response response = {0};
    while (*position < last) {
        struct feed_message message;
        cr_assert(reader_receive(&reader, LONG_MS, &message), "position %lu", (unsigned long)*position);
        response = response_read(bytes_of(message.data, message.size));
        struct bytes record;
        while (response_take(&response, &record)) cr_assert_eq(record_position(record), ++*position);
        cr_assert_eq(response.fields[2], *position);
        message.release(message.context);
    }
    return response;
}

Test(feed, a_subscription_catches_up_and_follows) {
    subscribe((struct subscribe_options){.heartbeat_ms = LONG_MS});
    uint64_t position = 0;
    cr_assert_eq(follow_to(&position, RECORDS_COUNT).fields[4], 1, "caught up");
    for (uint64_t next = RECORDS_COUNT + 1; next <= RECORDS_COUNT + 50; next += 5) {
        commit(next, next + 4);
        cr_assert_eq(follow_to(&position, next + 4).fields[4], 0, "it is said once");
    }
    reader_finish(&reader);
}

Test(feed, a_subscription_from_the_end_hears_of_what_comes) {
    subscribe((struct subscribe_options){.from_end = true, .heartbeat_ms = LONG_MS});
    struct feed_message message;
    cr_assert(reader_receive(&reader, LONG_MS, &message));
    const struct response response = response_read(bytes_of(message.data, message.size));
    cr_assert_eq(response.fields[2], RECORDS_COUNT);
    cr_assert_eq(response.fields[4], 1);
    message.release(message.context);
    commit(RECORDS_COUNT + 1, RECORDS_COUNT + 1);
    uint64_t position = RECORDS_COUNT;
    follow_to(&position, RECORDS_COUNT + 1);
    reader_finish(&reader);
}

Test(feed, an_idle_subscription_has_a_heartbeat) {
    subscribe((struct subscribe_options){.from_end = true, .heartbeat_ms = 100});
    uint32_t heartbeats_count = 0;
    while (heartbeats_count < 3) {
        struct feed_message message;
        cr_assert(reader_receive(&reader, LONG_MS, &message));
        const struct response response = response_read(bytes_of(message.data, message.size));
        heartbeats_count += (uint32_t)response.fields[6];
        cr_assert_eq(response.fields[2], RECORDS_COUNT, "it tells the position");
        message.release(message.context);
    }
    reader_finish(&reader);
}

Test(feed, a_drain_ends_subscriptions_and_lets_reads_finish) {
    struct reader slow;
    reader_init(&slow, true);
    const struct read_options options = {0};
    cr_assert_eq(feed_read(feed, &options, &reader_sink, &slow, &slow.reading).failure, FAILURE_NONE);
    subscribe((struct subscribe_options){.from_end = true, .heartbeat_ms = LONG_MS});
    feed_drain(feed);
    reader_wait_end(&reader);
    cr_assert_eq(reader.failure, FAILURE_STOPPED);
    reader_finish(&reader);
    reader_wait_end(&slow);
    cr_assert_eq(slow.failure, FAILURE_NONE);
    reader_finish(&slow);
    struct reading *late;
    cr_assert_eq(feed_read(feed, &options, &reader_sink, &reader, &late).failure, FAILURE_STOPPED);
}

Test(feed, a_canceled_reading_is_closed_and_gives_everything_back) {
    reader_init(&reader, true);
    subscribe((struct subscribe_options){.heartbeat_ms = LONG_MS});
    struct feed_message message;
    cr_assert(reader_receive(&reader, LONG_MS, &message));
    message.release(message.context);
    reading_cancel(reader.reading);
    reading_sent(reader.reading, false);
    reader.in_flight = false;
    reader_finish(&reader);
    cr_assert_eq(feed_count(feed).subscriptions_count, 0);
    cr_assert_eq(feed->held_bytes, 0);
}

/* --- A reader that does not take what it is sent ------------------------------------------------------------------ */

#define LARGE_BYTES 60000 /* nine of them fill a message */

static void setup_large(void) {
    begin(200, LARGE_BYTES);
}

TestSuite(slow_feed, .init = setup_large, .fini = teardown);

/* Waits until nothing more happens: the reading holds as much as it may. */
static void wait_until_held(void) {
    for (bool holds = false; !holds;) {
        pthread_mutex_lock(&feed->mutex);
        holds = reader.reading->state.current == READING_HOLDING;
        pthread_mutex_unlock(&feed->mutex);
    }
}

Test(slow_feed, a_slow_reader_holds_a_few_messages_and_no_more) {
    reader_init(&reader, true);
    subscribe((struct subscribe_options){.heartbeat_ms = LONG_MS});
    wait_until_held();
    cr_assert_eq(feed_count(feed).messages_sent, 1, "one is in flight");
    cr_assert_eq(reader.reading->held.count, HELD_MESSAGES_COUNT_MAX);
    cr_assert_leq(feed->held_bytes, HELD_MESSAGES_COUNT_MAX * (CHUNK_BYTES_TARGET + LARGE_BYTES + KIB(1)));
    reader_let_go(&reader);
    wait_until_held();
    cr_assert_eq(feed_count(feed).messages_sent, 2, "one for one");
    reader_finish(&reader);
    cr_assert_eq(feed->held_bytes, 0);
}

/* Two messages, of which the second is the last. */
static void read_two_messages(void) {
    reader_init(&reader, true);
    const uint64_t first_count = (CHUNK_BYTES_TARGET + LARGE_BYTES - 1) / LARGE_BYTES;
    read_start((struct read_options){.limit = first_count + 1});
    wait_until_held();
    cr_assert_eq(feed_count(feed).messages_sent, 1, "one is in flight");
    cr_assert_eq(reader.reading->held.count, 1, "and nothing is behind the last one");
    cr_assert_not(reader.ended);
}

Test(slow_feed, the_last_message_waits_for_the_one_in_flight) {
    read_two_messages();
    reader_let_go(&reader);
    cr_assert(reader.ended);
    cr_assert(reader.ended_with_message);
    cr_assert_eq(feed_count(feed).messages_sent, 2);
    reader_finish(&reader);
    cr_assert_eq(feed->held_bytes, 0);
}

Test(slow_feed, a_last_message_that_nobody_takes_is_given_back) {
    read_two_messages();
    reader_finish(&reader);
    cr_assert_not(reader.ended_with_message);
    cr_assert_eq(feed->held_bytes, 0);
}

#define READERS_COUNT 80

Test(slow_feed, many_slow_readers_share_what_may_be_held) {
    static struct reader readers[READERS_COUNT];
    for (uint32_t index = 0; index < READERS_COUNT; index++) {
        reader_init(&readers[index], true);
        const struct subscribe_options options = {.heartbeat_ms = LONG_MS};
        cr_assert_eq(feed_subscribe(feed, &options, &reader_sink, &readers[index], &readers[index].reading).failure,
                     FAILURE_NONE);
    }
    for (bool all_hold = false; !all_hold;) {
        all_hold = true;
        pthread_mutex_lock(&feed->mutex);
        for (uint32_t index = 0; index < READERS_COUNT; index++) {
            all_hold = all_hold && readers[index].reading->state.current == READING_HOLDING;
        }
        pthread_mutex_unlock(&feed->mutex);
    }
    /* One for each of them; a second one only within the limit of all. */
    const size_t message_bytes_max = CHUNK_BYTES_TARGET + LARGE_BYTES + KIB(1);
    cr_assert_leq(feed->held_bytes, HELD_BYTES_MAX + READERS_COUNT * message_bytes_max);
    uint32_t more_than_one_count = 0;
    for (uint32_t index = 0; index < READERS_COUNT; index++) {
        cr_assert_geq(readers[index].reading->held.count, 1);
        if (readers[index].reading->held.count > 1) more_than_one_count++;
    }
    cr_assert_lt(more_than_one_count, READERS_COUNT);
    for (uint32_t index = 0; index < READERS_COUNT; index++) reader_finish(&readers[index]);
    cr_assert_eq(feed->held_bytes, 0);
}

/* What others have not taken is a buffer of the test's own here. */
static struct buffer *leave_untaken(size_t size) {
    struct buffer *untaken;
    cr_assert_eq(buffer_take(feed->buffers, size, &untaken).failure, FAILURE_NONE);
    return untaken;
}

Test(slow_feed, a_reader_does_with_little_while_much_is_untaken) {
    struct buffer *untaken = leave_untaken(UNTAKEN_BYTES_TIGHT);
    reader_init(&reader, true);
    read_start((struct read_options){.limit = UINT64_MAX});
    uint64_t messages_count = 0;
    while (messages_count < 10) {
        wait_until_held();
        messages_count++;
        cr_assert_eq(feed_count(feed).messages_sent, messages_count, "one is in flight");
        cr_assert_eq(reader.reading->held.count, 0, "and none behind it");
        reader_let_go(&reader);
    }
    wait_until_held();
    buffer_give(untaken);
    for (uint64_t position = 1; position <= 200;) {
        struct feed_message message;
        cr_assert(reader_receive(&reader, LONG_MS, &message));
        if (position <= messages_count) cr_assert_lt(message.size, 2 * LARGE_BYTES, "an event, not half a megabyte");
        struct response response = response_read(bytes_of(message.data, message.size));
        struct bytes record;
        while (response_take(&response, &record)) cr_assert_eq(record_position(record), position++);
        message.release(message.context);
        reader_let_go(&reader);
    }
    reader_finish(&reader);
    cr_assert_eq(buffers_out_bytes(feed->buffers), 0);
}

Test(slow_feed, new_readers_are_refused_while_too_much_is_untaken) {
    struct buffer *untaken = leave_untaken(UNTAKEN_BYTES_MAX);
    const struct read_options options = {.limit = 1};
    struct reading *reading;
    cr_assert_eq(feed_read(feed, &options, &reader_sink, &reader, &reading).failure, FAILURE_LIMIT);
    buffer_give(untaken);
    reader_init(&reader, false);
    read_start(options);
    reader_wait_end(&reader);
    reader_finish(&reader);
    cr_assert_eq(buffers_out_bytes(feed->buffers), 0);
}
