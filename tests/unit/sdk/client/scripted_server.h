/* scripted_server.h: an EventStore whose subscriptions end as a script says, on the SDK's own server half.
 *
 * Its history is SCRIPT_HISTORY events at the positions from 1; a response carries up to SCRIPT_RESPONSE_EVENTS of them,
 * and the position of the last. The first subscription plays the first turn, the next one the next; the last turn is
 * played again and again.
 * Ownership: whoever starts the server stops it. Threads: `scripted_seen` from any. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_CLIENT_SCRIPTED_SERVER_H
#define TESTS_UNIT_SDK_CLIENT_SCRIPTED_SERVER_H

#include "daybook/daybook.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"

#define SCRIPT_HISTORY         500
#define SCRIPT_RESPONSE_EVENTS 3
#define SCRIPT_TURNS_MAX       400
#define SCRIPT_SEEN_MAX        2000

/* One subscription. */
struct script_turn {
    uint32_t responses_count; /* then it ends; fewer when the history is over */
    bool hold;                /* or says nothing more, for ever */
    daybook_code code;        /* how it ends */
    uint32_t retry_ms;        /* what its RetryInfo asks for; 0: none */
    const char *reason;       /* what its ErrorInfo says; NULL: none */
    bool marks_alone;         /* responses without events, all of `position` */
    uint64_t position;
};

/* How a subscription was asked for. */
struct script_seen {
    bool from_end;
    char consumer[32]; /* empty: not by a consumer */
    uint64_t after;
    uint32_t heartbeat_ms;
    bool has_filter;
};

struct scripted_server;

/* `port` 0: any free one. The turns are copied. */
struct scripted_server *scripted_start(uint16_t port, const struct script_turn *turns, size_t count);
void scripted_stop(struct scripted_server *server);

uint16_t scripted_port(const struct scripted_server *server);

/* Copies what was asked for so far and returns how often. */
size_t scripted_seen(struct scripted_server *server, struct script_seen ret_seen[SCRIPT_SEEN_MAX]);

/* Waits until so many subscriptions have been asked for. */
void scripted_wait(struct scripted_server *server, size_t count);

#endif
