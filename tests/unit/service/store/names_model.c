#include "tests/unit/service/store/names_model.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service/base/limits.h"
#include "service/store/terms.h"
#include "tests/support/events.h"
#include "tests/support/stores.h"

#define KIND_NAMES_COUNT  (NAMES_MODEL_NAMES_COUNT / 3)
#define TAGS_EACH_MAX     4
#define COMMIT_EVENTS_MAX 20
#define EVENT_BYTES_MAX   4096
#define PATIENCE_SECONDS  120

static const enum term_kind kinds[] = {TERM_STREAM, TERM_TYPE, TERM_TAG};

static uint32_t first_of(enum term_kind kind) {
    return ((uint32_t)kind - TERM_STREAM) * KIND_NAMES_COUNT;
}

static struct bytes name_of(const struct names_model_name *name) {
    return bytes_of_text(name->text);
}

/* All names of a kind are different. */
static void name_make(struct names_model_name *name, enum term_kind kind, uint32_t number) {
    name->kind = kind;
    if (number < 4) {
        (void)snprintf(name->text, sizeof name->text, "%c", "a~\xff$"[number]);
    } else if (number < 10) {
        memset(name->text, 'n', 250);
        (void)snprintf(name->text + 250, 6, "%05" PRIu32, number);
    } else if (number < 14) {
        memset(name->text, 'n', 240 + number);
    } else if (number < 20) {
        (void)snprintf(name->text, sizeof name->text, "\xc3\xa4\xff%" PRIu32, number);
    } else {
        (void)snprintf(name->text, sizeof name->text, "order-%" PRIu32, number * number);
    }
}

static const struct names_model_name *name_after(const struct names_model *model, enum term_kind kind,
                                                 struct bytes prefix, struct bytes after) {
    const struct names_model_name *next = NULL;
    for (uint32_t index = 0; index < KIND_NAMES_COUNT; index++) {
        const struct names_model_name *name = &model->names[first_of(kind) + index];
        if (name->figures.events_count == 0 || !bytes_begin_with(name_of(name), prefix)) continue;
        if (after.size > 0 && strcmp(name->text, (const char *)after.data) <= 0) continue;
        if (next == NULL || strcmp(name->text, next->text) < 0) next = name;
    }
    return next;
}

void names_model_open_index(struct names_model *model) {
    const struct index_options options = {.directory = model->index_path.text,
                                          .map_bytes = STORES_MAP_BYTES,
                                          .run_events_count = model->run_events_count,
                                          .store_id = store_id(model->store),
                                          .log_position_end = store_position_last(model->store) + 1,
                                          .store = model->store};
    struct problem problem = {.text = ""};
    cr_assert_eq(index_open(&options, &model->index, &problem).failure, FAILURE_NONE, "%s", problem.text);
    cr_assert_eq(terms_catch_up(model->store, model->index).failure, FAILURE_NONE);
}

void names_model_close_index(struct names_model *model) {
    model->index = index_close(model->index);
}

struct names_model *names_model_open(const char *test_name, uint32_t run_events_count) {
    struct names_model *model = calloc(1, sizeof *model);
    cr_assert_not_null(model);
    model->random = random_start(test_name);
    model->directory = temporary_directory_make();
    model->run_events_count = run_events_count;
    for (uint32_t index = 0; index < NAMES_MODEL_NAMES_COUNT; index++) {
        name_make(&model->names[index], kinds[index / KIND_NAMES_COUNT], index % KIND_NAMES_COUNT);
    }
    const struct temporary_path path = temporary_path(&model->directory, "data");
    model->store = stores_open(path.text);
    model->index_path = temporary_path(&model->directory, "data/index");
    names_model_open_index(model);
    return model;
}

struct names_model *names_model_close(struct names_model *model) {
    index_close(model->index);
    store_close(model->store);
    temporary_directory_remove(&model->directory);
    free(model);
    return NULL;
}

/* The first names come far more often than the last. */
static struct names_model_name *name_pick(struct names_model *model, enum term_kind kind) {
    const uint64_t below = 1 + random_below(&model->random, KIND_NAMES_COUNT);
    return &model->names[first_of(kind) + random_below(&model->random, below)];
}

static void name_count(struct names_model_name *name, uint64_t position, uint64_t bytes) {
    if (name->figures.position_last == position) return; /* the same tag twice */
    if (name->figures.events_count == 0) name->figures.position_first = position;
    name->figures.events_count++;
    name->figures.bytes_count += bytes;
    name->figures.position_last = position;
}

static void event_append(struct names_model *model) {
    const uint64_t position = ++model->position;
    struct names_model_name *stream = name_pick(model, TERM_STREAM);
    struct names_model_name *type = name_pick(model, TERM_TYPE);
    struct names_model_name *tags[TAGS_EACH_MAX];
    const char *texts[TAGS_EACH_MAX];
    const bool is_removed = random_below(&model->random, 20) == 0;
    const uint32_t tags_count = is_removed ? 0 : (uint32_t)random_below(&model->random, TAGS_EACH_MAX + 1);
    for (uint32_t index = 0; index < tags_count; index++) {
        tags[index] = name_pick(model, TERM_TAG);
        texts[index] = tags[index]->text;
    }
    const struct events_id id = events_id_of(position);
    const struct event_parts parts = {
        .id = id.text, .type = is_removed ? NULL : type->text, .tags = texts, .tags_count = tags_count};
    uint8_t event[EVENT_BYTES_MAX];
    uint8_t encoded[EVENT_BYTES_MAX + RECORD_OVERHEAD_BYTES_MAX];
    const struct record record = {.position = position,
                                  .stream = name_of(stream),
                                  .revision = stream->figures.events_count + 1,
                                  .recorded_ns = (int64_t)position,
                                  .event = event_encode(&parts, event, sizeof event)};
    const struct bytes bytes = event_record_encode(&record, encoded, sizeof encoded);
    cr_assert_eq(store_append(model->store, position, bytes).failure, FAILURE_NONE);
    name_count(stream, position, bytes.size);
    if (!is_removed) name_count(type, position, bytes.size);
    for (uint32_t index = 0; index < tags_count; index++) name_count(tags[index], position, bytes.size);
}

static void index_follow(const struct names_model *model, uint64_t position_first) {
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(model->store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint64_t position = position_first; position <= model->position; position++) {
        struct bytes encoded;
        struct record record;
        struct index_entry entries[TERMS_COUNT_MAX];
        uint32_t count;
        cr_assert_eq(store_reader_get(reader, position, &encoded).failure, FAILURE_NONE);
        cr_assert_eq(record_read(encoded, &record).failure, FAILURE_NONE);
        cr_assert_eq(terms_of_record(&record, entries, &count).failure, FAILURE_NONE);
        cr_assert_eq(index_add(model->index, position, entries, count).failure, FAILURE_NONE);
    }
    store_reader_end(reader);
    store_reader_close(reader);
}

void names_model_append(struct names_model *model, uint32_t count) {
    while (count > 0) {
        uint32_t events = 1 + (uint32_t)random_below(&model->random, COMMIT_EVENTS_MAX);
        if (events > count) events = count;
        count -= events;
        const uint64_t position_first = model->position + 1;
        cr_assert_eq(store_begin(model->store).failure, FAILURE_NONE);
        for (; events > 0; events--) event_append(model);
        cr_assert_eq(store_commit(model->store).failure, FAILURE_NONE);
        index_follow(model, position_first);
    }
}

/* Tries again for as long as the catalogue is behind. */
static bool is_to_be_tried_again(result outcome) {
    static time_t deadline;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (outcome.failure != FAILURE_NOT_READY) {
        deadline = 0;
        cr_assert_eq(outcome.failure, FAILURE_NONE, "%s", failure_name(outcome.failure));
        return false;
    }
    if (deadline == 0) deadline = now.tv_sec + PATIENCE_SECONDS;
    cr_assert_lt(now.tv_sec, deadline, "the catalogue does not catch up");
    sched_yield();
    return true;
}

void names_model_wait(const struct names_model *model) {
    result outcome = failure_result(FAILURE_NOT_READY);
    while (is_to_be_tried_again(outcome)) {
        const uint64_t position = index_names_count(model->index).position;
        const uint64_t indexed = index_position(model->index);
        const bool is_done =
            indexed + model->run_events_count > model->position && position + model->run_events_count > indexed;
        if (is_done) outcome = RESULT_OK;
    }
}

struct asking {
    const struct names_model *model;
    enum term_kind kind;
    struct bytes prefix;
    struct bytes after; /* terminated */
    uint32_t count_max;
    uint32_t count;
};

static void figures_expect(const struct names_model_name *name, const struct name_figures *figures) {
    cr_assert_eq(figures->events_count, name->figures.events_count, "%s: %" PRIu64 " events", name->text,
                 figures->events_count);
    cr_assert_eq(figures->bytes_count, name->figures.bytes_count, "%s", name->text);
    cr_assert_eq(figures->position_first, name->figures.position_first, "%s", name->text);
    cr_assert_eq(figures->position_last, name->figures.position_last, "%s", name->text);
}

static bool on_name(void *context, struct bytes name, const struct name_figures *figures) {
    struct asking *asking = context;
    const struct names_model_name *expected = name_after(asking->model, asking->kind, asking->prefix, asking->after);
    cr_assert_not_null(expected, "%.*s is one too many", (int)name.size, (const char *)name.data);
    cr_assert(bytes_equal(name_of(expected), name), "%.*s instead of %s", (int)name.size, (const char *)name.data,
              expected->text);
    figures_expect(expected, figures);
    asking->after = name_of(expected);
    asking->count++;
    return asking->count < asking->count_max;
}

static void list_ask(const struct names_model *model, const struct asking *asked) {
    struct asking asking;
    do {
        asking = *asked;
    } while (is_to_be_tried_again(
        index_names_list(model->index, asked->kind, asked->prefix, asked->after, on_name, &asking)));
    const struct names_model_name *missing = name_after(model, asking.kind, asking.prefix, asking.after);
    if (asking.count < asking.count_max) cr_assert_null(missing, "a name is missing");
}

static void name_ask(const struct names_model *model, const struct names_model_name *name) {
    struct name_figures figures = {.events_count = UINT64_MAX};
    result outcome;
    do {
        outcome = index_names_find(model->index, name->kind, name_of(name), &figures);
        if (outcome.failure != FAILURE_NOT_FOUND) continue;
        cr_assert_eq(name->figures.events_count, 0);
        cr_assert_eq(figures.events_count, UINT64_MAX);
        return;
    } while (is_to_be_tried_again(outcome));
    figures_expect(name, &figures);
}

void names_model_ask(struct names_model *model) {
    struct random *random = &model->random;
    struct asking asking = {.model = model,
                            .kind = kinds[random_below(random, 3)],
                            .count_max = 1 + (uint32_t)random_below(random, KIND_NAMES_COUNT + 5)};
    if (random_below(random, 3) > 0) {
        asking.prefix = name_of(name_pick(model, asking.kind));
        /* A whole name, or the beginning of one. */
        if (random_below(random, 2) == 0) asking.prefix.size = random_below(random, asking.prefix.size + 1);
    }
    if (random_below(random, 2) == 0) asking.after = name_of(name_pick(model, asking.kind));
    list_ask(model, &asking);
    name_ask(model, &model->names[random_below(random, NAMES_MODEL_NAMES_COUNT)]);
}

void names_model_ask_all(const struct names_model *model) {
    for (size_t index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        const struct asking asking = {.model = model, .kind = kinds[index], .count_max = UINT32_MAX};
        list_ask(model, &asking);
    }
    for (uint32_t index = 0; index < NAMES_MODEL_NAMES_COUNT; index++) name_ask(model, &model->names[index]);
}
