/* Appends: their results say where they went, and what is refused is told why. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "service/base/uuid.h"
#include "service/commit/sequencer.h"
#include "service/store/terms.h"
#include "tests/model/feed_world.h"
#include "tests/support/events.h"

#define WRITES_COUNT_MAX  3
#define EVENTS_COUNT_MAX  4
#define PARALLEL_COUNT    16
#define PAYLOAD_BYTES_MAX 2000

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

static void append_done(struct append_request *request) {
    const struct append *append = request->context;
    sem_post(append->done);
}

static void event_make(struct feed_world *world, struct append *append, uint32_t write, uint32_t event, uint8_t **at) {
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
static struct append *append_make(struct feed_world *world, bool expects) {
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

static void append_submit(struct feed_world *world, struct append *append) {
    cr_assert_not(failed(sequencer_submit(world->sequencer, &append->request)));
}

static void append_wait(struct feed_world *world) {
    while (sem_wait(&world->done) != 0) continue;
}

/* Puts a committed append into the model; its results must say exactly where it went. */
static void append_model(struct feed_world *world, const struct append *append) {
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
static void conflicts_check(struct feed_world *world, const struct append *append) {
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

void feed_step_append_one(struct feed_world *world) {
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
void feed_step_append_many(struct feed_world *world) {
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
