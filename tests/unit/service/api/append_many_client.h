/* append_many_client.h: a server that serves AppendMany alone, in front of a held sequencer, and clients that pipeline.
 *
 * Ownership: clients' requests and answers are in validations_arena. Threads: the test's, but for sends.
 * Errors: asserted. */
#ifndef TESTS_UNIT_SERVICE_API_APPEND_MANY_CLIENT_H
#define TESTS_UNIT_SERVICE_API_APPEND_MANY_CLIENT_H

#include <pthread.h>

#include "daybook/v1/event_store.grpc.h"
#include "service/api/api.h"
#include "tests/unit/service/api/answers.h"
#include "tests/unit/service/api/held_sequencer.h"
#include "tests/unit/service/api/validations.h"

struct many {
    daybook_server *server;
    struct raw_channel *channel;
    struct api api;
    pthread_mutex_t mutex; /* between the test and the server, whose gRPC nobody sees */
};
extern struct many many;

/* For a suite's `init` and `fini`. */
void many_open(void);
void many_close(void);

/* No call is open any more. */
void many_wait_until_closed(void);

struct client {
    struct raw_call *call;
    const daybook_v1_AppendOutcome *const *outcomes; /* of the last response */
    size_t outcomes_count;
    size_t next;
    uint32_t responses_count;
};

struct client client_open(void);
void client_send(struct client *client, const daybook_v1_AppendRequest *request);
void client_send_many(struct client *client, uint32_t count);

/* The next outcome; NULL: there is none any more. */
const daybook_v1_AppendOutcome *client_hear(struct client *client);

/* It is this one. */
void expect_appended(struct client *client, uint64_t position);
const daybook_v1_AppendError *expect_error(struct client *client, daybook_code code, const char *reason);

/* Nothing is heard any more, and this is how it ended. */
struct answer client_end(struct client *client);

/* It ends with OK, and after the client's half-close. */
void expect_ended_well(struct client *client);
void expect_ended_well_at_half_close(struct client *client);

#endif
