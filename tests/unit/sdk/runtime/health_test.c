/* health_test.c: grpc.health.v1, asked through the client that the generator writes for it. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "daybook/client.h"
#include "grpc/health/v1/health.grpc.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

#define SERVING     grpc_health_v1_HealthCheckResponse_SERVING
#define NOT_SERVING grpc_health_v1_HealthCheckResponse_NOT_SERVING
#define UNKNOWN     grpc_health_v1_HealthCheckResponse_SERVICE_UNKNOWN

struct health_fixture {
    struct fixture server;
    daybook_client *client;
    upb_Arena *arena;
};

static void open_fixture(struct health_fixture *fixture) {
    fixture_open(&fixture->server, (struct fixture_handlers){0}, NULL, 2);
    char target[32];
    snprintf(target, sizeof target, "127.0.0.1:%u", daybook_server_port(fixture->server.server));
    daybook_status status;
    fixture->client = daybook_client_open(&(daybook_client_options){.target = target}, &status);
    cr_assert_not_null(fixture->client);
    fixture->arena = upb_Arena_New();
}

static void close_fixture(struct health_fixture *fixture) {
    daybook_client_close(fixture->client);
    upb_Arena_Free(fixture->arena);
    fixture_close(&fixture->server);
}

static const grpc_health_v1_HealthCheckRequest *request_of(struct health_fixture *fixture, const char *service) {
    grpc_health_v1_HealthCheckRequest *request = grpc_health_v1_HealthCheckRequest_new(fixture->arena);
    grpc_health_v1_HealthCheckRequest_set_service(request, upb_StringView_FromString(service));
    return request;
}

/* -1: the call failed; `ret_status` says how. */
static int32_t check(struct health_fixture *fixture, const char *service, daybook_status *ret_status) {
    const grpc_health_v1_HealthCheckResponse *response;
    if (!grpc_health_v1_Health_Check(fixture->client, request_of(fixture, service), NULL, fixture->arena, &response,
                                     ret_status))
        return -1;
    return grpc_health_v1_HealthCheckResponse_status(response);
}

static grpc_health_v1_Health_Watch_stream *watch(struct health_fixture *fixture, const char *service) {
    daybook_status status;
    grpc_health_v1_Health_Watch_stream *stream =
        grpc_health_v1_Health_Watch_open(fixture->client, request_of(fixture, service), NULL, &status);
    cr_assert_not_null(stream);
    return stream;
}

/* The next status; -1: the stream has ended, `ret_status` says how. */
static int32_t next(grpc_health_v1_Health_Watch_stream *stream, daybook_status *ret_status) {
    const grpc_health_v1_HealthCheckResponse *response;
    daybook_next next = grpc_health_v1_Health_Watch_next(stream, DAYBOOK_TIMEOUT_NONE, &response, ret_status);
    return next == DAYBOOK_NEXT_MESSAGE ? grpc_health_v1_HealthCheckResponse_status(response) : -1;
}

Test(health, the_server_and_its_services_serve_from_the_start) {
    struct health_fixture fixture;
    open_fixture(&fixture);
    daybook_status status;
    cr_assert_eq(check(&fixture, "", &status), SERVING);
    cr_assert_eq(check(&fixture, FIXTURE_SERVICE, &status), SERVING);
    cr_assert_eq(check(&fixture, "grpc.health.v1.Health", &status), SERVING);
    cr_assert_eq(check(&fixture, "grpc.reflection.v1.ServerReflection", &status), SERVING);
    cr_assert_eq(check(&fixture, "daybook.test.Fixtur", &status), -1);
    cr_assert_eq(status.code, DAYBOOK_NOT_FOUND);
    close_fixture(&fixture);
}

Test(health, what_is_set_is_answered) {
    struct health_fixture fixture;
    open_fixture(&fixture);
    daybook_status status;
    daybook_server *server = fixture.server.server;
    cr_assert_eq(check(&fixture, "readiness", &status), -1);
    daybook_server_set_serving(server, "readiness", false);
    cr_assert_eq(check(&fixture, "readiness", &status), NOT_SERVING);
    daybook_server_set_serving(server, "readiness", true);
    cr_assert_eq(check(&fixture, "readiness", &status), SERVING);
    daybook_server_set_serving(server, FIXTURE_SERVICE, false);
    daybook_server_set_serving(server, "", false);
    cr_assert_eq(check(&fixture, FIXTURE_SERVICE, &status), NOT_SERVING);
    cr_assert_eq(check(&fixture, "", &status), NOT_SERVING);
    cr_assert_eq(check(&fixture, "readiness", &status), SERVING);
    close_fixture(&fixture);
}

Test(health, a_program_has_64_names_of_its_own) {
    struct health_fixture fixture;
    open_fixture(&fixture);
    char name[256];
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    for (int i = 0; i < 64; i++) {
        name[0] = (char)('0' + i);
        daybook_server_set_serving(fixture.server.server, name, i % 2 == 0);
    }
    daybook_status status;
    for (int i = 0; i < 64; i++) {
        name[0] = (char)('0' + i);
        cr_assert_eq(check(&fixture, name, &status), i % 2 == 0 ? SERVING : NOT_SERVING);
    }
    close_fixture(&fixture);
}

Test(health, a_watcher_hears_of_every_change) {
    struct health_fixture fixture;
    open_fixture(&fixture);
    daybook_status status;
    daybook_server *server = fixture.server.server;
    grpc_health_v1_Health_Watch_stream *whole = watch(&fixture, "");
    grpc_health_v1_Health_Watch_stream *own = watch(&fixture, "readiness");
    cr_assert_eq(next(whole, &status), SERVING);
    cr_assert_eq(next(own, &status), UNKNOWN);
    for (int i = 0; i < 10; i++) {
        daybook_server_set_serving(server, "readiness", true);
        cr_assert_eq(next(own, &status), SERVING);
        daybook_server_set_serving(server, "readiness", true); /* No change, no message. */
        daybook_server_set_serving(server, "readiness", false);
        cr_assert_eq(next(own, &status), NOT_SERVING);
    }
    daybook_server_set_serving(server, "", false);
    cr_assert_eq(next(whole, &status), NOT_SERVING);
    grpc_health_v1_Health_Watch_close(whole);
    grpc_health_v1_Health_Watch_close(own);
    close_fixture(&fixture);
}

/* States in between may be missed; the last of each round comes, or this waits for ever. */
Test(health, a_watcher_that_reads_slowly_ends_up_right) {
    struct health_fixture fixture;
    open_fixture(&fixture);
    daybook_status status;
    grpc_health_v1_Health_Watch_stream *stream = watch(&fixture, "readiness");
    int32_t last = -1;
    for (int round = 0; round < 200; round++) {
        bool serving = round % 2 == 0;
        for (int i = 0; i < 5; i++)
            daybook_server_set_serving(fixture.server.server, "readiness", serving == (i % 2 == 0));
        do {
            int32_t previous = last;
            last = next(stream, &status);
            cr_assert_neq(last, -1);
            cr_assert_neq(last, previous); /* Nothing is told twice. */
        } while (last != (serving ? SERVING : NOT_SERVING));
    }
    grpc_health_v1_Health_Watch_close(stream);
    close_fixture(&fixture);
}

Test(health, a_draining_server_tells_its_watchers_and_ends_them) {
    struct health_fixture fixture;
    open_fixture(&fixture);
    daybook_status status;
    grpc_health_v1_Health_Watch_stream *known = watch(&fixture, FIXTURE_SERVICE);
    grpc_health_v1_Health_Watch_stream *unknown = watch(&fixture, "never");
    cr_assert_eq(next(known, &status), SERVING);
    cr_assert_eq(next(unknown, &status), UNKNOWN);
    daybook_server_drain(fixture.server.server, 60000); /* Returns when they have ended, long before. */
    daybook_server_set_serving(fixture.server.server, FIXTURE_SERVICE, true);
    cr_assert_eq(next(known, &status), NOT_SERVING);
    cr_assert_eq(next(known, &status), -1);
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    cr_assert_str_eq(status.message, "the server is draining");
    cr_assert_eq(next(unknown, &status), -1);
    cr_assert_eq(status.code, DAYBOOK_UNAVAILABLE);
    grpc_health_v1_Health_Watch_close(known);
    grpc_health_v1_Health_Watch_close(unknown);
    close_fixture(&fixture);
}

Test(health, watchers_are_bounded_and_come_back) {
    struct health_fixture fixture;
    open_fixture(&fixture);
    daybook_status status;
    enum { WATCHERS = 256 };
    grpc_health_v1_Health_Watch_stream *streams[WATCHERS];
    for (int i = 0; i < WATCHERS; i++) {
        streams[i] = watch(&fixture, "");
        cr_assert_eq(next(streams[i], &status), SERVING);
    }
    grpc_health_v1_Health_Watch_stream *refused = watch(&fixture, "");
    cr_assert_eq(next(refused, &status), -1);
    cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED);
    grpc_health_v1_Health_Watch_close(refused);

    grpc_health_v1_Health_Watch_close(streams[0]);
    while (daybook_server_count(fixture.server.server).calls_open >= WATCHERS) {
    }
    streams[0] = watch(&fixture, "");
    cr_assert_eq(next(streams[0], &status), SERVING);
    for (int i = 0; i < WATCHERS; i++) grpc_health_v1_Health_Watch_close(streams[i]);
    close_fixture(&fixture);
}
