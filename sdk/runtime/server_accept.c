/* server_accept.c: a call arrives at a request that was armed for its method; the request is armed again at once. */
#include "sdk/runtime/server_accept.h"

#include <assert.h>
#include <stdlib.h>

#include <grpc/slice.h>

#include "sdk/runtime/server_call.h"
#include "sdk/runtime/server_stream.h"

/* Armed requests of one method on one queue: a few at the start, one more at each arrival up to so many.
 *
 * A call that finds none armed is not lost: gRPC keeps it, under one lock of the whole server, until the next is armed. So
 * this is how many calls may be read from the sockets in one go before that lock is taken. Measured with 256 calls in
 * flight on two queues: with one armed a call takes a tenth more of the server's time, from 16 on nothing is gained.
 * What is armed for methods that nobody calls is not free: Debian's gRPC checks every completion against a list of all that
 * a queue waits for, from its beginning. With 64 armed for each of 25 methods that took a twentieth of the daemon's time. */
#define REQUESTS_COUNT_FIRST 2u
#define REQUESTS_COUNT       32u

/* Paths that nobody serves are no place for speed. */
#define REQUESTS_UNREGISTERED_COUNT REQUESTS_COUNT_FIRST

struct server_request {
    struct loop_operation arrived;
    struct server_arming *arming;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
};

struct server_arming {
    struct server_queue *queue;
    const struct server_method *method; /* NULL: whatever is not registered */
    struct server_request *requests;
    grpc_call_details *details; /* of requests without a method */
    uint32_t requests_count;
    uint32_t begun_count; /* the first so many have been armed once; after the start the queue's thread's */
};

static bool takes_payload(const struct server_method *method) {
    return method->method->kind == DAYBOOK_METHOD_UNARY || method->method->kind == DAYBOOK_METHOD_SERVER_STREAMING;
}

/* Writes nothing of ours: at the start it runs on the owner's thread, when calls may arrive already on the queue's. */
static void arm(struct server_request *request) {
    const struct server_arming *arming = request->arming;
    grpc_completion_queue *queue = arming->queue->loop->queue;
    grpc_server *core = arming->queue->server->core;
    daybook__loop_give(&request->arrived);
    grpc_call_error error =
        arming->method == NULL
            ? grpc_server_request_call(core, &request->call, &arming->details[request - arming->requests],
                                       &request->metadata, queue, queue, &request->arrived)
            : grpc_server_request_registered_call(
                  core, arming->method->registered, &request->call, &request->deadline, &request->metadata,
                  takes_payload(arming->method) ? &request->payload : NULL, queue, queue, &request->arrived);
    assert(error == GRPC_CALL_OK);
}

/* Takes what has arrived out of the request, so that it can be armed again before the call is looked at: meanwhile the
 * next may arrive. */
static struct server_arrival take_arrival(struct server_request *request) {
    struct server_arrival arrival = {
        .queue = request->arming->queue,
        .method = request->arming->method,
        .call = request->call,
        .deadline = request->deadline,
        .metadata = request->metadata,
        .request = request->payload,
    };
    request->call = NULL;
    request->payload = NULL;
    grpc_metadata_array_init(&request->metadata);
    return arrival;
}

/* A method that is called is called again. */
static void arm_one_more(struct server_arming *arming) {
    if (arming->begun_count == arming->requests_count) return;
    arming->queue->requests_armed++;
    arm(&arming->requests[arming->begun_count++]);
}

static void disarm(struct server_request *request) {
    struct server_queue *queue = request->arming->queue;
    queue->requests_armed--;
    daybook__server_queue_check_idle(queue);
}

static void complete_arrival(struct loop_operation *operation, bool ok) {
    struct server_request *request = (struct server_request *)(void *)operation;
    if (!ok) {
        disarm(request);
        return;
    }
    struct server_arrival arrival = take_arrival(request);
    arm(request);
    arm_one_more(request->arming);
    if (atomic_load_explicit(&arrival.queue->server->draining, memory_order_relaxed))
        daybook__server_call_park(&arrival);
    else if (arrival.method->method->kind == DAYBOOK_METHOD_UNARY)
        daybook__server_call_start(&arrival);
    else
        daybook__server_stream_start(&arrival);
}

static void complete_unregistered(struct loop_operation *operation, bool ok) {
    struct server_request *request = (struct server_request *)(void *)operation;
    if (!ok) {
        disarm(request);
        return;
    }
    grpc_call_details *details = &request->arming->details[request - request->arming->requests];
    grpc_slice path = details->method;
    request->deadline = details->deadline;
    grpc_slice_unref(details->host);
    struct server_arrival arrival = take_arrival(request);
    arm(request);
    daybook__server_call_refuse(&arrival, (const char *)GRPC_SLICE_START_PTR(path), GRPC_SLICE_LENGTH(path));
    grpc_slice_unref(path);
}

static bool open_arming(struct server_arming *arming, struct server_queue *queue, const struct server_method *method) {
    arming->queue = queue;
    arming->method = method;
    arming->requests_count = method == NULL ? REQUESTS_UNREGISTERED_COUNT : REQUESTS_COUNT;
    arming->requests = calloc(arming->requests_count, sizeof *arming->requests);
    if (method == NULL) arming->details = calloc(arming->requests_count, sizeof *arming->details);
    arming->begun_count = REQUESTS_COUNT_FIRST;
    if (arming->requests == NULL || (method == NULL && arming->details == NULL)) return false;
    for (uint32_t i = 0; i < arming->requests_count; i++) {
        struct server_request *request = &arming->requests[i];
        request->arrived.complete = method == NULL ? complete_unregistered : complete_arrival;
        request->arming = arming;
        grpc_metadata_array_init(&request->metadata);
    }
    return true;
}

bool daybook__server_accept_open(struct daybook_server *server, daybook_status *ret_status) {
    size_t per_queue = server->methods_count + 1;
    server->armings_count = per_queue * server->queues_count;
    server->armings = calloc(server->armings_count, sizeof *server->armings);
    bool is_open = server->armings != NULL;
    for (size_t i = 0; is_open && i < server->armings_count; i++) {
        size_t method = i % per_queue;
        is_open = open_arming(&server->armings[i], &server->queues[i / per_queue],
                              method < server->methods_count ? &server->methods[method] : NULL);
    }
    if (!is_open) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the server's requests");
        daybook__server_accept_close(server);
        return false;
    }
    for (size_t i = 0; i < server->armings_count; i++) {
        server->armings[i].queue->requests_armed += server->armings[i].begun_count;
    }
    return true;
}

/* Calls may arrive while this goes on, and then their queue's thread arms more: how many of the first are left is known
 * beforehand. */
void daybook__server_accept_arm(struct daybook_server *server) {
    for (size_t i = 0; i < server->armings_count; i++) {
        struct server_arming *arming = &server->armings[i];
        for (uint32_t j = 0; j < REQUESTS_COUNT_FIRST; j++) arm(&arming->requests[j]);
    }
}

void daybook__server_accept_close(struct daybook_server *server) {
    for (size_t i = 0; server->armings != NULL && i < server->armings_count; i++) {
        free(server->armings[i].requests);
        free(server->armings[i].details);
    }
    free(server->armings);
    server->armings = NULL;
    server->armings_count = 0;
}
