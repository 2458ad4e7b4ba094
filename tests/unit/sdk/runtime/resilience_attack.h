/* resilience_attack.h: a server that breaks a rule, what calls of every kind and form may end with then, and the parts of
 * its answers.
 *
 * Ownership: attacks are static data. Threads: `greet` and `answer` run on the peer's, the rest on the test's.
 * Errors: asserted. */
#pragma once

#include "tests/support/http2_peer.h"
#include "tests/unit/sdk/runtime/resilience_calls.h"

#define CODE(name) (1u << DAYBOOK_##name)
/* What a server that cannot be reached, or is lost, gives. */
#define LOST CODE(UNAVAILABLE)
/* What an answer gives that is none. */
#define BROKEN (CODE(INTERNAL) | CODE(UNKNOWN) | CODE(UNAVAILABLE))
/* What no answer gives. */
#define LATE CODE(DEADLINE_EXCEEDED)

/* A call that is never answered ends after this; every other one long before its own timeout. */
#define ATTACK_SHORT_MS 150

/* The largest message that the client takes. */
#define ATTACK_MESSAGE_BYTES_MAX 1000

struct attack {
    const char *name;
    void (*greet)(struct http2_connection *connection);
    void (*answer)(struct http2_connection *connection, uint32_t stream);
    const char *text;         /* for `answer` */
    uint32_t number;          /* the same */
    unsigned allowed;         /* codes that calls may end with, as bits */
    unsigned allowed_streams; /* of calls with many messages, where they are others */
    bool is_silent;           /* calls end by their timeout */
};

/* Opens and closes a peer with a client of it. */
void attack_setup(void);
void attack_teardown(void);

/* Makes a call of every form to a server that attacks, each followed by one to a good server at the same address. */
void attack_suffer(const struct attack *attack);

/* The same with one call to a good server, at the end. */
void attack_suffer_in_a_row(const struct attack *attack);

#define SUFFER(attacks)                                                                                                \
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks)[0]; i++) attack_suffer(&(attacks)[i])

/* --- Parts of answers --------------------------------------------------------------------------------------------- */

/* A StringValue. */
#define ATTACK_GOOD       "\x0a\x04good"
#define ATTACK_GOOD_BYTES 6u

/* The attack that is going on. */
const struct attack *attack_of(const struct http2_connection *connection);

void attack_send_settings(struct http2_connection *connection);
void attack_send_headers(struct http2_connection *connection, uint32_t stream);

/* ATTACK_GOOD with a prefix that gives `size` and whether it is compressed. */
void attack_send_part(struct http2_connection *connection, uint32_t stream, uint8_t compressed, uint32_t size);
void attack_send_message(struct http2_connection *connection, uint32_t stream, const char *bytes);

/* grpc-status, and one more unless its name is NULL. */
void attack_send_trailers(struct http2_connection *connection, uint32_t stream, const char *status, const char *name,
                          const char *value);
/* A frame that is one number. */
void attack_send_number(struct http2_connection *connection, enum http2_frame type, uint32_t stream, uint32_t number);
void attack_send_goaway(struct http2_connection *connection, uint32_t stream_last, uint32_t error);

/* A good answer, and none. */
void attack_answer_well(struct http2_connection *connection, uint32_t stream);
void attack_answer_nothing(struct http2_connection *connection, uint32_t stream);
