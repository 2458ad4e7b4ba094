#include "tests/bench/peer.h"

#include "tests/bench/random.h"

#include <assert.h>
#include <string.h>

#define EVENT_TYPE "ProductSold"

const struct peer *peer_find(const char *name) {
    static const struct peer *const peers[] = {&peer_daybook, &peer_echo, &peer_umadb};
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        if (strcmp(peers[i]->name, name) == 0) return peers[i];
    }
    return NULL;
}

void peer_write_event(struct wire_writer *writer, struct peer_event_fields fields, const struct peer_append *append,
                      uint32_t index) {
    assert(append->event_bytes >= PEER_EVENT_BYTES_MIN && append->event_bytes <= PEER_EVENT_BYTES_MAX);
    assert(fields.id < 16 && fields.type < 16 && fields.data < 16);
    uint8_t data[PEER_EVENT_BYTES_MAX + sizeof(uint64_t)];
    size_t start = writer->size;
    uint64_t state = (uint64_t)append->number << 32 | index;
    char id[RANDOM_ID_BYTES];
    random_id(&state, id);
    wire_put_text_field(writer, fields.id, id);
    wire_put_text_field(writer, fields.type, EVENT_TYPE);

    /* A tag of one byte, and a length of one or two. */
    size_t left = append->event_bytes - (writer->size - start) - 2;
    if (left >= 0x80) left--;
    for (size_t i = 0; i < left; i += sizeof state) {
        uint64_t bytes = random_next(&state);
        memcpy(data + i, &bytes, sizeof bytes);
    }
    wire_put_bytes_field(writer, fields.data, data, left);
}

void peer_write_workload_event(struct wire_writer *writer, struct peer_event_fields fields,
                               const struct workload_event *event, bool with_stream) {
    wire_put_text_field(writer, fields.id, event->id);
    wire_put_text_field(writer, fields.type, event->type);
    if (with_stream) wire_put_text_field(writer, fields.tags, event->stream);
    for (uint32_t i = 0; i < event->tags_count; i++) wire_put_text_field(writer, fields.tags, event->tags[i]);
    wire_put_bytes_field(writer, fields.data, event->payload, event->payload_bytes);
}
