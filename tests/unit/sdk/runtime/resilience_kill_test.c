/* A server process that is killed with calls of every kind in flight, and another that takes its place at the same address. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sdk/runtime/resilience_calls.h"
#include "tests/unit/sdk/runtime/resilience_service.h"

/* A server in a process of its own: it is told its port, 0 for any, says which it has, and serves until it is killed. */
struct process {
    pid_t id;
    int orders;
    int answers;
};

static void serve(int orders, int answers) {
    uint16_t port = 0;
    daybook_status status;
    if (read(orders, &port, sizeof port) != sizeof port) _exit(1);
    const daybook_server *server = resilience_server_open_at(port, 1, NULL, &status);
    if (server == NULL) _exit(1);
    port = daybook_server_port(server);
    if (write(answers, &port, sizeof port) != sizeof port) _exit(1);
    for (;;) pause();
}

static struct process process_start(void) {
    int orders[2];
    int answers[2];
    cr_assert_eq(pipe(orders), 0);
    cr_assert_eq(pipe(answers), 0);
    const pid_t id = fork();
    cr_assert_geq(id, 0);
    if (id == 0) serve(orders[0], answers[1]);
    close(orders[0]);
    close(answers[1]);
    return (struct process){.id = id, .orders = orders[1], .answers = answers[0]};
}

static uint16_t process_serve(const struct process *process, uint16_t port) {
    cr_assert_eq(write(process->orders, &port, sizeof port), (ssize_t)sizeof port);
    cr_assert_eq(read(process->answers, &port, sizeof port), (ssize_t)sizeof port, "the process has no server");
    return port;
}

static void process_kill(const struct process *process) {
    cr_assert_eq(kill(process->id, SIGKILL), 0);
    cr_assert_eq(waitpid(process->id, NULL, 0), process->id);
    close(process->orders);
    close(process->answers);
}

static const daybook_call_options patient = {.timeout_ms = RESILIENCE_PATIENCE_MS};
static daybook_client *client;

static const void *hold(upb_Arena *arena) {
    return fixture_new_text(arena, upb_StringView_FromString(RESILIENCE_HOLD));
}

static void *call_blocking(void *argument) {
    daybook_status *status = argument;
    upb_Arena *arena = upb_Arena_New();
    const void *response = NULL;
    cr_assert_not(daybook_call_unary(client, resilience_method(DAYBOOK_METHOD_UNARY), hold(arena), &patient, arena,
                                     &response, status));
    upb_Arena_Free(arena);
    return NULL;
}

/* Reads what has come before the end, which it returns. */
static daybook_code read_to_end(daybook_stream *stream) {
    const void *message = NULL;
    daybook_status status;
    daybook_next next = DAYBOOK_NEXT_MESSAGE;
    while (next == DAYBOOK_NEXT_MESSAGE) {
        next = daybook_stream_next(stream, RESILIENCE_PATIENCE_MS, &message, &status);
    }
    cr_assert_eq(next, DAYBOOK_NEXT_ERROR, "%d", next);
    return status.code;
}

TestSuite(resilience_kill, .timeout = 120);

Test(resilience_kill, every_call_is_unavailable_and_the_client_goes_on) {
    /* Both before this process has anything of gRPC. */
    const struct process first = process_start();
    const struct process second = process_start();
    const uint16_t port = process_serve(&first, 0);
    char target[32];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
    daybook_status status;
    client = daybook_client_open(&(daybook_client_options){.target = target, .reconnect_backoff_max_ms = 100}, &status);
    cr_assert_not_null(client, "%s", status.message);
    for (size_t i = 0; i < RESILIENCE_FORMS_COUNT; i++) {
        cr_assert_eq(resilience_forms[i].call(client, "hello", &patient), DAYBOOK_OK, "%s", resilience_forms[i].name);
    }

    upb_Arena *arena = upb_Arena_New();
    pthread_t thread;
    daybook_status blocking = {.code = DAYBOOK_OK};
    cr_assert_eq(pthread_create(&thread, NULL, call_blocking, &blocking), 0);
    daybook_call *call = daybook_call_start(client, resilience_method(DAYBOOK_METHOD_UNARY), hold(arena), &patient);
    cr_assert_not_null(call);
    daybook_stream *streams[3];
    for (int i = 0; i < 3; i++) {
        const daybook_method_kind kind = (daybook_method_kind)(DAYBOOK_METHOD_SERVER_STREAMING + i);
        streams[i] =
            daybook_stream_open(client, resilience_method(kind), i == 0 ? hold(arena) : NULL, &patient, &status);
        cr_assert_not_null(streams[i], "%s", status.message);
    }
    process_kill(&first);
    pthread_join(thread, NULL);
    cr_assert_eq(blocking.code, DAYBOOK_UNAVAILABLE, "%s: %s", daybook_code_name(blocking.code), blocking.message);
    cr_assert(daybook_call_wait(call, RESILIENCE_PATIENCE_MS), "the future hangs");
    cr_assert_eq(daybook_call_status(call)->code, DAYBOOK_UNAVAILABLE);
    daybook_call_free(call);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(read_to_end(streams[i]), DAYBOOK_UNAVAILABLE);
        daybook_stream_close(streams[i]);
    }
    upb_Arena_Free(arena);

    cr_assert_eq(process_serve(&second, port), port);
    for (size_t i = 0; i < RESILIENCE_FORMS_COUNT; i++) {
        const daybook_call_options options = {.timeout_ms = RESILIENCE_PATIENCE_MS, .wait_for_ready = 1};
        const daybook_code code = resilience_forms[i].call(client, "hello", &options);
        cr_assert_eq(code, DAYBOOK_OK, "%s: %s", resilience_forms[i].name, daybook_code_name(code));
    }
    daybook_client_close(client);
    process_kill(&second);
}
