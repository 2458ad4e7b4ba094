/* UmaDB's API, umadb.v1.DCB. Its settings are those that serve it best: plain events carry no tags, so that it has no
 * index entries to write, and there is no condition to check; a read asks for the largest batch that the server grants,
 * 4,096 events a message. It has no streams: an event of a workload has its stream as a tag beside its others. */
#include "tests/bench/peer.h"

/* Field numbers of umadb.v1. */
#define APPEND_REQUEST_EVENTS    1
#define APPEND_REQUEST_CONDITION 2
#define CONDITION_QUERY          1
#define CONDITION_AFTER          2
#define QUERY_ITEMS              1
#define QUERY_ITEM_TYPES         1
#define QUERY_ITEM_TAGS          2
#define EVENT_EVENT_TYPE         1
#define EVENT_TAGS               2
#define EVENT_DATA               3
#define EVENT_UUID               4
#define READ_REQUEST_QUERY       1
#define READ_REQUEST_BATCH       6
#define READ_RESPONSE_EVENTS     1
#define HEAD_RESPONSE_POSITION   1

#define READ_BATCH_EVENTS_MAX 4096u

static const struct peer_event_fields fields = {
    .id = EVENT_UUID, .type = EVENT_EVENT_TYPE, .data = EVENT_DATA, .tags = EVENT_TAGS};

static void write_append(struct wire_writer *writer, const struct peer_append *append) {
    struct wire_writer event;
    wire_writer_init(&event);
    for (uint32_t i = 0; i < append->events_count; i++) {
        wire_writer_clear(&event);
        peer_write_event(&event, fields, append, i);
        wire_put_message_field(writer, APPEND_REQUEST_EVENTS, &event);
    }
    wire_writer_deinit(&event);
}

static void write_read(struct wire_writer *writer) {
    wire_put_uint_field(writer, READ_REQUEST_BATCH, READ_BATCH_EVENTS_MAX);
}

/* A field that is a Query of one item. */
static void put_query(struct wire_writer *writer, uint32_t field, const struct peer_query *query) {
    struct wire_writer item;
    struct wire_writer items;
    wire_writer_init(&item);
    wire_writer_init(&items);
    if (query->type != NULL) wire_put_text_field(&item, QUERY_ITEM_TYPES, query->type);
    wire_put_text_field(&item, QUERY_ITEM_TAGS, query->tag);
    wire_put_message_field(&items, QUERY_ITEMS, &item);
    wire_put_message_field(writer, field, &items);
    wire_writer_deinit(&items);
    wire_writer_deinit(&item);
}

static void write_workload(struct wire_writer *writer, const struct workload *workload, uint64_t number, uint32_t count,
                           const struct peer_condition *condition) {
    struct wire_writer part;
    wire_writer_init(&part);
    for (uint32_t i = 0; i < count; i++) {
        struct workload_event content;
        workload_event(workload, number + i, &content);
        wire_writer_clear(&part);
        peer_write_workload_event(&part, fields, &content, true);
        wire_put_message_field(writer, APPEND_REQUEST_EVENTS, &part);
    }
    if (condition != NULL) {
        wire_writer_clear(&part);
        put_query(&part, CONDITION_QUERY, &condition->none_match);
        wire_put_uint_field(&part, CONDITION_AFTER, condition->after);
        wire_put_message_field(writer, APPEND_REQUEST_CONDITION, &part);
    }
    wire_writer_deinit(&part);
}

static void write_query(struct wire_writer *writer, const struct peer_query *query) {
    put_query(writer, READ_REQUEST_QUERY, query);
    wire_put_uint_field(writer, READ_REQUEST_BATCH, READ_BATCH_EVENTS_MAX);
}

const struct peer peer_umadb = {
    .name = "umadb",
    .append_method = "/umadb.v1.DCB/Append",
    .read_method = "/umadb.v1.DCB/Read",
    .head_method = "/umadb.v1.DCB/Head",
    .read_events_field = READ_RESPONSE_EVENTS,
    .head_field = HEAD_RESPONSE_POSITION,
    .write_append = write_append,
    .write_read = write_read,
    .write_workload = write_workload,
    .write_query = write_query,
};
