/* Daybook's own API, daybook.v1.EventStore: one write to one of many streams, any revision. */
#include "tests/bench/peer.h"

#include <stdio.h>

/* daybook/v1/event_store.proto */
#define APPEND_REQUEST_WRITES    1
#define APPEND_REQUEST_CONDITION 3
#define WRITE_STREAM             1
#define WRITE_EVENTS             4
#define CONDITION_NONE_MATCH     1
#define CONDITION_AFTER          2
#define READ_REQUEST_FILTER      2
#define READ_RESPONSE_EVENTS     1
#define HEAD_RESPONSE_HEAD       1
#define APPEND_MANY_OUTCOMES     1
#define APPEND_OUTCOME_APPENDED  1
/* daybook/v1/event.proto */
#define EVENT_ID      1
#define EVENT_TYPE    2
#define EVENT_TAGS    3
#define EVENT_DATA    4
#define FILTER_ANY_OF 1
#define CLAUSE_TYPES  1
#define CLAUSE_TAGS   2

static const struct peer_event_fields fields = {
    .id = EVENT_ID, .type = EVENT_TYPE, .data = EVENT_DATA, .tags = EVENT_TAGS};

static void write_append(struct wire_writer *writer, const struct peer_append *append) {
    struct wire_writer write;
    struct wire_writer event;
    wire_writer_init(&write);
    wire_writer_init(&event);

    char stream[32];
    (void)snprintf(stream, sizeof stream, "order-%06u", append->number % PEER_STREAMS_COUNT);
    wire_put_text_field(&write, WRITE_STREAM, stream);
    for (uint32_t i = 0; i < append->events_count; i++) {
        wire_writer_clear(&event);
        peer_write_event(&event, fields, append, i);
        wire_put_message_field(&write, WRITE_EVENTS, &event);
    }
    wire_put_message_field(writer, APPEND_REQUEST_WRITES, &write);

    wire_writer_deinit(&event);
    wire_writer_deinit(&write);
}

/* An empty request reads the whole store forward, without a limit. */
static void write_read(struct wire_writer *writer) {
    wire_writer_clear(writer);
}

/* A field that is a Filter of one clause. */
static void put_filter(struct wire_writer *writer, uint32_t field, const struct peer_query *query) {
    struct wire_writer clause;
    struct wire_writer filter;
    wire_writer_init(&clause);
    wire_writer_init(&filter);
    if (query->type != NULL) wire_put_text_field(&clause, CLAUSE_TYPES, query->type);
    wire_put_text_field(&clause, CLAUSE_TAGS, query->tag);
    wire_put_message_field(&filter, FILTER_ANY_OF, &clause);
    wire_put_message_field(writer, field, &filter);
    wire_writer_deinit(&filter);
    wire_writer_deinit(&clause);
}

/* A write for each event: every one has a stream of its own. */
static void write_workload(struct wire_writer *writer, const struct workload *workload, uint64_t number, uint32_t count,
                           const struct peer_condition *condition) {
    struct wire_writer write;
    struct wire_writer event;
    wire_writer_init(&write);
    wire_writer_init(&event);
    for (uint32_t i = 0; i < count; i++) {
        struct workload_event content;
        workload_event(workload, number + i, &content);
        wire_writer_clear(&event);
        wire_writer_clear(&write);
        peer_write_workload_event(&event, fields, &content, false);
        wire_put_text_field(&write, WRITE_STREAM, content.stream);
        wire_put_message_field(&write, WRITE_EVENTS, &event);
        wire_put_message_field(writer, APPEND_REQUEST_WRITES, &write);
    }
    if (condition != NULL) {
        wire_writer_clear(&write);
        put_filter(&write, CONDITION_NONE_MATCH, &condition->none_match);
        wire_put_uint_field(&write, CONDITION_AFTER, condition->after);
        wire_put_message_field(writer, APPEND_REQUEST_CONDITION, &write);
    }
    wire_writer_deinit(&event);
    wire_writer_deinit(&write);
}

static void write_query(struct wire_writer *writer, const struct peer_query *query) {
    put_filter(writer, READ_REQUEST_FILTER, query);
}

static bool count_outcomes(const uint8_t *data, size_t size, uint64_t *ret_count) {
    uint64_t count = 0;
    struct wire_reader reader = {.data = data, .size = size};
    struct wire_field field;
    while (wire_next_field(&reader, &field)) {
        if (field.number != APPEND_MANY_OUTCOMES) continue;
        struct wire_reader outcome = {.data = field.data, .size = field.size};
        struct wire_field appended;
        if (!wire_next_field(&outcome, &appended) || appended.number != APPEND_OUTCOME_APPENDED) return false;
        count++;
    }
    if (reader.wrong) return false;
    *ret_count = count;
    return true;
}

const struct peer peer_daybook = {
    .name = "daybook",
    .append_method = "/daybook.v1.EventStore/Append",
    .append_many_method = "/daybook.v1.EventStore/AppendMany",
    .read_method = "/daybook.v1.EventStore/Read",
    .head_method = "/daybook.v1.EventStore/Head",
    .read_events_field = READ_RESPONSE_EVENTS,
    .head_field = HEAD_RESPONSE_HEAD,
    .write_append = write_append,
    .write_read = write_read,
    .write_workload = write_workload,
    .write_query = write_query,
    .count_outcomes = count_outcomes,
};
