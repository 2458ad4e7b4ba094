#include "tests/bench/peer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVENT_TYPE "ProductSold"

/* Sebastiano Vigna's splitmix64: a few instructions for bytes that look random and are the same in every run. */
static uint64_t next_random(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

const struct peer *peer_find(const char *name) {
    static const struct peer *const peers[] = {&peer_daybook, &peer_echo, &peer_umadb};
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        if (strcmp(peers[i]->name, name) == 0) return peers[i];
    }
    return NULL;
}

/* The id of an event: a UUID of random bits (RFC 9562, version 4). */
static void write_id(struct wire_writer *writer, uint32_t field, uint64_t *state) {
    const uint64_t high = (next_random(state) & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
    const uint64_t low = (next_random(state) & UINT64_MAX >> 2) | UINT64_C(1) << 63;
    char text[37];
    (void)snprintf(text, sizeof text, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, high >> 32,
                   high >> 16 & 0xffff, high & 0xffff, low >> 48, low & UINT64_C(0xffffffffffff));
    wire_put_text_field(writer, field, text);
}

void peer_write_event(struct wire_writer *writer, struct peer_event_fields fields, const struct peer_append *append,
                      uint32_t index) {
    assert(append->event_bytes >= PEER_EVENT_BYTES_MIN && append->event_bytes <= PEER_EVENT_BYTES_MAX);
    assert(fields.id < 16 && fields.type < 16 && fields.data < 16);
    uint8_t data[PEER_EVENT_BYTES_MAX + sizeof(uint64_t)];
    size_t start = writer->size;
    uint64_t state = (uint64_t)append->number << 32 | index;
    write_id(writer, fields.id, &state);
    wire_put_text_field(writer, fields.type, EVENT_TYPE);

    /* A tag of one byte, and a length of one or two. */
    size_t left = append->event_bytes - (writer->size - start) - 2;
    if (left >= 0x80) left--;
    for (size_t i = 0; i < left; i += sizeof state) {
        uint64_t bytes = next_random(&state);
        memcpy(data + i, &bytes, sizeof bytes);
    }
    wire_put_bytes_field(writer, fields.data, data, left);
}
