/* resilience_service.c: see resilience_service.h. */
#include "tests/unit/sdk/runtime/resilience_service.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define NO_MEMORY "the handler has no memory"

/* google.rpc.Status {code: 5, message: 'm' 3,000 times}: too large for the arena on the stack of whoever decodes it. */
#define DETAILS_MESSAGE_BYTES 3000
#define DETAILS_HEAD          "\x08\x05\x12\xb8\x17"

static char details[sizeof DETAILS_HEAD - 1 + DETAILS_MESSAGE_BYTES];

/* One stream of the server's, in the stream's arena; its callbacks never run at the same time. */
struct talk {
    daybook_server_stream *stream;
    const fixture_text *request;
    uint32_t left_count;
    bool finished;
    upb_Arena *last_arena; /* a client's last message */
    const fixture_text *last;
};

static bool says(const fixture_text *request, const char *text) {
    return upb_StringView_IsEqual(google_protobuf_StringValue_value(request), upb_StringView_FromString(text));
}

/* --- One request, one response ------------------------------------------------------------------------------------ */

static void give_up(daybook_server_call *call, void *context) {
    (void)context;
    daybook_server_call_fail(call, DAYBOOK_CANCELLED, "the client has gone", NULL, 0);
}

/* False: the call was failed. */
static bool mirror_header(daybook_server_call *call) {
    daybook_server_context *context = daybook_server_call_context(call);
    const upb_StringView mark = daybook_metadata_find(daybook_server_context_metadata(context), RESILIENCE_HEADER);
    if (mark.data == NULL) return true;
    daybook_status status;
    const daybook_header header = {.key = RESILIENCE_HEADER, .value = mark.data, .value_size = mark.size};
    if (daybook_server_context_add_header(context, &header, &status) &&
        daybook_server_context_add_trailer(context, &header, &status)) {
        return true;
    }
    daybook_server_call_fail(call, status.code, status.message, NULL, 0);
    return false;
}

static void unary(void *context, daybook_server_call *call, const fixture_text *request) {
    static atomic_uint flaky_count;
    (void)context;
    if (says(request, RESILIENCE_HOLD)) {
        daybook_server_call_watch(call, give_up, NULL);
    } else if (says(request, RESILIENCE_FAIL)) {
        daybook_server_call_fail(call, DAYBOOK_NOT_FOUND, "as asked", details, sizeof details);
    } else if (says(request, RESILIENCE_FLAKY) && atomic_fetch_add(&flaky_count, 1) % 3 != 2) {
        daybook_server_call_fail(call, DAYBOOK_UNAVAILABLE, "not yet", NULL, 0);
    } else if (mirror_header(call)) {
        daybook_server_call_reply(call, request);
    }
}

/* --- Streams ------------------------------------------------------------------------------------------------------ */

static void finish(struct talk *talk, daybook_code code) {
    if (talk->finished) return;
    talk->finished = true;
    const bool has_details = code == DAYBOOK_NOT_FOUND;
    daybook_server_stream_finish(talk->stream, code, "as asked", has_details ? details : NULL,
                                 has_details ? sizeof details : 0);
}

static void send_next(struct talk *talk);

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    (void)stream;
    struct talk *talk = context;
    if (ok)
        send_next(talk);
    else
        finish(talk, DAYBOOK_CANCELLED);
}

static void send_next(struct talk *talk) {
    if (talk->finished) return;
    if (talk->left_count > 0) {
        talk->left_count--;
        daybook_server_stream_send(talk->stream, talk->request, on_sent, talk);
    } else if (says(talk->request, RESILIENCE_FAIL)) {
        finish(talk, DAYBOOK_NOT_FOUND);
    } else if (!says(talk->request, RESILIENCE_HOLD)) {
        finish(talk, DAYBOOK_OK);
    }
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    (void)stream;
    finish(context, DAYBOOK_CANCELLED);
}

static void on_closed(void *context) {
    struct talk *talk = context;
    if (talk->last_arena != NULL) upb_Arena_Free(talk->last_arena);
}

/* NULL: the stream was finished. */
static struct talk *talk_new(daybook_server_stream *stream, const fixture_text *request) {
    static const daybook_server_stream_events events = {.cancelled = on_cancelled, .closed = on_closed};
    struct talk *talk = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *talk);
    if (talk == NULL) {
        daybook_server_stream_finish(stream, DAYBOOK_RESOURCE_EXHAUSTED, NO_MEMORY, NULL, 0);
        return NULL;
    }
    *talk = (struct talk){.stream = stream, .request = request, .left_count = RESILIENCE_MESSAGES_COUNT};
    daybook_server_stream_watch(stream, &events, talk);
    return talk;
}

static void server_stream(void *context, daybook_server_stream *stream, const fixture_text *request) {
    (void)context;
    struct talk *talk = talk_new(stream, request);
    if (talk != NULL) send_next(talk);
}

static void receive_last(struct talk *talk);

static void on_last_received(daybook_server_stream *stream, const void *request, void *context) {
    struct talk *talk = context;
    if (talk->finished) return;
    if (request != NULL) {
        talk->last = request;
        receive_last(talk);
    } else if (talk->last == NULL) {
        finish(talk, DAYBOOK_INVALID_ARGUMENT);
    } else {
        talk->finished = true;
        daybook_server_stream_reply(stream, talk->last);
    }
}

static void receive_last(struct talk *talk) {
    if (talk->last_arena == NULL) talk->last_arena = upb_Arena_New();
    if (talk->last_arena == NULL)
        finish(talk, DAYBOOK_RESOURCE_EXHAUSTED);
    else
        daybook_server_stream_receive_into(talk->stream, talk->last_arena, on_last_received, talk);
}

static void client_stream(void *context, daybook_server_stream *stream) {
    (void)context;
    struct talk *talk = talk_new(stream, NULL);
    if (talk != NULL) receive_last(talk);
}

static void receive_and_echo(struct talk *talk);

static void on_echoed(daybook_server_stream *stream, bool ok, void *context) {
    (void)stream;
    if (ok)
        receive_and_echo(context);
    else
        finish(context, DAYBOOK_CANCELLED);
}

static void on_received(daybook_server_stream *stream, const void *request, void *context) {
    struct talk *talk = context;
    if (talk->finished) return;
    if (request == NULL)
        finish(talk, DAYBOOK_OK);
    else
        daybook_server_stream_send(stream, request, on_echoed, talk);
}

static void receive_and_echo(struct talk *talk) {
    if (!talk->finished) daybook_server_stream_receive(talk->stream, on_received, talk);
}

static void bidirectional(void *context, daybook_server_stream *stream) {
    (void)context;
    struct talk *talk = talk_new(stream, NULL);
    if (talk != NULL) receive_and_echo(talk);
}

/* --- The server --------------------------------------------------------------------------------------------------- */

static const struct fixture_handlers handlers = {
    .unary = unary,
    .server_stream = server_stream,
    .client_stream = client_stream,
    .bidirectional = bidirectional,
};

__attribute__((constructor)) static void make_details(void) {
    memcpy(details, DETAILS_HEAD, sizeof DETAILS_HEAD - 1);
    memset(details + sizeof DETAILS_HEAD - 1, 'm', DETAILS_MESSAGE_BYTES);
}

daybook_server *resilience_server_open(uint32_t threads_count, const daybook_tls_options *tls,
                                       daybook_status *ret_status) {
    return resilience_server_open_at(0, threads_count, tls, ret_status);
}

daybook_server *resilience_server_open_at(uint16_t port, uint32_t threads_count, const daybook_tls_options *tls,
                                          daybook_status *ret_status) {
    char listen[32];
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    const daybook_server_options options = {.listen = listen, .threads_count = threads_count, .tls = tls};
    daybook_server *server = daybook_server_open(&options, ret_status);
    if (server == NULL) return NULL;
    if (daybook_server_add_service(server, &fixture_service, &handlers, NULL, ret_status) &&
        daybook_server_start(server, ret_status)) {
        return server;
    }
    return daybook_server_close(server);
}

daybook_client *resilience_client_open(const daybook_server *server, daybook_client_options options,
                                       daybook_status *ret_status) {
    char target[32];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", daybook_server_port(server));
    if (options.target == NULL) options.target = target;
    return daybook_client_open(&options, ret_status);
}

const daybook_method *resilience_method(daybook_method_kind kind) {
    for (size_t i = 0; i < fixture_service.methods_count; i++) {
        if (fixture_service.methods[i].kind == kind) return &fixture_service.methods[i];
    }
    cr_assert_fail("no method of kind %d", kind);
    return NULL;
}
