/* echo_server: the least a gRPC server can do on this machine: unary calls answered with their own request, on gRPC
 * core's C API, with no storage behind. Its rate is the ceiling against which the daemon's is measured.
 *
 * It is built as a fast server on gRPC core is built: the method is registered, the request arrives together with the
 * call, there is a completion queue and a thread for each core, and every queue has 256 calls armed in advance.
 * Ownership: a slot is one armed or running call; slots belong to their queue and live as long as the process.
 * Threads: a slot is touched by its queue's thread only. Errors: a port that cannot be bound ends the program. */
#include "tests/bench/echo.h"

#include <argp.h>
#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define ARMED_CALLS_PER_QUEUE 256u
#define QUEUES_MAX            64u
#define SHUTDOWN_TAG          ((void *)1)

struct queue;

struct slot {
    struct queue *queue;
    bool is_running;
    grpc_call *call;
    grpc_byte_buffer *message;
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    int cancelled;
};

struct queue {
    grpc_server *server;
    void *method;
    grpc_completion_queue *events;
    pthread_t thread;
    struct slot slots[ARMED_CALLS_PER_QUEUE];
};

/* Offers the slot to the next call that comes. When the server is shutting down the slot completes without success; when
 * its queue is, it is not offered any more. */
static void arm(struct slot *slot) {
    struct queue *queue = slot->queue;
    slot->is_running = false;
    grpc_metadata_array_init(&slot->metadata);
    grpc_call_error error =
        grpc_server_request_registered_call(queue->server, queue->method, &slot->call, &slot->deadline, &slot->metadata,
                                            &slot->message, queue->events, queue->events, slot);
    assert(error == GRPC_CALL_OK || error == GRPC_CALL_ERROR_COMPLETION_QUEUE_SHUTDOWN);
    (void)error;
}

/* A call has come with its request: sends the request back and the status after it. */
static void answer(struct slot *slot) {
    slot->is_running = true;
    grpc_slice no_details = grpc_empty_slice();
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = slot->message},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = GRPC_STATUS_OK, .status_details = &no_details}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &slot->cancelled},
    };
    grpc_call_error error = grpc_call_start_batch(slot->call, ops, sizeof ops / sizeof ops[0], slot, NULL);
    assert(error == GRPC_CALL_OK);
    (void)error;
}

/* Frees what a call held, whether it was answered or not. */
static void release(struct slot *slot) {
    if (slot->message != NULL) grpc_byte_buffer_destroy(slot->message);
    if (slot->call != NULL) grpc_call_unref(slot->call);
    grpc_metadata_array_destroy(&slot->metadata);
    slot->message = NULL;
    slot->call = NULL;
}

static void *queue_main(void *context) {
    struct queue *queue = context;
    for (uint32_t i = 0; i < ARMED_CALLS_PER_QUEUE; i++) {
        queue->slots[i].queue = queue;
        arm(&queue->slots[i]);
    }
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue->events, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) return NULL;
        if (event.tag == SHUTDOWN_TAG) continue;
        struct slot *slot = event.tag;
        if (slot->is_running) {
            release(slot);
            arm(slot);
        } else if (event.success != 0 && slot->message != NULL) {
            answer(slot);
        } else {
            release(slot);
        }
    }
}

/* Binds and starts the server with its queues. False: the address cannot be bound. */
static bool start(const char *listen, struct queue *queues, uint32_t queues_count, grpc_server **ret_server) {
    grpc_server *server = grpc_server_create(NULL, NULL);
    void *method = grpc_server_register_method(server, ECHO_METHOD, NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    for (uint32_t i = 0; i < queues_count; i++) {
        queues[i].server = server;
        queues[i].method = method;
        queues[i].events = grpc_completion_queue_create_for_next(NULL);
        grpc_server_register_completion_queue(server, queues[i].events, NULL);
    }
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(server, listen, credentials);
    grpc_server_credentials_release(credentials);
    *ret_server = server;
    if (port == 0) return false;

    grpc_server_start(server);
    for (uint32_t i = 0; i < queues_count; i++) {
        if (pthread_create(&queues[i].thread, NULL, queue_main, &queues[i]) != 0) abort();
    }
    return true;
}

/* Ends the calls, then the queues, then the server. */
static void stop(grpc_server *server, struct queue *queues, uint32_t queues_count) {
    grpc_completion_queue *last = grpc_completion_queue_create_for_pluck(NULL);
    grpc_server_shutdown_and_notify(server, last, SHUTDOWN_TAG);
    grpc_server_cancel_all_calls(server);
    (void)grpc_completion_queue_pluck(last, SHUTDOWN_TAG, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    for (uint32_t i = 0; i < queues_count; i++) {
        grpc_completion_queue_shutdown(queues[i].events);
        (void)pthread_join(queues[i].thread, NULL);
        grpc_completion_queue_destroy(queues[i].events);
    }
    grpc_server_destroy(server);
    grpc_completion_queue_shutdown(last);
    grpc_completion_queue_destroy(last);
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    if (key != 'l') return ARGP_ERR_UNKNOWN;
    *(const char **)state->input = text;
    return 0;
}

/* The cores this process may run on. */
static uint32_t cores_count(void) {
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
    uint32_t count = (uint32_t)CPU_COUNT(&cores);
    return count < QUEUES_MAX ? count : QUEUES_MAX;
}

int main(int argc, char **argv) {
    static const struct argp_option options[] = {
        {"listen", 'l', "HOST:PORT", 0, "Where to listen (127.0.0.1:50052)", 0},
        {0},
    };
    static const struct argp parser = {options, parse_option, NULL, "Answers " ECHO_METHOD " with its request.",
                                       NULL,    NULL,         NULL};
    const char *listen = "127.0.0.1:50052";
    if (argp_parse(&parser, argc, argv, 0, NULL, &listen) != 0) return EX_USAGE;

    /* Before any thread starts, so that all of them inherit it and only sigwait sees the signals. */
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);

    uint32_t queues_count = cores_count();
    struct queue *queues = calloc(queues_count, sizeof *queues);
    if (queues == NULL) abort();
    grpc_init();
    grpc_server *server = NULL;
    if (!start(listen, queues, queues_count, &server)) {
        (void)fprintf(stderr, "echo_server: cannot listen on %s\n", listen);
        return EX_UNAVAILABLE;
    }
    int signal_number = 0;
    (void)sigwait(&signals, &signal_number);
    stop(server, queues, queues_count);
    free(queues);
    grpc_shutdown_blocking();
    return EXIT_SUCCESS;
}
