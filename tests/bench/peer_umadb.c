/* UmaDB's API, umadb.v1.DCB. Its settings are those that serve it best: events carry no tags, so that it has no index
 * entries to write, and there is no condition to check; a read asks for the largest batch that the server grants, 4,096
 * events a message. */
#include "tests/bench/peer.h"

/* Field numbers of umadb.v1. */
#define APPEND_REQUEST_EVENTS  1
#define EVENT_EVENT_TYPE       1
#define EVENT_DATA             3
#define EVENT_UUID             4
#define READ_REQUEST_BATCH     6
#define READ_RESPONSE_EVENTS   1
#define HEAD_RESPONSE_POSITION 1

#define READ_BATCH_EVENTS_MAX 4096u

static const struct peer_event_fields fields = {.id = EVENT_UUID, .type = EVENT_EVENT_TYPE, .data = EVENT_DATA};

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

const struct peer peer_umadb = {
    .name = "umadb",
    .append_method = "/umadb.v1.DCB/Append",
    .read_method = "/umadb.v1.DCB/Read",
    .head_method = "/umadb.v1.DCB/Head",
    .read_events_field = READ_RESPONSE_EVENTS,
    .head_field = HEAD_RESPONSE_POSITION,
    .write_append = write_append,
    .write_read = write_read,
};
