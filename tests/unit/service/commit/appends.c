#include "tests/unit/service/commit/appends.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/record/record.h"
#include "service/store/terms.h"
#include "tests/support/events.h"
#include "tests/support/stores.h"

#define WRITES_COUNT_MAX 8
#define CHECKS_COUNT_MAX 8
#define EVENTS_COUNT_MAX 20000
#define EVENT_BYTES_MAX  128

void appends_ignore(void *context, struct chunk *chunk) {
    (void)context;
    (void)chunk;
}

void appends_ignore_rewritten(void *context) {
    (void)context;
}

void appends_storage_failed(void *context, enum failure failure) {
    (void)context;
    cr_assert_fail("the storage failed: %s", failure_name(failure));
}

const struct commit_listener appends_listener = {
    .committed = appends_ignore, .rewritten = appends_ignore_rewritten, .storage_failed = appends_storage_failed};

struct append {
    struct append_request request;
    struct append_write writes[WRITES_COUNT_MAX];
    struct append_check checks[CHECKS_COUNT_MAX];
    struct append_result results[WRITES_COUNT_MAX];
    struct append_conflict conflicts[EVENTS_COUNT_MAX + CHECKS_COUNT_MAX + 1];
    uint64_t id_last; /* ids are numbers, see events_id_of */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t done_count;
};

static void rooms_begin(struct rooms *rooms) {
    rooms->store = stores_open(rooms->directory.path);
    const struct temporary_path path = temporary_path(&rooms->directory, "index");
    const struct index_options options = {.directory = path.text,
                                          .map_bytes = STORES_MAP_BYTES,
                                          .run_events_count = rooms->run_events_count,
                                          .ids_window = rooms->ids_window,
                                          .store_id = store_id(rooms->store)};
    struct problem problem = {.text = ""};
    const result outcome = index_open(&options, &rooms->index, &problem);
    cr_assert_not(failed(outcome), "%s", problem.text);
    cr_assert_eq(terms_catch_up(rooms->store, rooms->index).failure, FAILURE_NONE);
}

struct rooms rooms_open(void) {
    struct rooms rooms = {.directory = temporary_directory_make()};
    rooms_begin(&rooms);
    return rooms;
}

void rooms_reopen(struct rooms *rooms) {
    index_close(rooms->index);
    store_close(rooms->store);
    rooms_begin(rooms);
}

void rooms_reopen_windowed(struct rooms *rooms, uint64_t ids_window, uint32_t run_events_count) {
    rooms->ids_window = ids_window;
    rooms->run_events_count = run_events_count;
    rooms_reopen(rooms);
}

void rooms_close(struct rooms *rooms) {
    index_close(rooms->index);
    store_close(rooms->store);
    temporary_directory_remove(&rooms->directory);
}

static void done(struct append_request *request) {
    struct append *append = request->context;
    pthread_mutex_lock(&append->mutex);
    append->done_count++;
    pthread_cond_broadcast(&append->changed);
    pthread_mutex_unlock(&append->mutex);
}

/* Appends made so far: each has ids of its own. */
static atomic_uint_fast64_t appends_count;

struct append *append_new(void) {
    struct append *append = calloc(1, sizeof *append);
    cr_assert_not_null(append);
    pthread_mutex_init(&append->mutex, NULL);
    pthread_cond_init(&append->changed, NULL);
    append->id_last = (uint64_t)atomic_fetch_add(&appends_count, 1) * EVENTS_COUNT_MAX;
    append->request = (struct append_request){.writes = append->writes,
                                              .checks = append->checks,
                                              .results = append->results,
                                              .conflicts = append->conflicts,
                                              .done = done,
                                              .context = append};
    return append;
}

void append_free(struct append *append) {
    for (uint32_t write = 0; write < append->request.writes_count; write++) {
        struct append_event *events = (struct append_event *)(uintptr_t)append->writes[write].events;
        for (uint32_t index = 0; index < append->writes[write].events_count; index++) {
            free((void *)(uintptr_t)events[index].encoded.data);
            free((void *)(uintptr_t)events[index].id.data);
        }
        free(events);
    }
    pthread_cond_destroy(&append->changed);
    pthread_mutex_destroy(&append->mutex);
    free(append);
}

struct append_request *append_request_of(struct append *append) {
    return &append->request;
}

/* Fills an event: its next id, and what else it is made of. */
static void event_fill(struct append *append, struct append_event *event, struct event_parts parts) {
    const struct events_id id = events_id_of(++append->id_last);
    char *text = malloc(sizeof id.text);
    uint8_t *buffer = malloc(EVENT_BYTES_MAX);
    cr_assert(text != NULL && buffer != NULL);
    memcpy(text, id.text, sizeof id.text);
    parts.id = text;
    event->id = bytes_of_text(text);
    event->id_term = term_of(TERM_EVENT_ID, event->id);
    event->encoded = event_encode(&parts, buffer, EVENT_BYTES_MAX);
    append->request.size_bytes += event->encoded.size;
}

static void write_add(struct append *append, const char *stream, struct append_event *events, uint32_t events_count) {
    cr_assert_lt(append->request.writes_count, WRITES_COUNT_MAX);
    append->writes[append->request.writes_count++] =
        (struct append_write){.stream = bytes_of_text(stream),
                              .term = term_of(TERM_STREAM, bytes_of_text(stream)),
                              .events = events,
                              .events_count = events_count};
    append->request.events_count += events_count;
}

void append_event_add(struct append *append, const char *stream, const char *type, const char *const *tags,
                      uint32_t tags_count) {
    struct append_event *event = calloc(1, sizeof *event);
    cr_assert_not_null(event);
    event_fill(append, event, (struct event_parts){.type = type, .tags = tags, .tags_count = tags_count});
    write_add(append, stream, event, 1);
}

void append_condition_set(struct append *append, const struct append_condition *condition) {
    append->request.condition = condition;
}

void append_write_add(struct append *append, const char *stream, uint32_t events_count, enum expectation expectation,
                      uint64_t revision) {
    struct append_request *request = &append->request;
    struct append_event *events = calloc(events_count, sizeof *events);
    cr_assert_not_null(events);
    cr_assert_leq(request->events_count + events_count, EVENTS_COUNT_MAX);
    for (uint32_t index = 0; index < events_count; index++) {
        char text[32];
        const int size = snprintf(text, sizeof text, "%.20s %u", stream, request->events_count + index);
        event_fill(append, &events[index],
                   (struct event_parts){.type = "Tested", .data = bytes_of(text, (size_t)size)});
    }
    write_add(append, stream, events, events_count);
    append->writes[request->writes_count - 1].expectation = expectation;
    append->writes[request->writes_count - 1].expected_revision = revision;
}

void append_check_add(struct append *append, const char *stream, enum expectation expectation, uint64_t revision) {
    cr_assert_lt(append->request.checks_count, CHECKS_COUNT_MAX);
    append->checks[append->request.checks_count++] =
        (struct append_check){.stream = bytes_of_text(stream),
                              .term = term_of(TERM_STREAM, bytes_of_text(stream)),
                              .expectation = expectation,
                              .expected_revision = revision};
}

static struct bytes bytes_copy(struct bytes bytes) {
    void *copy = malloc(bytes.size);
    cr_assert_not_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    return bytes_of(copy, bytes.size);
}

static struct append_event event_copy(const struct append_event *event) {
    struct append_event copy = *event;
    copy.id = bytes_copy(event->id);
    copy.encoded = bytes_copy(event->encoded);
    return copy;
}

/* Adds a write like this one, of these events. */
static void write_copy(struct append *append, const struct append_write *like, const struct append_event *const *events,
                       uint32_t events_count) {
    struct append_event *copies = calloc(events_count, sizeof *copies);
    cr_assert_not_null(copies);
    for (uint32_t index = 0; index < events_count; index++) {
        copies[index] = event_copy(events[index]);
        append->request.size_bytes += copies[index].encoded.size;
    }
    struct append_write *write = &append->writes[append->request.writes_count++];
    *write = *like;
    write->events = copies;
    write->events_count = events_count;
    append->request.events_count += events_count;
}

struct append *append_copy(const struct append *append) {
    struct append *copy = append_new();
    for (uint32_t index = 0; index < append->request.writes_count; index++) {
        const struct append_write *write = &append->writes[index];
        const struct append_event **events = calloc(write->events_count, sizeof *events);
        cr_assert_not_null(events);
        for (uint32_t event = 0; event < write->events_count; event++) events[event] = &write->events[event];
        write_copy(copy, write, events, write->events_count);
        free(events);
    }
    return copy;
}

void append_stream_set(struct append *append, uint32_t write, const char *stream) {
    append->writes[write].stream = bytes_of_text(stream);
    append->writes[write].term = term_of(TERM_STREAM, bytes_of_text(stream));
}

static struct append_event *event_at(struct append *append, uint32_t write, uint32_t event) {
    return (struct append_event *)(uintptr_t)&append->writes[write].events[event];
}

void append_event_change(struct append *append, uint32_t write, uint32_t event) {
    const struct bytes encoded = event_at(append, write, event)->encoded;
    ((uint8_t *)(uintptr_t)encoded.data)[encoded.size - 1] ^= 1; /* the last byte of its payload */
}

void append_ids_are_new(struct append *append) {
    for (uint32_t write = 0; write < append->request.writes_count; write++) {
        for (uint32_t event = 0; event < append->writes[write].events_count; event++) {
            event_at(append, write, event)->id_is_new = true;
        }
    }
}

void append_write_join(struct append *append, const struct append *first, const struct append *second) {
    const struct append_event *events[] = {&first->writes[0].events[0], &second->writes[0].events[0]};
    write_copy(append, &first->writes[0], events, 2);
}

struct append *append_of(const char *stream) {
    struct append *append = append_new();
    append_write_add(append, stream, 1, EXPECT_ANY, 0);
    return append;
}

struct append *append_expecting(const char *stream, uint64_t revision) {
    struct append *append = append_new();
    append_write_add(append, stream, 1, EXPECT_REVISION, revision);
    return append;
}

enum append_outcome append_wait(struct append *append) {
    pthread_mutex_lock(&append->mutex);
    while (append->done_count == 0) pthread_cond_wait(&append->changed, &append->mutex);
    cr_assert_eq(append->done_count, 1);
    pthread_mutex_unlock(&append->mutex);
    return append->request.outcome;
}

bool append_is_done(struct append *append) {
    pthread_mutex_lock(&append->mutex);
    const bool is_done = append->done_count > 0;
    pthread_mutex_unlock(&append->mutex);
    return is_done;
}

static void expect_write(const struct append_write *write, const struct append_result *where,
                         struct store_reader *reader) {
    cr_assert_eq(where->last_position - where->first_position + 1, write->events_count);
    cr_assert_eq(where->last_revision - where->first_revision + 1, write->events_count);
    for (uint32_t index = 0; index < write->events_count; index++) {
        struct bytes encoded;
        struct record record;
        cr_assert_eq(store_reader_get(reader, where->first_position + index, &encoded).failure, FAILURE_NONE);
        cr_assert_eq(record_read(encoded, &record).failure, FAILURE_NONE);
        cr_assert(bytes_equal(record.stream, write->stream));
        cr_assert_eq(record.revision, where->first_revision + index);
        cr_assert(bytes_equal(record.event, write->events[index].encoded));
    }
}

void append_expect_stored(struct append *append, struct store *store) {
    cr_assert_eq(append->request.outcome, APPEND_COMMITTED);
    struct store_reader *reader;
    cr_assert_eq(store_reader_open(store, &reader).failure, FAILURE_NONE);
    cr_assert_eq(store_reader_begin(reader, NULL).failure, FAILURE_NONE);
    for (uint32_t index = 0; index < append->request.writes_count; index++) {
        expect_write(&append->writes[index], &append->results[index], reader);
    }
    store_reader_end(reader);
    store_reader_close(reader);
}
