/* server: what all clients of the SDK's benchmark call; on the SDK's own server half. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "daybook/daybook.h"
#include "tests/bench/sdk/bench.grpc.h"

static void echo(void *context, daybook_server_call *call, const daybook_bench_Message *request) {
    (void)context;
    daybook_bench_Bench_Echo_reply(call, request);
}

/* --- Pull: the same message again and again, in runs of 32, as fast as the client takes it -------------------------- */

struct pull {
    const daybook_bench_Message *message;
    uint64_t left;
    uint64_t sent;
};

static void pull_sent(daybook_server_stream *stream, bool ok, void *context);

/* A message of a run waits for those that follow, as those that a client pushes do: what is measured is how fast a client
 * takes messages, not how fast two programs wake each other for each. */
static void pull_send(daybook_server_stream *stream, struct pull *pull) {
    if (++pull->sent % 32 == 0 || pull->left == 1)
        daybook_bench_Bench_Pull_send(stream, pull->message, pull_sent, pull);
    else
        daybook_bench_Bench_Pull_send_more(stream, pull->message, pull_sent, pull);
}

static void pull_sent(daybook_server_stream *stream, bool ok, void *context) {
    struct pull *pull = context;
    if (!ok || --pull->left == 0) {
        daybook_server_stream_finish(stream, ok ? DAYBOOK_OK : DAYBOOK_CANCELLED, NULL, NULL, 0);
        return;
    }
    pull_send(stream, pull);
}

static void pull(void *context, daybook_server_stream *stream, const daybook_bench_Message *request) {
    (void)context;
    upb_Arena *arena = daybook_server_stream_arena(stream);
    struct pull *pull = upb_Arena_Malloc(arena, sizeof *pull);
    assert(pull != NULL);
    const uint64_t count = daybook_bench_Message_count(request);
    *pull = (struct pull){.message = request, .left = count == 0 ? UINT64_MAX : count};
    pull_send(stream, pull);
}

/* --- Push: counts ------------------------------------------------------------------------------------------------- */

static void push_received(daybook_server_stream *stream, const void *request, void *context) {
    uint64_t *count = context;
    if (request != NULL) {
        (*count)++;
        daybook_server_stream_receive(stream, push_received, count);
        return;
    }
    daybook_bench_Message *response = daybook_bench_Message_new(daybook_server_stream_arena(stream));
    assert(response != NULL);
    daybook_bench_Message_set_count(response, *count);
    daybook_bench_Bench_Push_reply(stream, response);
}

static void push(void *context, daybook_server_stream *stream) {
    (void)context;
    uint64_t *count = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *count);
    assert(count != NULL);
    *count = 0;
    daybook_server_stream_receive(stream, push_received, count);
}

/* --- Talk: each message comes back -------------------------------------------------------------------------------- */

static void talk_received(daybook_server_stream *stream, const void *request, void *context);

static void talk_sent(daybook_server_stream *stream, bool ok, void *context) {
    if (!ok) {
        daybook_server_stream_finish(stream, DAYBOOK_CANCELLED, NULL, NULL, 0);
        return;
    }
    daybook_server_stream_receive(stream, talk_received, context);
}

static void talk_received(daybook_server_stream *stream, const void *request, void *context) {
    if (request == NULL) {
        daybook_server_stream_finish(stream, DAYBOOK_OK, NULL, NULL, 0);
        return;
    }
    daybook_bench_Bench_Talk_send(stream, daybook_bench_Bench_Talk_request(request), talk_sent, context);
}

static void talk(void *context, daybook_server_stream *stream) {
    daybook_server_stream_receive(stream, talk_received, context);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: server HOST:PORT\n");
        return EX_USAGE;
    }
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);

    static const daybook_bench_Bench_handlers handlers = {.Echo = echo, .Pull = pull, .Push = push, .Talk = talk};
    daybook_status status;
    daybook_server *server = daybook_server_open(&(daybook_server_options){.listen = argv[1]}, &status);
    if (server == NULL || !daybook_bench_Bench_serve(server, &handlers, NULL, &status) ||
        !daybook_server_start(server, &status)) {
        (void)fprintf(stderr, "server: %s\n", status.message);
        return EX_UNAVAILABLE;
    }
    int signal_number = 0;
    (void)sigwait(&signals, &signal_number);
    daybook_server_close(server);
    return EXIT_SUCCESS;
}
