/* echo_fixture.h: an echo server, a client of it and an arena: what a test of the client needs.
 *
 * Ownership: whoever opens the fixture closes it; requests live in its arena, responses in theirs.
 * Threads: the arena is for the test's own thread. Errors: none, what fails here fails the test. */
#ifndef TESTS_SUPPORT_ECHO_FIXTURE_H
#define TESTS_SUPPORT_ECHO_FIXTURE_H

#include "daybook/daybook.h"
#include "echo.upb.h"
#include "tests/support/echo_server.h"

struct echo_fixture {
    struct echo_server *server;
    daybook_client *client;
    upb_Arena *arena;
};

/* What a request asks of the server; see echo.proto. Zero: no response, OK. */
struct echo_script {
    const char *text;
    size_t payload_bytes;
    uint32_t count;
    bool hold;
    daybook_code code;
    const char *message;
    upb_StringView details;
    upb_StringView raw; /* sent when its data is not NULL */
    const char *header;
    bool mirror;
    uint32_t failures;
    const char *pushback;
};

/* Opens server and client. */
struct echo_fixture echo_fixture_open(void);

/* Closes what is left of it: server and client may be NULL by then. */
void echo_fixture_close(struct echo_fixture *fixture);

/* A request in the fixture's arena. */
const void *echo_request(const struct echo_fixture *fixture, const struct echo_script *script);

/* Starts a call; and one that the server, which has `received` calls then, does not answer. */
daybook_call *echo_call_start(const struct echo_fixture *fixture, const struct echo_script *script,
                              const daybook_call_options *options);
daybook_call *echo_call_hold(const struct echo_fixture *fixture, uint32_t received);

/* An encoded google.rpc.Status with an ErrorInfo and, unless `retry_delay_ms` is negative, a RetryInfo. */
upb_StringView echo_details(const struct echo_fixture *fixture, const char *reason, int64_t retry_delay_ms);

#endif
