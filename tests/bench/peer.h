/* peer.h: what differs between the servers under test: names of methods and the bytes of requests.
 *
 * Every peer gets the same events. The plain ones are `event_bytes` of encoded Event, made of an id that makes a retry
 * safe, a type, and data that does not compress; those of workload.h have tags and belong to a stream.
 * Ownership: peers are constants; the caller owns the writers. Threads: any. */
#ifndef DAYBOOK_TESTS_BENCH_PEER_H
#define DAYBOOK_TESTS_BENCH_PEER_H

#include "tests/bench/wire.h"
#include "tests/bench/workload.h"

#include <stdint.h>

/* One append request. */
struct peer_append {
    /* Makes this request differ from others: chooses one of PEER_STREAMS_COUNT streams, where a peer has them, and seeds
     * ids and data. */
    uint32_t number;
    uint32_t events_count;
    uint32_t event_bytes;
};

/* Which events: those with the tag and, when it is set, of the type. */
struct peer_query {
    const char *tag;
    const char *type;
};

/* The append is refused when an event after the position matches. */
struct peer_condition {
    struct peer_query none_match;
    uint64_t after;
};

struct peer {
    const char *name;
    const char *append_method;
    /* NULL: the peer has no stream of appends. */
    const char *append_many_method;
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
    /* Appends `count` events of a workload, from `number` on. `condition`: NULL for none. NULL: the peer stores nothing. */
    void (*write_workload)(struct wire_writer *writer, const struct workload *workload, uint64_t number, uint32_t count,
                           const struct peer_condition *condition);
    /* Asks for all events that match, from old to new. NULL: the peer stores nothing. */
    void (*write_query)(struct wire_writer *writer, const struct peer_query *query);
    /* Counts what a message of append_many_method acknowledges. False: it refuses something, or is not protobuf. */
    bool (*count_outcomes)(const uint8_t *data, size_t size, uint64_t *ret_count);
};

extern const struct peer peer_daybook;
extern const struct peer peer_echo;
extern const struct peer peer_umadb;

/* The peer with this name; NULL when there is none. */
const struct peer *peer_find(const char *name);

#define PEER_STREAMS_COUNT 1000u

/* Where an Event of a peer has its id, its type, its data and its tags. */
struct peer_event_fields {
    uint32_t id;
    uint32_t type;
    uint32_t data;
    uint32_t tags;
};

/* The smallest event that has an id, a type and data. */
#define PEER_EVENT_BYTES_MIN 70u
#define PEER_EVENT_BYTES_MAX 16000u

/* Writes event `index` of a request, for fields below 16: exactly `append->event_bytes`, but one less where the length of
 * the data would need a second byte for that one (181). */
void peer_write_event(struct wire_writer *writer, struct peer_event_fields fields, const struct peer_append *append,
                      uint32_t index);

/* Writes an event of a workload. `with_stream`: its stream is one more tag, for a peer that has no streams. */
void peer_write_workload_event(struct wire_writer *writer, struct peer_event_fields fields,
                               const struct workload_event *event, bool with_stream);

#endif
