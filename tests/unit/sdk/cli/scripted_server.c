#include "tests/unit/sdk/cli/scripted_server.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "upb/decode.h"
#include "upb/encode.h"
#include "upb/msg_internal.h"

struct scripted scripted;

struct answer {
    const daybook_method *method;
    const void *message; /* NULL: an end */
    daybook_code code;
    const char *text;
    upb_StringView details;
    bool given;
};

static daybook_server *server;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct answer answers[SCRIPTED_MAX];
static size_t answers_count;

static const daybook_method *method_find(const daybook_service *service, const char *name) {
    for (size_t index = 0; index < service->methods_count; index++) {
        if (strcmp(service->methods[index].name, name) == 0) return &service->methods[index];
    }
    cr_assert_fail("there is no method %s", name);
    return NULL;
}

const daybook_method *scripted_store_method(const char *name) {
    return method_find(&daybook_v1_EventStore_service, name);
}

const daybook_method *scripted_admin_method(const char *name) {
    return method_find(&daybook_v1_Admin_service, name);
}

static void tell(struct answer answer) {
    cr_assert_lt(answers_count, SCRIPTED_MAX);
    answers[answers_count++] = answer;
}

void scripted_tell(const daybook_method *method, const void *message) {
    cr_assert_not_null(message);
    tell((struct answer){.method = method, .message = message});
}

void scripted_tell_end(const daybook_method *method, daybook_code code) {
    scripted_tell_error(method, code, "it is refused", upb_StringView_FromDataAndSize(NULL, 0));
}

void scripted_tell_error(const daybook_method *method, daybook_code code, const char *message, upb_StringView details) {
    tell((struct answer){.method = method, .code = code, .text = message, .details = details});
}

/* The next answer of a method, or that there is none. */
static struct answer take(const daybook_method *method) {
    for (size_t index = 0; index < answers_count; index++) {
        if (answers[index].method != method || answers[index].given) continue;
        answers[index].given = true;
        return answers[index];
    }
    return (struct answer){.code = DAYBOOK_UNIMPLEMENTED, .text = "it is not implemented"};
}

/* Keeps a copy. */
static void keep(const daybook_method *method, const void *request) {
    char *encoded;
    size_t size;
    cr_assert_eq(upb_Encode(request, method->request, 0, scripted.arena, &encoded, &size), kUpb_EncodeStatus_Ok);
    void *message = _upb_Message_New(method->request, scripted.arena);
    cr_assert_not_null(message);
    cr_assert_eq(upb_Decode(encoded, size, message, method->request, NULL, 0, scripted.arena), kUpb_DecodeStatus_Ok);
    cr_assert_lt(scripted.requests_count, SCRIPTED_MAX);
    scripted.requests[scripted.requests_count++] = (struct scripted_request){method, message};
}

static void answer_call(const daybook_method *method, daybook_server_call *call, const void *request) {
    pthread_mutex_lock(&mutex);
    keep(method, request);
    const struct answer answer = take(method);
    pthread_mutex_unlock(&mutex);
    if (answer.message != NULL) {
        daybook_server_call_reply(call, answer.message);
    } else {
        daybook_server_call_fail(call, answer.code, answer.text, answer.details.data, answer.details.size);
    }
}

/* Sends the next answer of a stream, and after that the following one. `context` is its method. */
static void answer_stream(daybook_server_stream *stream, bool ok, void *context) {
    const daybook_method *method = context;
    pthread_mutex_lock(&mutex);
    const struct answer answer = ok ? take(method) : (struct answer){.code = DAYBOOK_CANCELLED, .text = ""};
    pthread_mutex_unlock(&mutex);
    if (answer.message != NULL) {
        daybook_server_stream_send(stream, answer.message, answer_stream, context);
    } else {
        daybook_server_stream_finish(stream, answer.code, answer.text, answer.details.data, answer.details.size);
    }
}

static void begin_stream(const daybook_method *method, daybook_server_stream *stream, const void *request) {
    pthread_mutex_lock(&mutex);
    keep(method, request);
    pthread_mutex_unlock(&mutex);
    answer_stream(stream, true, (void *)(uintptr_t)method);
}

#define UNARY(service, name)                                                                                           \
    static void on_##name(void *context, daybook_server_call *call, const daybook_v1_##name##Request *request) {       \
        (void)context;                                                                                                 \
        answer_call(method_find(&daybook_v1_##service##_service, #name), call, request);                               \
    }
#define STREAMING(service, name)                                                                                       \
    static void on_##name(void *context, daybook_server_stream *stream, const daybook_v1_##name##Request *request) {   \
        (void)context;                                                                                                 \
        begin_stream(method_find(&daybook_v1_##service##_service, #name), stream, request);                            \
    }

UNARY(EventStore, Append)
STREAMING(EventStore, Read)
STREAMING(EventStore, Subscribe)
UNARY(EventStore, Head)
UNARY(EventStore, GetCheckpoint)
UNARY(EventStore, ListCheckpoints)
UNARY(EventStore, GetStream)
UNARY(EventStore, ListStreams)
UNARY(EventStore, ListTypes)
UNARY(EventStore, ListTags)
UNARY(EventStore, UpdateStreamSettings)
UNARY(EventStore, DeleteStream)
UNARY(EventStore, EraseEvents)
STREAMING(Admin, Backup)
STREAMING(Admin, Verify)
STREAMING(Admin, Compact)
STREAMING(Admin, Reindex)
UNARY(Admin, GetStats)

static const daybook_v1_EventStore_handlers store_handlers = {
    .Append = on_Append,
    .Read = on_Read,
    .Subscribe = on_Subscribe,
    .Head = on_Head,
    .GetCheckpoint = on_GetCheckpoint,
    .ListCheckpoints = on_ListCheckpoints,
    .GetStream = on_GetStream,
    .ListStreams = on_ListStreams,
    .ListTypes = on_ListTypes,
    .ListTags = on_ListTags,
    .UpdateStreamSettings = on_UpdateStreamSettings,
    .DeleteStream = on_DeleteStream,
    .EraseEvents = on_EraseEvents,
};
static const daybook_v1_Admin_handlers admin_handlers = {
    .Backup = on_Backup,
    .Verify = on_Verify,
    .Compact = on_Compact,
    .Reindex = on_Reindex,
    .GetStats = on_GetStats,
};

/* Between the test and the server, whose gRPC nobody sees. */
static void settle(void) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}

void scripted_open(void) {
    daybook_status status;
    command_around = settle;
    argp_err_exit_status = EXIT_USAGE; /* as main does */
    scripted = (struct scripted){.arena = upb_Arena_New()};
    answers_count = 0;
    cr_assert_not_null(scripted.arena);
    server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1}, &status);
    cr_assert_not_null(server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(server, &store_handlers, NULL, &status));
    cr_assert(daybook_v1_Admin_serve(server, &admin_handlers, NULL, &status));
    cr_assert(daybook_server_start(server, &status));
    (void)snprintf(scripted.server, sizeof scripted.server, "127.0.0.1:%u", daybook_server_port(server));
    setenv("DAYBOOK_SERVER", scripted.server, 1);
}

void scripted_close(void) {
    daybook_server_close(server);
    upb_Arena_Free(scripted.arena);
    free(said.out);
    free(said.err);
}

size_t scripted_requests_count(const daybook_method *method) {
    size_t count = 0;
    for (size_t index = 0; index < scripted.requests_count; index++) {
        if (scripted.requests[index].method == method) count++;
    }
    return count;
}

const void *scripted_request(const daybook_method *method, size_t index) {
    size_t at = 0;
    for (size_t request = 0; request < scripted.requests_count; request++) {
        if (scripted.requests[request].method != method) continue;
        if (at++ == index) return scripted.requests[request].message;
    }
    cr_assert_fail("%s has not come %zu times", method->name, index + 1);
    return NULL;
}
