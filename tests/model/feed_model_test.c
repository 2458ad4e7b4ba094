/* The model test: random appends, reads and subscriptions against a plain list, through restarts.
 *
 * Checked at every step: order, no gap, no duplicate, the very bytes; that responses end where appends end; that positions
 * and marks are true; what is refused and why. The tail and the runs of the index are tiny, so that every hand-off between
 * memory and disk happens all the time. DAYBOOK_TEST_SEED replays a run, DAYBOOK_MODEL_STEPS makes it longer. */
#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/base/limits.h"
#include "service/commit/sequencer.h"
#include "service/feed/feed.h"
#include "service/record/filter.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/terms.h"
#include "tests/model/model.h"
#include "tests/model/reader.h"
#include "tests/model/responses.h"
#include "tests/support/events.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"

#define STEPS_COUNT       3000
#define SUBSCRIBERS_COUNT 6
#define WRITES_COUNT_MAX  3
#define EVENTS_COUNT_MAX  4
#define PARALLEL_COUNT    16
#define PAYLOAD_BYTES_MAX 2000
#define HEARTBEAT_MS      100
#define TAIL_BYTES        20000
#define RUN_EVENTS_COUNT  64
#define PATIENCE_MS       60000

/* One append on its way, with everything it points to. */
struct append {
    struct append_request request;
    struct append_write writes[WRITES_COUNT_MAX];
    struct append_event events[WRITES_COUNT_MAX][EVENTS_COUNT_MAX];
    struct append_result results[WRITES_COUNT_MAX];
    char ids[WRITES_COUNT_MAX][EVENTS_COUNT_MAX][UUID_TEXT_BYTES + 1];
    struct append_conflict conflicts[WRITES_COUNT_MAX * EVENTS_COUNT_MAX];
    uint32_t streams[WRITES_COUNT_MAX];
    uint32_t types[WRITES_COUNT_MAX][EVENTS_COUNT_MAX];
    uint32_t tags[WRITES_COUNT_MAX][EVENTS_COUNT_MAX];
    uint8_t *buffer;
    sem_t *done;
};

struct subscriber {
    bool open;
    struct reader reader;
    struct model_filter wanted;
    struct filter *filter;
    uint64_t delivered; /* the last position seen, or where it began */
    uint64_t position;  /* what the responses said */
    bool caught_up;
};

struct world {
    struct random random;
    struct temporary_directory directory;
    struct model *model;
    struct store *store;
    struct index *index;
    struct feed *feed;
    struct sequencer *sequencer;
    struct commit_listener listener;
    struct subscriber subscribers[SUBSCRIBERS_COUNT];
    sem_t done;
    uint64_t appends_count;
    uint64_t conflicts_count;
    uint64_t responses_count;
};

static void on_committed(void *context, struct chunk *chunk) {
    struct world *world = context;
    feed_committed(world->feed, chunk);
}

static void on_rewritten(void *context) {
    const struct world *world = context;
    feed_rewritten(world->feed);
}

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    cr_assert_fail("the store failed: %s", failure_name(failure));
}

static void rooms_open(struct world *world) {
    struct problem problem;
    struct temporary_path index_path = temporary_path(&world->directory, "store/index");
    struct temporary_path path = temporary_path(&world->directory, "store");
    const struct store_options store_options = {.directory = path.text, .map_bytes = GIB(1)};
    cr_assert_not(failed(store_open(&store_options, &world->store, &problem)), "%s", problem.text);
    const struct index_options index_options = {.directory = index_path.text,
                                                .map_bytes = GIB(1),
                                                .run_events_count = RUN_EVENTS_COUNT,
                                                .store_id = store_id(world->store)};
    cr_assert_not(failed(index_open(&index_options, &world->index, &problem)), "%s", problem.text);
    cr_assert_not(failed(terms_catch_up(world->store, world->index)));
    const struct feed_options feed_options = {.store = world->store,
                                              .index = world->index,
                                              .head = store_position_last(world->store),
                                              .tail_bytes_max = TAIL_BYTES};
    cr_assert_not(failed(feed_open(&feed_options, &world->feed)));
    world->listener = (struct commit_listener){
        .committed = on_committed, .rewritten = on_rewritten, .storage_failed = on_storage_failed, .context = world};
    const struct sequencer_options sequencer_options = {
        .store = world->store, .index = world->index, .listener = &world->listener};
    cr_assert_not(failed(sequencer_open(&sequencer_options, &world->sequencer)));
    cr_assert_eq(feed_head(world->feed), world->model->head);
}

static void rooms_close(struct world *world) {
    sequencer_close(world->sequencer);
    feed_close(world->feed);
    index_close(world->index);
    store_close(world->store);
}

/* --- Appends. --------------------------------------------------------------------------------------------------------- */

static void append_done(struct append_request *request) {
    const struct append *append = request->context;
    sem_post(append->done);
}

static void event_make(struct world *world, struct append *append, uint32_t write, uint32_t event, uint8_t **at) {
    const uint32_t type = (uint32_t)random_below(&world->random, MODEL_TYPES_COUNT);
    const uint32_t tags = (uint32_t)random_below(&world->random, 1u << MODEL_TAGS_COUNT);
    const char *names[MODEL_TAGS_COUNT];
    uint32_t names_count = 0;
    for (uint32_t tag = 0; tag < MODEL_TAGS_COUNT; tag++) {
        if ((tags & 1u << tag) != 0) names[names_count++] = model_tags[tag];
    }
    uint8_t payload[PAYLOAD_BYTES_MAX];
    const size_t payload_size = (size_t)random_below(&world->random, PAYLOAD_BYTES_MAX);
    random_fill(&world->random, payload, payload_size);
    struct append_event *target = &append->events[write][event];
    const struct uuid uuid = uuid_new();
    char *id = append->ids[write][event];
    uuid_format(&uuid, id);
    target->id = bytes_of(id, UUID_TEXT_BYTES);
    target->id_term = term_of(TERM_EVENT_ID, target->id);
    const struct event_parts parts = {.id = id,
                                      .type = model_types[type],
                                      .tags = names,
                                      .tags_count = names_count,
                                      .data = bytes_of(payload, payload_size)};
    target->encoded = event_encode(&parts, *at, PAYLOAD_BYTES_MAX + 512);
    *at += target->encoded.size;
    append->types[write][event] = type;
    append->tags[write][event] = tags;
}

/* A random append; with an expectation for about half of the first writes when `expects`. */
static struct append *append_make(struct world *world, bool expects) {
    struct append *append = calloc(1, sizeof *append);
    cr_assert_not_null(append);
    append->buffer = malloc((size_t)WRITES_COUNT_MAX * EVENTS_COUNT_MAX * (PAYLOAD_BYTES_MAX + 512));
    cr_assert_not_null(append->buffer);
    append->done = &world->done;
    uint8_t *at = append->buffer;
    struct append_request *request = &append->request;
    request->writes_count = 1 + (uint32_t)random_below(&world->random, WRITES_COUNT_MAX);
    uint32_t seen = 0;
    for (uint32_t write = 0; write < request->writes_count; write++) {
        const uint32_t stream = (uint32_t)random_below(&world->random, MODEL_STREAMS_COUNT);
        const uint32_t events_count = 1 + (uint32_t)random_below(&world->random, EVENTS_COUNT_MAX);
        for (uint32_t event = 0; event < events_count; event++) event_make(world, append, write, event, &at);
        const struct bytes name = bytes_of_text(model_streams[stream]);
        append->streams[write] = stream;
        append->writes[write] = (struct append_write){.stream = name,
                                                      .term = term_of(TERM_STREAM, name),
                                                      .events = append->events[write],
                                                      .events_count = events_count};
        if (expects && (seen & 1u << stream) == 0 && random_below(&world->random, 2) == 0) {
            const uint64_t actual = world->model->revisions[stream];
            append->writes[write].expectation = random_below(&world->random, 3) == 0 ? EXPECT_EXISTS : EXPECT_REVISION;
            append->writes[write].expected_revision = random_below(&world->random, 4) == 0 ? actual + 1 : actual;
        }
        seen |= 1u << stream;
        request->events_count += events_count;
    }
    request->size_bytes = (uint64_t)(at - append->buffer);
    request->writes = append->writes;
    request->results = append->results;
    request->conflicts = append->conflicts;
    request->done = append_done;
    request->context = append;
    return append;
}

static void append_free(struct append *append) {
    free(append->buffer);
    free(append);
}

static void append_submit(struct world *world, struct append *append) {
    cr_assert_not(failed(sequencer_submit(world->sequencer, &append->request)));
}

static void append_wait(struct world *world) {
    while (sem_wait(&world->done) != 0) continue;
}

/* Puts a committed append into the model; its results must say exactly where it went. */
static void append_model(struct world *world, const struct append *append) {
    cr_assert_eq(append->request.outcome, APPEND_COMMITTED);
    for (uint32_t write = 0; write < append->request.writes_count; write++) {
        const struct append_result *written = &append->results[write];
        const uint32_t stream = append->streams[write];
        cr_assert_eq(written->first_position, world->model->head + 1);
        cr_assert_eq(written->first_revision, world->model->revisions[stream] + 1);
        for (uint32_t event = 0; event < append->writes[write].events_count; event++) {
            model_append(world->model, stream, append->types[write][event], append->tags[write][event],
                         append->events[write][event].encoded);
        }
        cr_assert_eq(written->last_position, world->model->head);
        cr_assert_eq(written->last_revision, world->model->revisions[stream]);
    }
    model_append_end(world->model);
    world->appends_count++;
}

/* The conflicts that the model expects, in order. */
static void conflicts_check(struct world *world, const struct append *append) {
    uint32_t found = 0;
    for (uint32_t write = 0; write < append->request.writes_count; write++) {
        const struct append_write *source = &append->writes[write];
        const uint64_t actual = world->model->revisions[append->streams[write]];
        const bool holds = source->expectation == EXPECT_ANY || (source->expectation == EXPECT_EXISTS && actual > 0) ||
                           (source->expectation == EXPECT_REVISION && actual == source->expected_revision);
        if (holds) continue;
        cr_assert_lt(found, append->request.conflicts_count);
        cr_assert_eq(append->conflicts[found].index, write);
        cr_assert_eq(append->conflicts[found].actual, actual);
        found++;
    }
    cr_assert_eq(found, append->request.conflicts_count);
    cr_assert_eq(append->request.outcome, found == 0 ? APPEND_COMMITTED : APPEND_REVISION_CONFLICT);
}

static void step_append_one(struct world *world) {
    struct append *append = append_make(world, true);
    append_submit(world, append);
    append_wait(world);
    conflicts_check(world, append);
    if (append->request.outcome == APPEND_COMMITTED) {
        append_model(world, append);
    } else {
        world->conflicts_count++;
    }
    append_free(append);
}

static int append_compare(const void *left, const void *right) {
    const struct append *const *a = left;
    const struct append *const *b = right;
    const uint64_t first = (*a)->results[0].first_position;
    const uint64_t second = (*b)->results[0].first_position;
    return (first > second) - (first < second);
}

/* Several at once, so that they share groups; their results tell the order. */
static void step_append_many(struct world *world) {
    struct append *appends[PARALLEL_COUNT];
    const uint32_t count = 2 + (uint32_t)random_below(&world->random, PARALLEL_COUNT - 1);
    for (uint32_t index = 0; index < count; index++) appends[index] = append_make(world, false);
    for (uint32_t index = 0; index < count; index++) append_submit(world, appends[index]);
    for (uint32_t index = 0; index < count; index++) append_wait(world);
    qsort(appends, count, sizeof appends[0], append_compare);
    for (uint32_t index = 0; index < count; index++) {
        append_model(world, appends[index]);
        append_free(appends[index]);
    }
}

/* --- Filters. --------------------------------------------------------------------------------------------------------- */

static struct model_filter filter_wanted(struct world *world) {
    static const char *const prefixes[] = {"order", "order-", "order-2", "c"};
    struct model_filter wanted = {0};
    if (random_below(&world->random, 3) == 0) return wanted;
    if (random_below(&world->random, 3) == 0) wanted.streams = 1u << random_below(&world->random, MODEL_STREAMS_COUNT);
    if (random_below(&world->random, 3) == 0) wanted.types = 1u << random_below(&world->random, MODEL_TYPES_COUNT);
    if (random_below(&world->random, 3) == 0) wanted.tags = 1u << random_below(&world->random, MODEL_TAGS_COUNT);
    if (random_below(&world->random, 3) == 0) wanted.prefix = prefixes[random_below(&world->random, 4)];
    return wanted;
}

static uint32_t names_of(uint32_t set, const char *const *all, uint32_t count, struct bytes *ret_names) {
    uint32_t found = 0;
    for (uint32_t index = 0; index < count; index++) {
        if ((set & 1u << index) != 0) ret_names[found++] = bytes_of_text(all[index]);
    }
    return found;
}

/* The daemon's filter for it; NULL when everything is wanted. */
static struct filter *filter_make(const struct model_filter *wanted) {
    struct bytes streams[MODEL_STREAMS_COUNT];
    struct bytes types[MODEL_TYPES_COUNT];
    struct bytes tags[MODEL_TAGS_COUNT];
    struct bytes prefix = bytes_of_text(wanted->prefix == NULL ? "" : wanted->prefix);
    const struct filter_clause clause = {
        .streams = {streams, names_of(wanted->streams, model_streams, MODEL_STREAMS_COUNT, streams)},
        .types = {types, names_of(wanted->types, model_types, MODEL_TYPES_COUNT, types)},
        .tags = {tags, names_of(wanted->tags, model_tags, MODEL_TAGS_COUNT, tags)},
        .stream_prefixes = {&prefix, wanted->prefix == NULL ? 0 : 1},
    };
    if (clause.streams.count + clause.types.count + clause.tags.count + clause.stream_prefixes.count == 0) return NULL;
    struct filter *filter;
    cr_assert_not(failed(filter_new(&clause, 1, &filter)));
    return filter;
}

/* --- Subscribers. ------------------------------------------------------------------------------------------------------- */

/* Checks a response against what the subscriber must see next. */
static void response_check(struct world *world, struct subscriber *subscriber, struct feed_message message) {
    enum { POSITION = 2, HEAD = 3, CAUGHT_UP = 4 };
    struct response response = response_read(bytes_of(message.data, message.size));
    const uint64_t position = response.fields[POSITION];
    struct bytes record;
    cr_assert_geq(position, subscriber->position);
    cr_assert_leq(response.fields[HEAD], world->model->head);
    while (response_take(&response, &record)) {
        const uint64_t expected = model_next(world->model, subscriber->delivered, &subscriber->wanted);
        cr_assert_eq(model_check_record(world->model, record), expected);
        cr_assert_leq(expected, position);
        subscriber->delivered = expected;
    }
    const uint64_t next = model_next(world->model, subscriber->delivered, &subscriber->wanted);
    cr_assert(next == 0 || next > position, "position %lu was passed over", (unsigned long)next);
    if (position > subscriber->position && position <= world->model->head) {
        cr_assert(world->model->events[position - 1].ends_append, "position %lu splits an append",
                  (unsigned long)position);
    }
    if (subscriber->delivered < position) subscriber->delivered = position;
    subscriber->position = position;
    subscriber->caught_up = subscriber->caught_up || response.fields[CAUGHT_UP] != 0;
    if (response.fields[CAUGHT_UP] != 0) cr_assert_geq(position, response.fields[HEAD]);
    world->responses_count++;
}

static void subscriber_open(struct world *world, struct subscriber *subscriber, uint64_t after, bool from_end) {
    reader_init(&subscriber->reader, random_below(&world->random, 2) == 0);
    subscriber->filter = filter_make(&subscriber->wanted);
    subscriber->caught_up = false;
    subscriber->position = from_end ? world->model->head : after;
    subscriber->delivered = subscriber->position;
    const struct subscribe_options options = {
        .after = after, .from_end = from_end, .heartbeat_ms = HEARTBEAT_MS, .filter = subscriber->filter};
    cr_assert_not(
        failed(feed_subscribe(world->feed, &options, &reader_sink, &subscriber->reader, &subscriber->reader.reading)));
    subscriber->open = true;
}

static void subscriber_close(struct subscriber *subscriber) {
    reader_finish(&subscriber->reader);
    subscriber->filter = filter_free(subscriber->filter);
    subscriber->open = false;
}

static void subscriber_take(struct world *world, struct subscriber *subscriber, uint32_t count) {
    for (uint32_t index = 0; index < count; index++) {
        struct feed_message message;
        reader_let_go(&subscriber->reader);
        if (!reader_receive(&subscriber->reader, 0, &message)) return;
        response_check(world, subscriber, message);
        message.release(message.context);
    }
}

static void step_subscriber(struct world *world) {
    struct subscriber *subscriber = &world->subscribers[random_below(&world->random, SUBSCRIBERS_COUNT)];
    if (!subscriber->open) {
        subscriber->wanted = filter_wanted(world);
        const bool from_end = random_below(&world->random, 4) == 0;
        subscriber_open(world, subscriber, random_below(&world->random, world->model->head + 1), from_end);
    } else if (random_below(&world->random, 8) == 0) {
        subscriber_close(subscriber);
    } else {
        subscriber_take(world, subscriber, 1 + (uint32_t)random_below(&world->random, 8));
    }
}

/* Lets every subscriber come to the head: nothing may be missing then. */
static void subscribers_settle(struct world *world) {
    for (uint32_t index = 0; index < SUBSCRIBERS_COUNT; index++) {
        struct subscriber *subscriber = &world->subscribers[index];
        while (subscriber->open && (subscriber->position < world->model->head || !subscriber->caught_up)) {
            struct feed_message message;
            reader_let_go(&subscriber->reader);
            cr_assert(reader_receive(&subscriber->reader, PATIENCE_MS, &message), "a subscriber hangs at %lu of %lu",
                      (unsigned long)subscriber->position, (unsigned long)world->model->head);
            response_check(world, subscriber, message);
            message.release(message.context);
        }
    }
}

/* --- Reads. ------------------------------------------------------------------------------------------------------------- */

/* Whether the event at a position belongs to the read. */
static bool read_wants(const struct world *world, uint64_t position, const struct read_options *options,
                       const struct model_filter *wanted) {
    const struct model_event *event = &world->model->events[position - 1];
    if (!model_matches(event, wanted)) return false;
    const uint64_t number = options->stream.size > 0 ? event->revision : position;
    if (options->stream.size > 0 && !bytes_equal(options->stream, bytes_of_text(model_streams[event->stream]))) {
        return false;
    }
    if (options->from == 0) return true;
    return options->direction == READING_FORWARD ? number >= options->from : number <= options->from;
}

/* Compares everything the read brought with the list. */
static void read_check(struct world *world, struct reader *reader, const struct read_options *options,
                       const struct model_filter *wanted) {
    const bool backward = options->direction == READING_BACKWARD;
    uint64_t position = backward ? world->model->head + 1 : 0;
    uint64_t left = options->limit == 0 ? UINT64_MAX : options->limit;
    struct feed_message message;
    while (reader_receive(reader, 0, &message)) {
        struct response response = response_read(bytes_of(message.data, message.size));
        struct bytes record;
        cr_assert_eq(response.fields[2], world->model->head);
        while (response_take(&response, &record)) {
            do position += backward ? (uint64_t)-1 : 1;
            while (position >= 1 && position <= world->model->head && !read_wants(world, position, options, wanted));
            cr_assert_gt(left, 0);
            cr_assert_eq(model_check_record(world->model, record), position);
            left--;
        }
        message.release(message.context);
    }
    for (; left > 0;) {
        position += backward ? (uint64_t)-1 : 1;
        if (position < 1 || position > world->model->head) break;
        cr_assert_not(read_wants(world, position, options, wanted), "position %lu is missing", (unsigned long)position);
    }
}

static void step_read(struct world *world) {
    struct model_filter wanted = random_below(&world->random, 2) == 0 ? filter_wanted(world) : (struct model_filter){0};
    struct filter *filter = filter_make(&wanted);
    const uint32_t stream = (uint32_t)random_below(&world->random, MODEL_STREAMS_COUNT);
    const bool has_stream = random_below(&world->random, 2) == 0;
    const uint64_t span = has_stream ? world->model->revisions[stream] : world->model->head;
    const struct read_options options = {
        .stream = has_stream ? bytes_of_text(model_streams[stream]) : bytes_of(NULL, 0),
        .from = random_below(&world->random, 2) == 0 ? 0 : random_below(&world->random, span + 3),
        .direction = random_below(&world->random, 2) == 0 ? READING_FORWARD : READING_BACKWARD,
        .limit = random_below(&world->random, 2) == 0 ? 0 : random_below(&world->random, 40),
        .filter = filter};
    struct reader reader;
    reader_init(&reader, random_below(&world->random, 2) == 0);
    cr_assert_not(failed(feed_read(world->feed, &options, &reader_sink, &reader, &reader.reading)));
    reader_wait_end(&reader);
    if (has_stream && world->model->revisions[stream] == 0) {
        cr_assert_eq(reader.failure, FAILURE_NOT_FOUND);
    } else {
        cr_assert_eq(reader.failure, FAILURE_NONE, "%s", failure_name(reader.failure));
        cr_assert_not_null(reader.first, "a read sends at least its head");
        read_check(world, &reader, &options, &wanted);
    }
    reader_finish(&reader);
    filter_free(filter);
}

/* --- The run. ----------------------------------------------------------------------------------------------------------- */

/* Subscribers go on after the restart where they were, as the daemon's clients do. */
static void step_restart(struct world *world) {
    bool open[SUBSCRIBERS_COUNT];
    if (random_below(&world->random, 2) == 0) subscribers_settle(world);
    for (uint32_t index = 0; index < SUBSCRIBERS_COUNT; index++) {
        open[index] = world->subscribers[index].open;
        if (open[index]) subscriber_close(&world->subscribers[index]);
    }
    rooms_close(world);
    rooms_open(world);
    for (uint32_t index = 0; index < SUBSCRIBERS_COUNT; index++) {
        struct subscriber *subscriber = &world->subscribers[index];
        if (open[index]) subscriber_open(world, subscriber, subscriber->position, false);
    }
}

static void step(struct world *world) {
    const uint64_t choice = random_below(&world->random, 100);
    if (choice < 30) {
        step_append_one(world);
    } else if (choice < 40) {
        step_append_many(world);
    } else if (choice < 80) {
        step_subscriber(world);
    } else if (choice < 98) {
        step_read(world);
    } else if (choice < 99) {
        subscribers_settle(world);
    } else {
        step_restart(world);
    }
}

static uint64_t steps_count(void) {
    const char *text = getenv("DAYBOOK_MODEL_STEPS");
    return text == NULL ? STEPS_COUNT : strtoull(text, NULL, 10);
}

Test(feed_model, everything_equals_the_list, .timeout = 600) {
    struct world *world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    world->random = random_start("feed_model");
    world->directory = temporary_directory_make();
    world->model = model_new();
    sem_init(&world->done, 0, 0);
    rooms_open(world);
    for (uint64_t count = steps_count(); count > 0; count--) step(world);
    subscribers_settle(world);
    for (uint32_t index = 0; index < SUBSCRIBERS_COUNT; index++) {
        if (world->subscribers[index].open) subscriber_close(&world->subscribers[index]);
    }
    const struct feed_counts counts = feed_count(world->feed);
    (void)fprintf(stderr, "feed_model: %lu appends, %lu conflicts, %lu events, %lu responses checked\n",
                  (unsigned long)world->appends_count, (unsigned long)world->conflicts_count,
                  (unsigned long)world->model->head, (unsigned long)world->responses_count);
    cr_assert_eq(counts.subscriptions_count, 0);
    cr_assert_eq(counts.reads_count, 0);
    rooms_close(world);
    model_free(world->model);
    temporary_directory_remove(&world->directory);
    sem_destroy(&world->done);
    free(world);
}
