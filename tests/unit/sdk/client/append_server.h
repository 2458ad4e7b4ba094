/* append_server.h: an EventStore that appends to a log in memory and misbehaves as a script says, on the SDK's own server half.
 *
 * The first AppendMany call plays the first turn, the next one the next; the last turn is played again and again. What the
 * server commits is kept once for each id, as the real one does; a request whose ids are all known is answered with where they
 * are. A write to the stream "refused" is refused with REVISION_CONFLICT, one to "invalid" with INVALID_FIELD.
 * Ownership: whoever starts the server stops it. Threads: any. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_CLIENT_APPEND_SERVER_H
#define TESTS_UNIT_SDK_CLIENT_APPEND_SERVER_H

#include "daybook/daybook.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"

#define APPEND_LOG_MAX     20000
#define APPEND_TURNS_MAX   200
#define APPEND_STREAM_MAX  32
#define APPEND_UUID_BYTES  36
#define APPEND_SERVER_TEXT "wrong \xc3\xa4"

/* What becomes of the requests that a turn does not answer. */
enum append_fault {
    APPEND_FAULT_END,         /* the call ends with `code` */
    APPEND_FAULT_HOLD,        /* nothing is answered any more */
    APPEND_FAULT_TWICE,       /* an answer too many, and nothing more */
    APPEND_FAULT_EMPTY,       /* an outcome that is none */
    APPEND_FAULT_NO_ERROR,    /* an error whose code is OK */
    APPEND_FAULT_TOO_FEW,     /* an appended without results */
    APPEND_FAULT_REFUSE_ONCE, /* `refusals_count` are refused with `code` and `reason`; then all goes well */
};

/* One call. */
struct append_turn {
    uint32_t answers_count;   /* then the fault */
    uint32_t swallowed_count; /* before it, so many are committed and not answered */
    enum append_fault fault;
    daybook_code code;
    const char *reason;
    uint32_t retry_ms;
    uint32_t refusals_count;
    bool commits_refused; /* what is refused is committed all the same */
};

/* A committed event. */
struct append_record {
    char id[APPEND_UUID_BYTES + 1];
    char stream[APPEND_STREAM_MAX];
    uint64_t number; /* its text, as a number */
};

struct append_server;

/* `port` 0: any free one. The turns are copied. */
struct append_server *append_server_start(uint16_t port, const struct append_turn *turns, size_t count);
void append_server_stop(struct append_server *server);
uint16_t append_server_port(const struct append_server *server);

/* Makes Head fail from the next time on. */
void append_server_fail_head(struct append_server *server, daybook_code code);

/* Of what is committed: how much, and record `index`. */
size_t append_server_count(struct append_server *server);
struct append_record append_server_record(struct append_server *server, size_t index);

/* How many calls were made, and requests received, so far. */
size_t append_server_calls_count(struct append_server *server);
size_t append_server_requests_count(struct append_server *server);

/* Waits until so many requests were received. */
void append_server_wait_requests(struct append_server *server, size_t count);

#endif
