/* appender_fixture.h: an appender, its client and a server that misbehaves; the end of each test closes what is open.
 *
 * Ownership: `fixture_end` closes all three, of which a test may have none. Threads: the test's. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_CLIENT_APPENDER_FIXTURE_H
#define TESTS_UNIT_SDK_CLIENT_APPENDER_FIXTURE_H

#include "daybook/appender.h"
#include "tests/unit/sdk/client/append_server.h"

#define PATIENCE_MS 60000

extern struct append_server *server;
extern daybook_client *client;
extern daybook_appender *appender;

/* What `disconnected` has heard. */
size_t losses_count(void);
daybook_status losses_last(void);

void client_open(uint16_t port);

/* With pauses of a few milliseconds and much time, unless the test wants others. */
void appender_open(daybook_appender_options options);

void fixture_begin(const struct append_turn *turns, size_t count, daybook_appender_options options);
#define BEGIN(options, ...)                                                                                            \
    fixture_begin((const struct append_turn[]){__VA_ARGS__},                                                           \
                  sizeof((const struct append_turn[]){__VA_ARGS__}) / sizeof(struct append_turn), options)
#define DEFAULTS ((daybook_appender_options){.timeout_ms = 0})
#define ALL_WELL                                                                                                       \
    { .answers_count = UINT32_MAX }
void fixture_end(void);

/* An event whose text is the number, in the stream. */
daybook_write try_submit(const char *stream, uint64_t number, uint32_t wait_ms, daybook_append **ret_append,
                         daybook_status *ret_status);
daybook_append *submit(const char *stream, uint64_t number);

/* The numbers from 0, in the stream "counter". */
void submit_all(daybook_append **ret_appends, size_t count);

/* Waits for the end. */
void expect_status(daybook_append *append, daybook_code code, const char *reason);

/* All are OK, where the log has them, which has them once, in order and with ascending ids. Frees them. */
void expect_all(daybook_append **appends, size_t count);

#endif
