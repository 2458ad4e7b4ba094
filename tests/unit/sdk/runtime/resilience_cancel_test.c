/* A thousand cancelled calls of every kind and form, clients and servers that are closed with everything in flight: nothing is
 * left of it, neither calls nor threads, descriptors or memory. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/random.h"
#include "tests/unit/sdk/runtime/resilience_calls.h"
#include "tests/unit/sdk/runtime/resilience_service.h"

#define CALLS_COUNT   1000
#define THOUSANDS_MAX 8
#define CALLERS_COUNT 4
#define ROUNDS_COUNT  15
/* The longest that a call is left alone before it is cancelled. */
#define DELAY_US_MAX 300
/* What a thousand calls may leave in caches of gRPC and the C library. Each that is forgotten takes 1 KiB and more. */
#define GROWTH_BYTES_MAX (512u * 1024u)

static daybook_server *server;
static daybook_client *client;
static const daybook_call_options patient = {.timeout_ms = RESILIENCE_PATIENCE_MS};

static void setup(void) {
    daybook_status status;
    server = resilience_server_open(1, NULL, &status);
    cr_assert_not_null(server, "%s", status.message);
    client = resilience_client_open(server, (daybook_client_options){0}, &status);
    cr_assert_not_null(client, "%s", status.message);
}

static void teardown(void) {
    daybook_client_close(client);
    daybook_server_close(server);
}

TestSuite(resilience_cancel, .init = setup, .fini = teardown, .timeout = 300);

/* --- What there is of a process ----------------------------------------------------------------------------------- */

static size_t files_count(void) {
    DIR *directory = opendir("/proc/self/fd");
    cr_assert_not_null(directory);
    size_t count = 0;
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

/* The threads of the runtime; those of gRPC come and go as it likes. */
static size_t threads_count(void) {
    DIR *directory = opendir("/proc/self/task");
    cr_assert_not_null(directory);
    size_t count = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char path[300];
        char name[16] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue; /* It has ended meanwhile. */
        if (fgets(name, sizeof name, file) != NULL &&
            (strncmp(name, "daybook", 7) == 0 || strncmp(name, "grpc-server", 11) == 0)) {
            count++;
        }
        (void)fclose(file);
    }
    closedir(directory);
    return count;
}

/* Waits until there are no more than `count`: gRPC lets connections go a little later. */
static void wait_files(size_t count) {
    const time_t until = time(NULL) + RESILIENCE_PATIENCE_MS / 1000;
    while (files_count() > count && time(NULL) < until) sched_yield();
    cr_assert_leq(files_count(), count, "%zu files became %zu", count, files_count());
}

static void wait_no_calls(const daybook_server *of) {
    const time_t until = time(NULL) + RESILIENCE_PATIENCE_MS / 1000;
    while (daybook_server_count(of).calls_open > 0 && time(NULL) < until) sched_yield();
    cr_assert_eq(daybook_server_count(of).calls_open, 0, "calls were forgotten");
}

/* --- A thousand of each ------------------------------------------------------------------------------------------- */

static const void *new_request(upb_Arena *arena, const char *text) {
    return fixture_new_text(arena, upb_StringView_FromString(text));
}

/* Uses up some time, so that the cancellation comes at another moment. */
static void delay(struct random *random) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t until = now.tv_sec * 1000000000 + now.tv_nsec + (int64_t)random_below(random, DELAY_US_MAX) * 1000;
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec * 1000000000 + now.tv_nsec < until);
}

static const char *any_text(struct random *random) {
    static const char *const texts[] = {RESILIENCE_HOLD, RESILIENCE_FAIL, RESILIENCE_FLAKY, "hello"};
    return texts[random_below(random, sizeof texts / sizeof texts[0])];
}

static void note_done(daybook_call *call, void *context) {
    cr_assert_not_null(daybook_call_status(call));
    counter_add(context);
}

/* A third each: cancelled and waited for, freed as it is, cancelled and freed. */
static void cancel_future(struct random *random, upb_Arena *arena) {
    struct counter done = COUNTER_INIT;
    const daybook_retry_options retry = {.attempts_max = 3, .backoff_first_ms = 1, .backoff_max_ms = 1};
    daybook_call_options options = patient;
    options.idempotent = random_below(random, 2) == 0;
    options.retry = &retry;
    daybook_call *call = daybook_call_start(client, resilience_method(DAYBOOK_METHOD_UNARY),
                                            new_request(arena, any_text(random)), &options);
    cr_assert_not_null(call);
    const uint64_t way = random_below(random, 3);
    if (way == 0) daybook_call_on_done(call, note_done, &done);
    delay(random);
    if (way != 1) daybook_call_cancel(call);
    if (way == 0) {
        cr_assert(daybook_call_wait(call, RESILIENCE_PATIENCE_MS), "the future hangs");
        counter_wait(&done, 1);
    }
    daybook_call_free(call);
}

static void cancel_stream(struct random *random, upb_Arena *arena, daybook_method_kind kind) {
    const void *request = new_request(arena, any_text(random));
    daybook_status status;
    daybook_stream *stream = daybook_stream_open(
        client, resilience_method(kind), kind == DAYBOOK_METHOD_SERVER_STREAMING ? request : NULL, &patient, &status);
    cr_assert_not_null(stream, "%s", status.message);
    const uint64_t parts_count = random_below(random, 3);
    for (uint64_t i = 0; i < parts_count; i++) {
        const void *message = NULL;
        if (kind != DAYBOOK_METHOD_SERVER_STREAMING) (void)!daybook_stream_write(stream, request, 0, &status);
        if (kind != DAYBOOK_METHOD_CLIENT_STREAMING) (void)!daybook_stream_next(stream, 0, &message, &status);
    }
    delay(random);
    if (random_below(random, 2) == 0) {
        daybook_stream_cancel(stream);
        const void *message = NULL;
        daybook_next next = DAYBOOK_NEXT_MESSAGE;
        while (next == DAYBOOK_NEXT_MESSAGE) {
            next = daybook_stream_next(stream, RESILIENCE_PATIENCE_MS, &message, &status);
        }
        cr_assert_eq(next == DAYBOOK_NEXT_ERROR || next == DAYBOOK_NEXT_END, true, "%d", next);
    }
    daybook_stream_close(stream);
}

static void cancel_thousand(struct random *random, daybook_method_kind kind) {
    for (uint32_t i = 0; i < CALLS_COUNT; i++) {
        upb_Arena *arena = upb_Arena_New();
        if (kind == DAYBOOK_METHOD_UNARY)
            cancel_future(random, arena);
        else
            cancel_stream(random, arena, kind);
        upb_Arena_Free(arena);
    }
    wait_no_calls(server);
}

static void cancel_thousands(const char *name, daybook_method_kind kind) {
    struct random random = random_start(name);
    cancel_thousand(&random, kind);
    const size_t threads_before = threads_count();
    const size_t files_before = files_count();
    cancel_thousand(&random, kind);
    /* A burst fills the server's stock of memory for calls, once; what is forgotten is more after every thousand. */
    int thousands_count = 0;
    size_t before = 0;
    size_t after = mallinfo2().uordblks;
    do {
        before = after;
        cancel_thousand(&random, kind);
        after = mallinfo2().uordblks;
    } while (after > before + GROWTH_BYTES_MAX && ++thousands_count < THOUSANDS_MAX);
    cr_assert_leq(after, before + GROWTH_BYTES_MAX, "%zu bytes became %zu", before, after);
    cr_assert_eq(threads_count(), threads_before);
    wait_files(files_before);
    /* And goes on. */
    for (size_t i = 0; i < RESILIENCE_FORMS_COUNT; i++) {
        cr_assert_eq(resilience_forms[i].call(client, "hello", &patient), DAYBOOK_OK, "%s", resilience_forms[i].name);
    }
}

Test(resilience_cancel, unary_calls) {
    cancel_thousands("unary_calls", DAYBOOK_METHOD_UNARY);
}

Test(resilience_cancel, streams_of_the_server) {
    cancel_thousands("streams_of_the_server", DAYBOOK_METHOD_SERVER_STREAMING);
}

Test(resilience_cancel, streams_of_the_client) {
    cancel_thousands("streams_of_the_client", DAYBOOK_METHOD_CLIENT_STREAMING);
}

Test(resilience_cancel, streams_both_ways) {
    cancel_thousands("streams_both_ways", DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING);
}

/* --- Closed with everything in flight ----------------------------------------------------------------------------- */

struct caller {
    pthread_t thread;
    struct random random;
    struct counter *running;
};

/* Blocking calls and streams that no server ends, until there is one that the client's or the server's close has. */
static void *call_until_closed(void *argument) {
    struct caller *caller = argument;
    upb_Arena *arena = upb_Arena_New();
    const void *request = new_request(arena, RESILIENCE_HOLD);
    const void *response = NULL;
    daybook_status status;
    counter_add(caller->running);
    if (random_below(&caller->random, 2) == 0) {
        cr_assert_not(daybook_call_unary(client, resilience_method(DAYBOOK_METHOD_UNARY), request, &patient, arena,
                                         &response, &status));
    } else {
        daybook_stream *stream =
            daybook_stream_open(client, resilience_method(DAYBOOK_METHOD_SERVER_STREAMING), request, &patient, &status);
        daybook_next next = stream == NULL ? DAYBOOK_NEXT_ERROR : DAYBOOK_NEXT_MESSAGE;
        while (next == DAYBOOK_NEXT_MESSAGE) {
            next = daybook_stream_next(stream, RESILIENCE_PATIENCE_MS, &response, &status);
        }
        cr_assert_eq(next, DAYBOOK_NEXT_ERROR, "%d", next);
        daybook_stream_close(stream);
    }
    cr_assert(status.code == DAYBOOK_CANCELLED || status.code == DAYBOOK_UNAVAILABLE, "%s: %s",
              daybook_code_name(status.code), status.message);
    upb_Arena_Free(arena);
    return NULL;
}

/* Callers hold on to the client while it is closed, which the contract allows to calls that have begun: so the server must have
 * them all before. */
static void wait_calls(uint64_t count) {
    while (daybook_server_count(server).calls_open < count) sched_yield();
}

static void close_with_calls(struct random *random, bool server_first) {
    struct counter running = COUNTER_INIT;
    struct caller callers[CALLERS_COUNT];
    daybook_call *futures[CALLERS_COUNT];
    upb_Arena *arena = upb_Arena_New();
    for (size_t i = 0; i < CALLERS_COUNT; i++) {
        callers[i] = (struct caller){.random = {random_next(random)}, .running = &running};
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, call_until_closed, &callers[i]), 0);
        futures[i] = daybook_call_start(client, resilience_method(DAYBOOK_METHOD_UNARY),
                                        new_request(arena, RESILIENCE_HOLD), &patient);
        cr_assert_not_null(futures[i]);
    }
    wait_calls(2 * CALLERS_COUNT);
    delay(random);
    if (server_first) {
        daybook_server_drain(server, (uint32_t)random_below(random, 2));
        server = daybook_server_close(server);
    }
    client = daybook_client_close(client);
    for (size_t i = 0; i < CALLERS_COUNT; i++) {
        pthread_join(callers[i].thread, NULL);
        cr_assert(daybook_call_wait(futures[i], RESILIENCE_PATIENCE_MS), "the future hangs");
        cr_assert_neq(daybook_call_status(futures[i])->code, DAYBOOK_OK);
        daybook_call_free(futures[i]);
    }
    upb_Arena_Free(arena);
    if (server != NULL) wait_no_calls(server);
    teardown();
}

static void close_again_and_again(const char *name, bool server_first) {
    struct random random = random_start(name);
    const size_t threads_before = threads_count();
    size_t files_before = 0;
    for (uint32_t i = 0; i < ROUNDS_COUNT; i++) {
        close_with_calls(&random, server_first);
        setup();
        if (i == 0) files_before = files_count();
    }
    cr_assert_eq(threads_count(), threads_before);
    wait_files(files_before);
}

Test(resilience_cancel, clients_are_closed_with_calls_in_flight) {
    close_again_and_again("clients_are_closed", false);
}

Test(resilience_cancel, servers_are_closed_with_calls_in_flight) {
    close_again_and_again("servers_are_closed", true);
}
