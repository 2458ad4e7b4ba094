/* peer.h: what differs between the servers under test: names of methods and the bytes of requests.
 *
 * Every peer gets the same events: `event_bytes` of encoded Event, made of an id that makes a retry safe, a type, and data
 * that does not compress.
 * Ownership: peers are constants; the caller owns the writers. Threads: any. */
#ifndef DAYBOOK_TESTS_BENCH_PEER_H
#define DAYBOOK_TESTS_BENCH_PEER_H

#include "tests/bench/wire.h"

#include <stdint.h>

/* One append request. */
struct peer_append {
    /* Makes this request differ from others: chooses one of PEER_STREAMS_COUNT streams, where a peer has them, and seeds
     * ids and data. */
    uint32_t number;
    uint32_t events_count;
    uint32_t event_bytes;
};

struct peer {
    const char *name;
    const char *append_method;
    /* NULL: the peer stores nothing, so that there is nothing to read and no head. */
    const char *read_method;
    const char *head_method;
    /* Where the events stand in an answer to a read. */
    uint32_t read_events_field;
    /* Where the head stands in an answer to a question for it. */
    uint32_t head_field;
    void (*write_append)(struct wire_writer *writer, const struct peer_append *append);
    /* Asks for everything, from the first event to the last. */
    void (*write_read)(struct wire_writer *writer);
};

extern const struct peer peer_daybook;
extern const struct peer peer_echo;
extern const struct peer peer_umadb;

/* The peer with this name; NULL when there is none. */
const struct peer *peer_find(const char *name);

#define PEER_STREAMS_COUNT 1000u

/* Where an Event of a peer has its id, its type and its data. */
struct peer_event_fields {
    uint32_t id;
    uint32_t type;
    uint32_t data;
};

/* The smallest event that has an id, a type and data. */
#define PEER_EVENT_BYTES_MIN 70u
#define PEER_EVENT_BYTES_MAX 16000u

/* Writes event `index` of a request, for fields below 16: exactly `append->event_bytes`, but one less where the length of
 * the data would need a second byte for that one (181). */
void peer_write_event(struct wire_writer *writer, struct peer_event_fields fields, const struct peer_append *append,
                      uint32_t index);

#endif
