/* resilience_service.h: a server of the SDK whose requests say what becomes of their calls, and which takes every lack of
 * memory as a handler should.
 *
 * It serves the methods of server_fixture.h. A text is echoed, by the one that streams three times; a client that streams is
 * answered with its last one. Texts with another meaning: RESILIENCE_HOLD is not answered until the client goes,
 * RESILIENCE_FAIL fails with details, RESILIENCE_FLAKY is UNAVAILABLE but every third time.
 * Ownership: the server is the caller's, to be closed. Threads: any. Errors: as daybook/server.h. */
#pragma once

#include "daybook/daybook.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

#define RESILIENCE_HOLD  "hold"
#define RESILIENCE_FAIL  "fail"
#define RESILIENCE_FLAKY "flaky"

/* A call with this request header gets it back as header and trailer. */
#define RESILIENCE_HEADER "x-mark"

/* How many messages a stream of the server's has, when it goes well. */
#define RESILIENCE_MESSAGES_COUNT 3

/* Opens and starts a server on a free port. NULL: `ret_status` says why; nothing is left of it. */
daybook_server *resilience_server_open(uint32_t threads_count, const daybook_tls_options *tls,
                                       daybook_status *ret_status);

/* The same on a port of the caller's; 0: a free one. */
daybook_server *resilience_server_open_at(uint16_t port, uint32_t threads_count, const daybook_tls_options *tls,
                                          daybook_status *ret_status);

/* Opens a client of it; `options` without a target. */
daybook_client *resilience_client_open(const daybook_server *server, daybook_client_options options,
                                       daybook_status *ret_status);

/* The method of a kind. */
const daybook_method *resilience_method(daybook_method_kind kind);
