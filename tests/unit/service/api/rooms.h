/* rooms.h: everything below the edge and the edge itself, served on a free port, on a store of the test's own.
 *
 * What the daemon opens, without its process: store, index, feed, sequencer, server.
 * Ownership: `rooms_open` and `rooms_close` are a test's init and fini; there is one at a time.
 * Threads: one. Errors: what must not fail is asserted. */
#ifndef TESTS_UNIT_SERVICE_API_ROOMS_H
#define TESTS_UNIT_SERVICE_API_ROOMS_H

#include "daybook/daybook.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"
#include "service/api/api.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/api/answers.h"

#define ROOMS_PATIENCE_MS 60000
#define ROOMS_VERSION     "0.0.1-test"
#define ROOMS_STARTED_NS  INT64_C(1700000000123456789)

struct rooms {
    struct temporary_directory directory;
    struct store *store;
    struct index *index;
    struct feed *feed;
    struct sequencer *sequencer;
    struct compactor *compactor;
    struct append_streams *append_streams;
    struct lists *lists;
    struct retention *retention;
    struct api api;
    daybook_server *server;
    daybook_client *client;
    struct raw_channel *channel;
    upb_Arena *arena;
};

extern struct rooms rooms;

void rooms_open(void);
void rooms_close(void);

/* --- Requests, in the arena of the rooms. ---------------------------------------------------------------------------- */
daybook_v1_AppendRequest *rooms_request(void);
daybook_v1_Write *rooms_write(daybook_v1_AppendRequest *request, const char *stream);
daybook_v1_Event *rooms_event(daybook_v1_Write *write, const char *type);

/* Appends, which must succeed. */
const daybook_v1_AppendResponse *rooms_append(const daybook_v1_AppendRequest *request);
/* One event of a type to a stream; returns its position. */
uint64_t rooms_append_one(const char *stream, const char *type);

/* The head, as a client is told. */
uint64_t rooms_head(void);

/* Sends an append, which must fail, and returns how. */
struct answer rooms_refused(const daybook_v1_AppendRequest *request);

/* --- Reads. ---------------------------------------------------------------------------------------------------------- */
/* Every event of a read, which must succeed; in the arena of the rooms. */
const daybook_v1_RecordedEvent **rooms_read(const daybook_v1_ReadRequest *request, size_t *ret_count);
/* Sends a streaming request and waits for its end. Messages that come before the end are dropped. */
struct answer rooms_stream_end(const char *method, upb_StringView request);
/* Some clients, one after the other, that send an empty streaming request and go, half of them with a message. */
void rooms_stream_abandon(const char *method);

#endif
