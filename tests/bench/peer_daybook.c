/* Daybook's own API, daybook.v1.EventStore: one write to one of many streams, any revision. */
#include "tests/bench/peer.h"

#include <stdio.h>

/* daybook/v1/event_store.proto */
#define APPEND_REQUEST_WRITES 1
#define WRITE_STREAM          1
#define WRITE_EVENTS          4
#define READ_RESPONSE_EVENTS  1
#define HEAD_RESPONSE_HEAD    1
/* daybook/v1/event.proto */
#define EVENT_ID   1
#define EVENT_TYPE 2
#define EVENT_DATA 4

static const struct peer_event_fields fields = {.id = EVENT_ID, .type = EVENT_TYPE, .data = EVENT_DATA};

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

const struct peer peer_daybook = {
    .name = "daybook",
    .append_method = "/daybook.v1.EventStore/Append",
    .read_method = "/daybook.v1.EventStore/Read",
    .head_method = "/daybook.v1.EventStore/Head",
    .read_events_field = READ_RESPONSE_EVENTS,
    .head_field = HEAD_RESPONSE_HEAD,
    .write_append = write_append,
    .write_read = write_read,
};
