/* reflection.c: one question, one answer, as long as the client likes.
 *
 * Both versions have the same messages on the wire, so v1alpha is served as v1 under its own name. */
#include "sdk/runtime/reflection.h"

#include <assert.h>
#include <stdlib.h>

#include "grpc/reflection/v1/reflection.grpc.h"
#include "grpc/reflection/v1alpha/reflection.grpc.h"
#include "sdk/runtime/reflection_files.h"

typedef grpc_reflection_v1_ServerReflectionRequest reflection_request;
typedef grpc_reflection_v1_ServerReflectionResponse reflection_response;

struct session {
    struct reflection *reflection;
    daybook_server_stream *stream;
    size_t index; /* in the reflection's sessions */
    bool is_receiving;
    bool is_finished;
};

struct reflection {
    struct daybook_server *server;
    struct reflection_files files;
    daybook_method method_v1alpha;
    daybook_service service_v1alpha;

    pthread_mutex_t mutex; /* guards the sessions */
    bool draining;
    struct session *sessions[DAYBOOK__REFLECTION_SESSIONS_MAX];
};

/* --- Answers ------------------------------------------------------------------------------------------------------ */

/* An answer that is being made, all of it in one arena. */
struct answer {
    const struct reflection *reflection;
    upb_Arena *arena;
    reflection_response *response;
    bool has_memory;
};

static void answer_error(struct answer *answer, daybook_code code, const char *message) {
    grpc_reflection_v1_ErrorResponse *error =
        grpc_reflection_v1_ServerReflectionResponse_mutable_error_response(answer->response, answer->arena);
    if (error == NULL) {
        answer->has_memory = false;
        return;
    }
    grpc_reflection_v1_ErrorResponse_set_error_code(error, (int32_t)code);
    grpc_reflection_v1_ErrorResponse_set_error_message(error, upb_StringView_FromString(message));
}

static void add_file(void *context, const daybook_file *file) {
    struct answer *answer = context;
    grpc_reflection_v1_FileDescriptorResponse *files =
        grpc_reflection_v1_ServerReflectionResponse_mutable_file_descriptor_response(answer->response, answer->arena);
    upb_StringView data = upb_StringView_FromDataAndSize((const char *)file->data, file->size);
    if (files == NULL ||
        !grpc_reflection_v1_FileDescriptorResponse_add_file_descriptor_proto(files, data, answer->arena))
        answer->has_memory = false;
}

/* A file goes with all that it imports, so that a tool has to ask once. */
static void answer_file(struct answer *answer, const struct reflection_file *file, const char *not_found) {
    if (file == NULL)
        answer_error(answer, DAYBOOK_NOT_FOUND, not_found);
    else if (!daybook__reflection_files_each_import(&answer->reflection->files, file, add_file, answer))
        answer->has_memory = false;
}

static void answer_services(struct answer *answer) {
    const struct daybook_server *server = answer->reflection->server;
    grpc_reflection_v1_ListServiceResponse *list =
        grpc_reflection_v1_ServerReflectionResponse_mutable_list_services_response(answer->response, answer->arena);
    for (size_t i = 0; list != NULL && i < server->services_count; i++) {
        grpc_reflection_v1_ServiceResponse *service =
            grpc_reflection_v1_ListServiceResponse_add_service(list, answer->arena);
        if (service == NULL) {
            answer->has_memory = false;
            return;
        }
        grpc_reflection_v1_ServiceResponse_set_name(service, upb_StringView_FromString(server->services[i]->full_name));
    }
    if (list == NULL) answer->has_memory = false;
}

static void add_number(void *context, int32_t number) {
    struct answer *answer = context;
    grpc_reflection_v1_ExtensionNumberResponse *numbers =
        grpc_reflection_v1_ServerReflectionResponse_mutable_all_extension_numbers_response(answer->response,
                                                                                           answer->arena);
    if (numbers == NULL ||
        !grpc_reflection_v1_ExtensionNumberResponse_add_extension_number(numbers, number, answer->arena))
        answer->has_memory = false;
}

static void answer_extension_numbers(struct answer *answer, upb_StringView type) {
    const struct reflection_files *files = &answer->reflection->files;
    if (daybook__reflection_files_find_symbol(files, type) == NULL) {
        answer_error(answer, DAYBOOK_NOT_FOUND, "no such message");
        return;
    }
    grpc_reflection_v1_ExtensionNumberResponse *numbers =
        grpc_reflection_v1_ServerReflectionResponse_mutable_all_extension_numbers_response(answer->response,
                                                                                           answer->arena);
    if (numbers == NULL) {
        answer->has_memory = false;
        return;
    }
    grpc_reflection_v1_ExtensionNumberResponse_set_base_type_name(numbers, type);
    daybook__reflection_files_each_extension(files, type, add_number, answer);
}

static void answer_request(struct answer *answer, const reflection_request *request) {
    const struct reflection_files *files = &answer->reflection->files;
    const grpc_reflection_v1_ExtensionRequest *extension;
    switch (grpc_reflection_v1_ServerReflectionRequest_message_request_case(request)) {
    case grpc_reflection_v1_ServerReflectionRequest_message_request_list_services:
        answer_services(answer);
        return;
    case grpc_reflection_v1_ServerReflectionRequest_message_request_file_by_filename:
        answer_file(answer,
                    daybook__reflection_files_find_name(
                        files, grpc_reflection_v1_ServerReflectionRequest_file_by_filename(request)),
                    "no such file");
        return;
    case grpc_reflection_v1_ServerReflectionRequest_message_request_file_containing_symbol:
        answer_file(answer,
                    daybook__reflection_files_find_symbol(
                        files, grpc_reflection_v1_ServerReflectionRequest_file_containing_symbol(request)),
                    "no such symbol");
        return;
    case grpc_reflection_v1_ServerReflectionRequest_message_request_file_containing_extension:
        extension = grpc_reflection_v1_ServerReflectionRequest_file_containing_extension(request);
        answer_file(answer,
                    daybook__reflection_files_find_extension(
                        files, grpc_reflection_v1_ExtensionRequest_containing_type(extension),
                        grpc_reflection_v1_ExtensionRequest_extension_number(extension)),
                    "no such extension");
        return;
    case grpc_reflection_v1_ServerReflectionRequest_message_request_all_extension_numbers_of_type:
        answer_extension_numbers(answer,
                                 grpc_reflection_v1_ServerReflectionRequest_all_extension_numbers_of_type(request));
        return;
    case grpc_reflection_v1_ServerReflectionRequest_message_request_NOT_SET:
        answer_error(answer, DAYBOOK_INVALID_ARGUMENT, "the request asks for nothing that is known here");
        return;
    }
}

/* --- Sessions; all of it with the reflection locked --------------------------------------------------------------- */

static void finish(struct session *session, daybook_code code, const char *message) {
    if (session->is_finished) return;
    session->is_finished = true;
    daybook_server_stream_finish(session->stream, code, message, NULL, 0);
}

static void on_received(daybook_server_stream *stream, const void *request, void *context);

static void receive_next(struct session *session) {
    if (session->is_finished) return;
    if (session->reflection->draining) {
        finish(session, DAYBOOK_UNAVAILABLE, "the server is draining");
        return;
    }
    session->is_receiving = true;
    daybook_server_stream_receive(session->stream, on_received, session);
}

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    (void)stream;
    struct session *session = context;
    pthread_mutex_lock(&session->reflection->mutex);
    if (ok)
        receive_next(session);
    else
        finish(session, DAYBOOK_CANCELLED, "the client has gone");
    pthread_mutex_unlock(&session->reflection->mutex);
}

/* The answer points into the request, which is there until the callback returns; it is serialised before. */
static void send_answer(struct session *session, const reflection_request *request) {
    upb_Arena *arena = upb_Arena_New();
    struct answer answer = {.reflection = session->reflection, .arena = arena, .has_memory = arena != NULL};
    if (answer.has_memory) answer.response = grpc_reflection_v1_ServerReflectionResponse_new(arena);
    answer.has_memory = answer.response != NULL;
    if (answer.has_memory) {
        grpc_reflection_v1_ServerReflectionResponse_set_valid_host(
            answer.response, grpc_reflection_v1_ServerReflectionRequest_host(request));
        grpc_reflection_v1_ServerReflectionResponse_set_original_request(answer.response,
                                                                         (reflection_request *)request);
        answer_request(&answer, request);
    }
    if (answer.has_memory)
        daybook_server_stream_send(session->stream, answer.response, on_sent, session);
    else
        finish(session, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the answer");
    if (arena != NULL) upb_Arena_Free(arena);
}

static void on_received(daybook_server_stream *stream, const void *request, void *context) {
    (void)stream;
    struct session *session = context;
    pthread_mutex_lock(&session->reflection->mutex);
    session->is_receiving = false;
    if (request == NULL)
        finish(session, DAYBOOK_OK, NULL);
    else if (!session->is_finished)
        send_answer(session, request);
    pthread_mutex_unlock(&session->reflection->mutex);
}

static void on_closed(void *context) {
    struct session *session = context;
    struct reflection *reflection = session->reflection;
    pthread_mutex_lock(&reflection->mutex);
    reflection->sessions[session->index] = NULL;
    pthread_mutex_unlock(&reflection->mutex);
}

/* Nothing is to be heard of a client that goes but what its message in flight tells. */
static const daybook_server_stream_events session_events = {.closed = on_closed};

static bool add_session(struct reflection *reflection, struct session *session) {
    for (size_t i = 0; i < DAYBOOK__REFLECTION_SESSIONS_MAX; i++) {
        if (reflection->sessions[i] != NULL) continue;
        reflection->sessions[i] = session;
        session->index = i;
        return true;
    }
    return false;
}

static void handle_info(void *context, daybook_server_stream *stream) {
    struct reflection *reflection = context;
    struct session *session = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *session);
    if (session == NULL) {
        daybook_server_stream_finish(stream, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for another session", NULL, 0);
        return;
    }
    *session = (struct session){.reflection = reflection, .stream = stream};
    pthread_mutex_lock(&reflection->mutex);
    if (add_session(reflection, session)) {
        daybook_server_stream_watch(stream, &session_events, session);
        receive_next(session);
    } else {
        finish(session, DAYBOOK_RESOURCE_EXHAUSTED, "too many sessions; at most 64 are served");
    }
    pthread_mutex_unlock(&reflection->mutex);
}

/* --- The server's side -------------------------------------------------------------------------------------------- */

static const grpc_reflection_v1_ServerReflection_handlers handlers = {.ServerReflectionInfo = handle_info};

static bool serve(struct reflection *reflection, daybook_status *ret_status) {
    reflection->method_v1alpha = grpc_reflection_v1_ServerReflection_methods[0];
    reflection->method_v1alpha.path = grpc_reflection_v1alpha_ServerReflection_methods[0].path;
    reflection->service_v1alpha = grpc_reflection_v1alpha_ServerReflection_service;
    reflection->service_v1alpha.methods = &reflection->method_v1alpha;
    struct daybook_server *server = reflection->server;
    return grpc_reflection_v1_ServerReflection_serve(server, &handlers, reflection, ret_status) &&
           daybook_server_add_service(server, &reflection->service_v1alpha, &handlers, reflection, ret_status) &&
           daybook__reflection_files_open(&reflection->files, server->services, server->services_count, ret_status);
}

struct reflection *daybook__reflection_open(struct daybook_server *server, daybook_status *ret_status) {
    assert(grpc_reflection_v1alpha_ServerReflection_service.methods_count == 1);
    struct reflection *reflection = calloc(1, sizeof *reflection);
    if (reflection == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the server's reflection");
        return NULL;
    }
    reflection->server = server;
    pthread_mutex_init(&reflection->mutex, NULL);
    if (!serve(reflection, ret_status)) return daybook__reflection_close(reflection);
    return reflection;
}

void daybook__reflection_drain(struct reflection *reflection) {
    pthread_mutex_lock(&reflection->mutex);
    reflection->draining = true;
    for (size_t i = 0; i < DAYBOOK__REFLECTION_SESSIONS_MAX; i++) {
        struct session *session = reflection->sessions[i];
        if (session != NULL && session->is_receiving) finish(session, DAYBOOK_UNAVAILABLE, "the server is draining");
    }
    pthread_mutex_unlock(&reflection->mutex);
}

struct reflection *daybook__reflection_close(struct reflection *reflection) {
    if (reflection == NULL) return NULL;
    daybook__reflection_files_close(&reflection->files);
    pthread_mutex_destroy(&reflection->mutex);
    free(reflection);
    return NULL;
}
