/* reflection_test.c: grpc.reflection of a server with Daybook's own services, in both versions. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/server.h"
#include "daybook/v1/admin.grpc.h"
#include "daybook/v1/event_store.grpc.h"
#include "google/protobuf/descriptor.upb.h"
#include "grpc/reflection/v1/reflection.grpc.h"
#include "tests/support/raw_client.h"

#define PATH_V1      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define PATH_V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

typedef grpc_reflection_v1_ServerReflectionRequest reflection_request;
typedef grpc_reflection_v1_ServerReflectionResponse reflection_response;

struct session {
    daybook_server *server;
    struct raw_channel *channel;
    struct raw_call *call;
    upb_Arena *arena;
};

static daybook_server *open_server(int without_reflection) {
    static const daybook_v1_EventStore_handlers event_store;
    static const daybook_v1_Admin_handlers admin;
    daybook_status status;
    daybook_server *server = daybook_server_open(
        &(daybook_server_options){.listen = "127.0.0.1:0", .without_reflection = without_reflection}, &status);
    cr_assert_not_null(server);
    cr_assert(daybook_v1_EventStore_serve(server, &event_store, NULL, &status));
    cr_assert(daybook_v1_Admin_serve(server, &admin, NULL, &status));
    cr_assert(daybook_server_start(server, &status), "%s", status.message);
    return server;
}

static void open_session(struct session *session, const char *path) {
    session->server = open_server(0);
    session->channel = raw_channel_open(daybook_server_port(session->server));
    session->call = raw_call_start(session->channel, path, RAW_TIMEOUT_NONE, NULL);
    session->arena = upb_Arena_New();
}

static void close_session(struct session *session) {
    raw_call_half_close(session->call);
    cr_assert_null(raw_call_receive(session->call).data);
    cr_assert_eq(raw_call_finish(session->call).code, DAYBOOK_OK);
    raw_call_free(session->call);
    upb_Arena_Free(session->arena);
    raw_channel_close(session->channel);
    daybook_server_close(session->server);
}

/* Sends a question and gives the answer, which lives in the session's arena. */
static const reflection_response *ask(struct session *session, const reflection_request *request) {
    size_t size;
    const char *bytes =
        grpc_reflection_v1_ServerReflectionRequest_serialize((reflection_request *)request, session->arena, &size);
    cr_assert(raw_call_send(session->call, bytes, size));
    struct raw_bytes answer = raw_call_receive(session->call);
    cr_assert_not_null(answer.data);
    const reflection_response *response =
        grpc_reflection_v1_ServerReflectionResponse_parse(answer.data, answer.size, session->arena);
    cr_assert_not_null(response);
    free(answer.data);
    /* Every answer repeats its question. */
    size_t original_size;
    const char *original = grpc_reflection_v1_ServerReflectionRequest_serialize(
        (reflection_request *)grpc_reflection_v1_ServerReflectionResponse_original_request(response), session->arena,
        &original_size);
    cr_assert_eq(original_size, size);
    cr_assert_arr_eq(original, bytes, size);
    return response;
}

static reflection_request *new_request(struct session *session) {
    reflection_request *request = grpc_reflection_v1_ServerReflectionRequest_new(session->arena);
    grpc_reflection_v1_ServerReflectionRequest_set_host(request, upb_StringView_FromString("a.host"));
    return request;
}

static const reflection_response *ask_symbol(struct session *session, const char *symbol) {
    reflection_request *request = new_request(session);
    grpc_reflection_v1_ServerReflectionRequest_set_file_containing_symbol(request, upb_StringView_FromString(symbol));
    return ask(session, request);
}

static const reflection_response *ask_file(struct session *session, const char *name) {
    reflection_request *request = new_request(session);
    grpc_reflection_v1_ServerReflectionRequest_set_file_by_filename(request, upb_StringView_FromString(name));
    return ask(session, request);
}

/* The name of the file at `index` of an answer, NULL behind the last. */
static const char *file_name(struct session *session, const reflection_response *response, size_t index) {
    const grpc_reflection_v1_FileDescriptorResponse *files =
        grpc_reflection_v1_ServerReflectionResponse_file_descriptor_response(response);
    if (files == NULL) return NULL;
    size_t count;
    const upb_StringView *bytes = grpc_reflection_v1_FileDescriptorResponse_file_descriptor_proto(files, &count);
    if (index >= count) return NULL;
    const google_protobuf_FileDescriptorProto *proto =
        google_protobuf_FileDescriptorProto_parse(bytes[index].data, bytes[index].size, session->arena);
    cr_assert_not_null(proto);
    upb_StringView name = google_protobuf_FileDescriptorProto_name(proto);
    char *text = upb_Arena_Malloc(session->arena, name.size + 1);
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return text;
}

static int32_t error_code(const reflection_response *response) {
    const grpc_reflection_v1_ErrorResponse *error =
        grpc_reflection_v1_ServerReflectionResponse_error_response(response);
    return error == NULL ? DAYBOOK_OK : grpc_reflection_v1_ErrorResponse_error_code(error);
}

static void assert_lists_services(const char *path) {
    struct session session;
    open_session(&session, path);
    reflection_request *request = new_request(&session);
    grpc_reflection_v1_ServerReflectionRequest_set_list_services(request, upb_StringView_FromString("*"));
    const reflection_response *response = ask(&session, request);
    cr_assert(upb_StringView_IsEqual(grpc_reflection_v1_ServerReflectionResponse_valid_host(response),
                                     upb_StringView_FromString("a.host")));
    size_t count;
    const grpc_reflection_v1_ServiceResponse *const *services = grpc_reflection_v1_ListServiceResponse_service(
        grpc_reflection_v1_ServerReflectionResponse_list_services_response(response), &count);
    static const char *const expected[] = {
        "daybook.v1.EventStore",
        "daybook.v1.Admin",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };
    cr_assert_eq(count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < count; i++) {
        cr_assert(upb_StringView_IsEqual(grpc_reflection_v1_ServiceResponse_name(services[i]),
                                         upb_StringView_FromString(expected[i])));
    }
    close_session(&session);
}

Test(reflection, lists_the_services) {
    assert_lists_services(PATH_V1);
}

Test(reflection, v1alpha_is_the_same) {
    assert_lists_services(PATH_V1ALPHA);
}

Test(reflection, a_file_comes_with_what_it_imports_each_once) {
    struct session session;
    open_session(&session, PATH_V1);
    const reflection_response *response = ask_file(&session, "daybook/v1/event_store.proto");
    cr_assert_str_eq(file_name(&session, response, 0), "daybook/v1/event_store.proto");
    bool has_event = false;
    size_t count = 1;
    for (const char *name; (name = file_name(&session, response, count)) != NULL; count++) {
        for (size_t i = 0; i < count; i++) cr_assert_str_neq(name, file_name(&session, response, i));
        if (strcmp(name, "daybook/v1/event.proto") == 0) has_event = true;
    }
    cr_assert(has_event);
    cr_assert_geq(count, 4); /* With timestamp.proto and any.proto, which event.proto imports. */

    response = ask_file(&session, "google/protobuf/timestamp.proto");
    cr_assert_str_eq(file_name(&session, response, 0), "google/protobuf/timestamp.proto");
    cr_assert_null(file_name(&session, response, 1));
    cr_assert_eq(error_code(ask_file(&session, "daybook/v1/nothing.proto")), DAYBOOK_NOT_FOUND);
    cr_assert_eq(error_code(ask_file(&session, "")), DAYBOOK_NOT_FOUND);
    close_session(&session);
}

Test(reflection, a_symbol_of_every_kind_is_found) {
    struct session session;
    open_session(&session, PATH_V1);
    static const struct {
        const char *symbol;
        const char *file;
    } known[] = {
        {"daybook.v1.EventStore", "daybook/v1/event_store.proto"},
        {"daybook.v1.EventStore.Append", "daybook/v1/event_store.proto"},
        {"daybook.v1.Event", "daybook/v1/event.proto"},
        {"daybook.v1.Event.type", "daybook/v1/event.proto"},
        {"daybook.v1.Event.payload", "daybook/v1/event.proto"},
        {"daybook.v1.Event.MetadataEntry", "daybook/v1/event.proto"},
        {"daybook.v1.Event.MetadataEntry.value", "daybook/v1/event.proto"},
        {"grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"},
        {"grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"},
        {"grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"},
        {"google.protobuf.Timestamp", "google/protobuf/timestamp.proto"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const reflection_response *response = ask_symbol(&session, known[i].symbol);
        cr_assert_not_null(file_name(&session, response, 0), "%s is not found", known[i].symbol);
        cr_assert_str_eq(file_name(&session, response, 0), known[i].file);
    }
    static const char *const unknown[] = {
        "",
        ".",
        "daybook",
        "daybook.v1",
        "daybook.v1.",
        "daybook.v1.Eve",
        "daybook.v1.Events",
        "daybook.v1.Event.",
        "daybook.v1.Event.nothing",
        "daybook.v1.EventStore.Nothing",
        "daybook.v1.EventStore.Append.more",
        "Event",
        "grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING",
    };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        cr_assert_eq(error_code(ask_symbol(&session, unknown[i])), DAYBOOK_NOT_FOUND, "\"%s\" is found", unknown[i]);
    }
    close_session(&session);
}

Test(reflection, extensions_are_asked_for_in_vain) {
    struct session session;
    open_session(&session, PATH_V1);
    reflection_request *request = new_request(&session);
    grpc_reflection_v1_ExtensionRequest *extension =
        grpc_reflection_v1_ServerReflectionRequest_mutable_file_containing_extension(request, session.arena);
    grpc_reflection_v1_ExtensionRequest_set_containing_type(extension, upb_StringView_FromString("daybook.v1.Event"));
    grpc_reflection_v1_ExtensionRequest_set_extension_number(extension, 1000);
    cr_assert_eq(error_code(ask(&session, request)), DAYBOOK_NOT_FOUND);

    request = new_request(&session);
    grpc_reflection_v1_ServerReflectionRequest_set_all_extension_numbers_of_type(
        request, upb_StringView_FromString("daybook.v1.Event"));
    const grpc_reflection_v1_ExtensionNumberResponse *numbers =
        grpc_reflection_v1_ServerReflectionResponse_all_extension_numbers_response(ask(&session, request));
    cr_assert_not_null(numbers);
    size_t count;
    grpc_reflection_v1_ExtensionNumberResponse_extension_number(numbers, &count);
    cr_assert_eq(count, 0);
    cr_assert(upb_StringView_IsEqual(grpc_reflection_v1_ExtensionNumberResponse_base_type_name(numbers),
                                     upb_StringView_FromString("daybook.v1.Event")));

    request = new_request(&session);
    grpc_reflection_v1_ServerReflectionRequest_set_all_extension_numbers_of_type(
        request, upb_StringView_FromString("daybook.v1.Nothing"));
    cr_assert_eq(error_code(ask(&session, request)), DAYBOOK_NOT_FOUND);
    cr_assert_eq(error_code(ask(&session, new_request(&session))), DAYBOOK_INVALID_ARGUMENT);
    close_session(&session);
}

Test(reflection, a_draining_server_ends_the_sessions_that_wait) {
    struct session session;
    open_session(&session, PATH_V1);
    ask_symbol(&session, "daybook.v1.Event");
    daybook_server_drain(session.server, 60000); /* Returns when it has ended, long before. */
    cr_assert_null(raw_call_receive(session.call).data);
    cr_assert_eq(raw_call_finish(session.call).code, DAYBOOK_UNAVAILABLE);
    raw_call_free(session.call);
    upb_Arena_Free(session.arena);
    raw_channel_close(session.channel);
    daybook_server_close(session.server);
}

Test(reflection, sessions_are_bounded_and_come_back) {
    struct session session;
    open_session(&session, PATH_V1);
    ask_symbol(&session, "daybook.v1.Event");
    enum { OTHERS = 63 };
    struct raw_call *others[OTHERS];
    for (int i = 0; i < OTHERS; i++) {
        others[i] = raw_call_start(session.channel, PATH_V1ALPHA, RAW_TIMEOUT_NONE, NULL);
        raw_call_receive_headers(others[i]);
    }
    struct raw_call *refused = raw_call_start(session.channel, PATH_V1, RAW_TIMEOUT_NONE, NULL);
    cr_assert_eq(raw_call_finish(refused).code, DAYBOOK_RESOURCE_EXHAUSTED);
    raw_call_free(refused);
    for (int i = 0; i < OTHERS; i++) {
        raw_call_cancel(others[i]);
        raw_call_free(others[i]);
    }
    while (daybook_server_count(session.server).calls_open > 1) {
    }
    struct raw_call *again = raw_call_start(session.channel, PATH_V1, RAW_TIMEOUT_NONE, NULL);
    raw_call_half_close(again);
    cr_assert_null(raw_call_receive(again).data);
    cr_assert_eq(raw_call_finish(again).code, DAYBOOK_OK);
    raw_call_free(again);
    close_session(&session);
}

/* What the generator makes with descriptors=false: the service is listed, and cannot be described. */
Test(reflection, a_service_without_descriptors) {
    static const daybook_v1_EventStore_handlers event_store;
    static const daybook_v1_Admin_handlers admin;
    daybook_service bare = daybook_v1_Admin_service;
    bare.files = NULL;
    bare.files_count = 0;
    daybook_status status;
    struct session session = {.arena = upb_Arena_New()};
    session.server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0"}, &status);
    cr_assert_not_null(session.server);
    cr_assert(daybook_server_add_service(session.server, &bare, &admin, NULL, &status));
    cr_assert(daybook_v1_EventStore_serve(session.server, &event_store, NULL, &status));
    cr_assert(daybook_server_start(session.server, &status), "%s", status.message);
    session.channel = raw_channel_open(daybook_server_port(session.server));
    session.call = raw_call_start(session.channel, PATH_V1, RAW_TIMEOUT_NONE, NULL);

    reflection_request *request = new_request(&session);
    grpc_reflection_v1_ServerReflectionRequest_set_list_services(request, upb_StringView_FromString("*"));
    size_t count;
    const grpc_reflection_v1_ServiceResponse *const *services = grpc_reflection_v1_ListServiceResponse_service(
        grpc_reflection_v1_ServerReflectionResponse_list_services_response(ask(&session, request)), &count);
    cr_assert_eq(count, 5);
    cr_assert(upb_StringView_IsEqual(grpc_reflection_v1_ServiceResponse_name(services[0]),
                                     upb_StringView_FromString("daybook.v1.Admin")));
    cr_assert_eq(error_code(ask_symbol(&session, "daybook.v1.Admin")), DAYBOOK_NOT_FOUND);
    cr_assert_eq(error_code(ask_file(&session, "daybook/v1/admin.proto")), DAYBOOK_NOT_FOUND);
    cr_assert_eq(error_code(ask_symbol(&session, "daybook.v1.EventStore")), DAYBOOK_OK);
    close_session(&session);
}

Test(reflection, can_be_left_out) {
    daybook_server *server = open_server(1);
    struct raw_channel *channel = raw_channel_open(daybook_server_port(server));
    struct raw_call *call = raw_call_start(channel, PATH_V1, RAW_TIMEOUT_NONE, NULL);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_UNIMPLEMENTED);
    raw_call_free(call);
    raw_channel_close(channel);
    daybook_server_close(server);
}
