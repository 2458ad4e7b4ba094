/* scripted_server.h: an EventStore and an Admin that keep every request and answer what they were told.
 *
 * Each call takes the next answers of its method, in the order in which they were told: a unary call one, a stream all up
 * to and including an end. A call without an answer is UNIMPLEMENTED, as an older daemon would say.
 * Ownership: one server at a time, between open and close; messages live in `scripted.arena`. Threads: the test's, which
 * tells and looks between commands, whose server it is by DAYBOOK_SERVER. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_CLI_SCRIPTED_SERVER_H
#define TESTS_UNIT_SDK_CLI_SCRIPTED_SERVER_H

#include "daybook/daybook.h"
#include "daybook/v1/admin.grpc.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"

#define SCRIPTED_MAX 256

/* A request that has come. */
struct scripted_request {
    const daybook_method *method;
    const void *message;
};

struct scripted {
    upb_Arena *arena;
    char server[32]; /* where it listens */
    struct scripted_request requests[SCRIPTED_MAX];
    size_t requests_count;
};
extern struct scripted scripted;

void scripted_open(void);
void scripted_close(void);

/* The methods, by their place in the proto's services. */
const daybook_method *scripted_store_method(const char *name);
const daybook_method *scripted_admin_method(const char *name);

/* Tells an answer: a message, or how a call or a stream ends. A unary call ends with its message. */
void scripted_tell(const daybook_method *method, const void *message);
void scripted_tell_end(const daybook_method *method, daybook_code code);
/* An error with details (an encoded google.rpc.Status). */
void scripted_tell_error(const daybook_method *method, daybook_code code, const char *message, upb_StringView details);

/* The request with this index among those that have come to the method. */
const void *scripted_request(const daybook_method *method, size_t index);
size_t scripted_requests_count(const daybook_method *method);

#define STORE(method) scripted_store_method(#method)
#define ADMIN(method) scripted_admin_method(#method)
/* The typed request of EventStore.method, "Read". */
#define STORE_REQUEST(method, index) ((const daybook_v1_##method##Request *)scripted_request(STORE(method), index))

#endif
