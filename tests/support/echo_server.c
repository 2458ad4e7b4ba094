/* echo_server.c: see echo_server.h.
 *
 * A call is requested, its request is received, and then it takes one step after the other, each a batch of its own:
 * initial metadata, the responses, the wait for the client's end if the script says so, the status. Beside that runs one
 * batch that ends when the call does. The call is freed when both have ended. */
#include "tests/support/echo_server.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "echo.upb.h"
#include "sdk/runtime/codec.h"
#include "sdk/runtime/loop.h"

const daybook_method ECHO_CALL = {
    .name = "Play",
    .path = "/daybook.test.Echo/Play",
    .kind = DAYBOOK_METHOD_UNARY,
    .request = &daybook_test_EchoRequest_msginit,
    .response = &daybook_test_EchoResponse_msginit,
};

const daybook_method ECHO_CALL_IDEMPOTENT = {
    .name = "Play",
    .path = "/daybook.test.Echo/Play",
    .kind = DAYBOOK_METHOD_UNARY,
    .idempotency = DAYBOOK_IDEMPOTENCY_NO_SIDE_EFFECTS,
    .request = &daybook_test_EchoRequest_msginit,
    .response = &daybook_test_EchoResponse_msginit,
};

const daybook_method ECHO_STREAM = {
    .name = "Play",
    .path = "/daybook.test.Echo/Play",
    .kind = DAYBOOK_METHOD_SERVER_STREAMING,
    .request = &daybook_test_EchoRequest_msginit,
    .response = &daybook_test_EchoResponse_msginit,
};

struct echo_server {
    grpc_server *server;
    struct loop loop;
    struct loop_operation shutdown_operation;
    char target[32];

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    bool stopped;
    uint32_t calls_open;
    uint32_t calls_received;
    uint32_t calls_cancelled;
    uint32_t responses_sent;
};

struct echo_call {
    struct echo_server *server;
    struct loop_operation requested;
    struct loop_operation received;
    struct loop_operation stepped;
    struct loop_operation closed;

    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    grpc_byte_buffer *response;
    upb_Arena *arena;
    const daybook_test_EchoRequest *script;
    uint32_t number; /* of the calls that the server has received, from 1 */
    uint32_t responses_sent;
    int cancelled;
    bool failed; /* a step failed: only the status is left */
    bool holding;
    bool has_closed;
    bool has_finished;
    bool finishing;
};

/* Request headers that may come back. */
#define MIRROR_MAX 64

#define OWNER(operation, member) ((struct echo_call *)((char *)(operation)-offsetof(struct echo_call, member)))

static void request_next(struct echo_server *server);
static void step(struct echo_call *call);

static void start(struct echo_call *call, const grpc_op *operation, struct loop_operation *tag) {
    daybook__loop_start(call->call, operation, 1, tag);
}

static void count(struct echo_server *server, uint32_t *counter) {
    pthread_mutex_lock(&server->mutex);
    (*counter)++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

static void call_free(struct echo_call *call) {
    struct echo_server *server = call->server;
    if (call->call != NULL) grpc_call_unref(call->call);
    if (call->payload != NULL) grpc_byte_buffer_destroy(call->payload);
    if (call->response != NULL) grpc_byte_buffer_destroy(call->response);
    grpc_call_details_destroy(&call->details);
    /* The array is ours, its elements are the call's. */
    grpc_metadata_array_destroy(&call->metadata);
    upb_Arena_Free(call->arena);
    free(call);
    pthread_mutex_lock(&server->mutex);
    server->calls_open--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

/* A text of the request header that the script names, "" without. */
static upb_StringView header_value(const struct echo_call *call) {
    upb_StringView name = daybook_test_EchoRequest_header(call->script);
    for (size_t i = 0; i < call->metadata.count && name.size > 0; i++) {
        const grpc_metadata *item = &call->metadata.metadata[i];
        if (GRPC_SLICE_LENGTH(item->key) != name.size) continue;
        if (memcmp(GRPC_SLICE_START_PTR(item->key), name.data, name.size) != 0) continue;
        return upb_StringView_FromDataAndSize((const char *)GRPC_SLICE_START_PTR(item->value),
                                              GRPC_SLICE_LENGTH(item->value));
    }
    return upb_StringView_FromDataAndSize("", 0);
}

/* Copies what the script wants back of the request's headers, as many as there is room for; they stay the call's. */
static size_t mirror(const struct echo_call *call, grpc_metadata *items, size_t items_max) {
    size_t count = 0;
    for (size_t i = 0; i < call->metadata.count && daybook_test_EchoRequest_mirror(call->script); i++) {
        const grpc_metadata *item = &call->metadata.metadata[i];
        if (GRPC_SLICE_LENGTH(item->key) < 2 || memcmp(GRPC_SLICE_START_PTR(item->key), "x-", 2) != 0) continue;
        assert(count < items_max);
        items[count++] = (grpc_metadata){.key = item->key, .value = item->value};
    }
    return count;
}

static grpc_byte_buffer *response_create(struct echo_call *call) {
    if (daybook_test_EchoRequest_has_raw(call->script)) {
        upb_StringView raw = daybook_test_EchoRequest_raw(call->script);
        grpc_slice slice = grpc_slice_from_copied_buffer(raw.data, raw.size);
        grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
        grpc_slice_unref(slice);
        return buffer;
    }
    daybook_test_EchoResponse *response = daybook_test_EchoResponse_new(call->arena);
    daybook_test_EchoResponse_set_text(response, daybook_test_EchoRequest_text(call->script));
    daybook_test_EchoResponse_set_payload(response, daybook_test_EchoRequest_payload(call->script));
    daybook_test_EchoResponse_set_index(response, call->responses_sent);
    daybook_test_EchoResponse_set_header(response, header_value(call));
    grpc_byte_buffer *buffer = NULL;
    codec_result result = daybook__codec_encode(response, &daybook_test_EchoResponse_msginit, &buffer);
    assert(result == CODEC_OK);
    return buffer;
}

static void send_response(struct echo_call *call) {
    if (call->response != NULL) grpc_byte_buffer_destroy(call->response);
    call->response = response_create(call);
    call->responses_sent++;
    count(call->server, &call->server->responses_sent);
    grpc_op operation = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->response};
    start(call, &operation, &call->stepped);
}

/* Whether the call ends as the script says, or well. */
static bool ends_as_scripted(const struct echo_call *call) {
    uint32_t failures = daybook_test_EchoRequest_failures(call->script);
    return failures == 0 || call->number <= failures;
}

/* A script with failures holds the calls that do not fail. */
static bool holds(const struct echo_call *call) {
    const bool fails = daybook_test_EchoRequest_failures(call->script) > 0 && ends_as_scripted(call);
    return daybook_test_EchoRequest_hold(call->script) && !fails;
}

static void send_status(struct echo_call *call) {
    call->finishing = true;
    const bool scripted = ends_as_scripted(call);
    upb_StringView text = daybook_test_EchoRequest_message(call->script);
    const struct {
        const char *key;
        upb_StringView value;
    } wanted[] = {
        {"grpc-status-details-bin", daybook_test_EchoRequest_details(call->script)},
        {"grpc-retry-pushback-ms", daybook_test_EchoRequest_pushback(call->script)},
    };
    grpc_slice text_slice = grpc_slice_from_copied_buffer(text.data, scripted ? text.size : 0);
    grpc_metadata trailers[2 + MIRROR_MAX];
    size_t trailers_count = 0;
    for (size_t i = 0; i < 2 && scripted; i++) {
        if (wanted[i].value.size == 0) continue;
        trailers[trailers_count++] = (grpc_metadata){
            .key = grpc_slice_from_static_string(wanted[i].key),
            .value = grpc_slice_from_copied_buffer(wanted[i].value.data, wanted[i].value.size),
        };
    }
    const size_t own_count = trailers_count;
    trailers_count += mirror(call, trailers + own_count, MIRROR_MAX);
    grpc_op operation = {
        .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
        .data.send_status_from_server =
            {
                .trailing_metadata_count = trailers_count,
                .trailing_metadata = trailers,
                .status = scripted ? (grpc_status_code)daybook_test_EchoRequest_code(call->script) : GRPC_STATUS_OK,
                .status_details = &text_slice,
            },
    };
    start(call, &operation, &call->stepped);
    grpc_slice_unref(text_slice);
    for (size_t i = 0; i < own_count; i++) {
        grpc_slice_unref(trailers[i].value);
    }
}

static void step(struct echo_call *call) {
    if (call->finishing) {
        call->has_finished = true;
        if (call->has_closed) call_free(call);
    } else if (!call->failed && call->responses_sent < daybook_test_EchoRequest_count(call->script)) {
        send_response(call);
    } else if (!call->failed && holds(call) && !call->has_closed) {
        call->holding = true;
    } else {
        send_status(call);
    }
}

static void on_stepped(struct loop_operation *operation, bool ok) {
    struct echo_call *call = OWNER(operation, stepped);
    if (!ok) call->failed = true;
    step(call);
}

static void on_closed(struct loop_operation *operation, bool ok) {
    (void)ok;
    struct echo_call *call = OWNER(operation, closed);
    call->has_closed = true;
    if (call->cancelled) count(call->server, &call->server->calls_cancelled);
    if (call->has_finished) {
        call_free(call);
    } else if (call->holding) {
        call->holding = false;
        step(call);
    }
}

static void on_received(struct loop_operation *operation, bool ok) {
    struct echo_call *call = OWNER(operation, received);
    static const char nothing[] = "";
    call->script = daybook_test_EchoRequest_parse(nothing, 0, call->arena);
    call->failed = !ok || call->payload == NULL;
    if (!call->failed) {
        const void *script = NULL;
        codec_result result = daybook__codec_decode_alias(call->payload, ECHO_CALL.request, call->arena, &script);
        assert(result == CODEC_OK);
        call->script = script;
    }
    grpc_metadata headers[MIRROR_MAX];
    const size_t count = mirror(call, headers, MIRROR_MAX);
    grpc_op send = {.op = GRPC_OP_SEND_INITIAL_METADATA,
                    .data.send_initial_metadata = {.count = count, .metadata = headers}};
    start(call, &send, &call->stepped);
}

static void on_requested(struct loop_operation *operation, bool ok) {
    struct echo_call *call = OWNER(operation, requested);
    struct echo_server *server = call->server;
    if (!ok) {
        call_free(call);
        return;
    }
    count(server, &server->calls_received);
    call->number = server->calls_received; /* changed by this thread alone */
    request_next(server);
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->cancelled};
    start(call, &close, &call->closed);
    grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->payload};
    start(call, &receive, &call->received);
}

static void request_next(struct echo_server *server) {
    struct echo_call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->server = server;
    call->requested.complete = on_requested;
    call->received.complete = on_received;
    call->stepped.complete = on_stepped;
    call->closed.complete = on_closed;
    call->arena = upb_Arena_New();
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    pthread_mutex_lock(&server->mutex);
    bool stopping = server->stopping;
    server->calls_open++;
    pthread_mutex_unlock(&server->mutex);
    if (stopping) {
        call_free(call);
        return;
    }
    daybook__loop_give(&call->requested);
    grpc_call_error error = grpc_server_request_call(server->server, &call->call, &call->details, &call->metadata,
                                                     server->loop.queue, server->loop.queue, &call->requested);
    assert(error == GRPC_CALL_OK);
}

/* Takes the credentials. */
static struct echo_server *start_with(const char *address, grpc_server_credentials *credentials) {
    struct echo_server *server = calloc(1, sizeof *server);
    assert(server != NULL);
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->changed, NULL);
    bool opened = daybook__loop_open(&server->loop, "echo-server", NULL);
    assert(opened);
    daybook__loop_hold(&server->loop);
    grpc_arg unlimited = {
        .type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = -1};
    grpc_channel_args arguments = {.num_args = 1, .args = &unlimited};
    server->server = grpc_server_create(&arguments, NULL);
    grpc_server_register_completion_queue(server->server, server->loop.queue, NULL);
    int port = grpc_server_add_http2_port(server->server, address, credentials);
    grpc_server_credentials_release(credentials);
    assert(port > 0);
    snprintf(server->target, sizeof server->target, "127.0.0.1:%d", port);
    grpc_server_start(server->server);
    request_next(server);
    return server;
}

static struct echo_server *start_at(const char *address) {
    daybook__core_ref();
    return start_with(address, grpc_insecure_server_credentials_create());
}

struct echo_server *echo_server_start_secure(const char *authorities_pem, const struct certificate *certificate) {
    daybook__core_ref();
    grpc_ssl_pem_key_cert_pair pair = {.private_key = certificate->key_pem, .cert_chain = certificate->certificate_pem};
    grpc_ssl_client_certificate_request_type request = authorities_pem == NULL
                                                           ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                           : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    return start_with("127.0.0.1:0", grpc_ssl_server_credentials_create_ex(authorities_pem, &pair, 1, request, NULL));
}

struct echo_server *echo_server_start(void) {
    return start_at("127.0.0.1:0");
}

struct echo_server *echo_server_restart(struct echo_server *server) {
    /* gRPC's servers share a port, so nobody else can take it in between. */
    struct echo_server *next = start_at(server->target);
    echo_server_stop(server);
    return next;
}

const char *echo_server_target(const struct echo_server *server) {
    return server->target;
}

static void wait_counter(struct echo_server *server, const uint32_t *counter, uint32_t value) {
    pthread_mutex_lock(&server->mutex);
    while (*counter < value) {
        pthread_cond_wait(&server->changed, &server->mutex);
    }
    pthread_mutex_unlock(&server->mutex);
}

void echo_server_wait_received(struct echo_server *server, uint32_t count) {
    wait_counter(server, &server->calls_received, count);
}

void echo_server_wait_cancelled(struct echo_server *server, uint32_t count) {
    wait_counter(server, &server->calls_cancelled, count);
}

static uint32_t read_counter(struct echo_server *server, const uint32_t *counter) {
    pthread_mutex_lock(&server->mutex);
    uint32_t value = *counter;
    pthread_mutex_unlock(&server->mutex);
    return value;
}

uint32_t echo_server_received(struct echo_server *server) {
    return read_counter(server, &server->calls_received);
}

uint32_t echo_server_sent(struct echo_server *server) {
    return read_counter(server, &server->responses_sent);
}

static void on_shutdown(struct loop_operation *operation, bool ok) {
    assert(ok);
    struct echo_server *server =
        (struct echo_server *)((char *)operation - offsetof(struct echo_server, shutdown_operation));
    pthread_mutex_lock(&server->mutex);
    server->stopped = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

void echo_server_stop(struct echo_server *server) {
    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    pthread_mutex_unlock(&server->mutex);
    server->shutdown_operation.complete = on_shutdown;
    daybook__loop_give(&server->shutdown_operation);
    grpc_server_shutdown_and_notify(server->server, server->loop.queue, &server->shutdown_operation);
    grpc_server_cancel_all_calls(server->server);
    pthread_mutex_lock(&server->mutex);
    while (!server->stopped || server->calls_open > 0) {
        pthread_cond_wait(&server->changed, &server->mutex);
    }
    pthread_mutex_unlock(&server->mutex);
    daybook__loop_close(&server->loop);
    grpc_server_destroy(server->server);
    daybook__core_unref();
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}
