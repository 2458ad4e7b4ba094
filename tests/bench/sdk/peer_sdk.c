/* peer_sdk: the benchmark's calls on the generated C SDK. */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/daybook.h"
#include "tests/bench/sdk/bench.grpc.h"
#include "tests/bench/sdk/meter.h"

const char *const peer_name = "sdk";

struct peer {
    const struct meter_task *task;
    daybook_client *client;
    upb_Arena *arena;
    const daybook_bench_Message *request;
};

static void fail(const daybook_status *status) {
    meter_fail(daybook_code_name(status->code), status->message);
}

/* --- blocking ----------------------------------------------------------------------------------------------------- */

struct caller {
    const struct peer *peer;
    unsigned lane;
    pthread_t thread;
};

static void *call_main(void *context) {
    const struct caller *caller = context;
    daybook_status status;
    while (!meter_is_over()) {
        upb_Arena *arena = upb_Arena_New();
        const daybook_bench_Message *response = NULL;
        if (!daybook_bench_Bench_Echo(caller->peer->client, caller->peer->request, NULL, arena, &response, &status)) {
            fail(&status);
        }
        assert(daybook_bench_Message_payload(response).size == caller->peer->task->payload_bytes);
        upb_Arena_Free(arena);
        meter_add(caller->lane, 1);
    }
    return NULL;
}

static void run_blocking(const struct peer *peer) {
    struct caller callers[METER_LANES_MAX];
    for (unsigned i = 0; i < peer->task->threads_count; i++) {
        callers[i] = (struct caller){.peer = peer, .lane = i};
        if (pthread_create(&callers[i].thread, NULL, call_main, &callers[i]) != 0) meter_fail("thread", "no memory");
    }
    for (unsigned i = 0; i < peer->task->threads_count; i++) (void)pthread_join(callers[i].thread, NULL);
}

/* --- future: each call that ends starts the next ------------------------------------------------------------------ */

static atomic_uint futures_open;
static sem_t futures_over;

static void start_future(const struct peer *peer);

static void future_done(daybook_call *call, void *context) {
    const struct peer *peer = context;
    const daybook_status *status = daybook_call_status(call);
    if (status->code != DAYBOOK_OK) fail(status);
    assert(daybook_bench_Message_payload(daybook_bench_Bench_Echo_result(call)).size == peer->task->payload_bytes);
    daybook_call_free(call);
    meter_add(0, 1);
    if (!meter_is_over()) {
        start_future(peer);
    } else if (atomic_fetch_sub(&futures_open, 1) == 1) {
        (void)sem_post(&futures_over);
    }
}

static void start_future(const struct peer *peer) {
    daybook_call *call = daybook_bench_Bench_Echo_start(peer->client, peer->request, NULL);
    if (call == NULL) meter_fail("future", "no memory");
    daybook_call_on_done(call, future_done, (void *)(uintptr_t)peer);
}

static void run_future(const struct peer *peer) {
    (void)sem_init(&futures_over, 0, 0);
    atomic_store(&futures_open, peer->task->in_flight);
    for (uint32_t i = 0; i < peer->task->in_flight; i++) start_future(peer);
    while (sem_wait(&futures_over) != 0) {
    }
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

static void run_pull(const struct peer *peer) {
    daybook_status status;
    daybook_bench_Bench_Pull_stream *stream = daybook_bench_Bench_Pull_open(peer->client, peer->request, NULL, &status);
    if (stream == NULL) fail(&status);
    const daybook_bench_Message *message = NULL;
    while (!meter_is_over()) {
        if (daybook_bench_Bench_Pull_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status) != DAYBOOK_NEXT_MESSAGE) {
            fail(&status);
        }
        assert(daybook_bench_Message_payload(message).size == peer->task->payload_bytes);
        meter_add(0, 1);
    }
    daybook_bench_Bench_Pull_close(stream);
}

static void run_push(const struct peer *peer) {
    daybook_status status;
    daybook_bench_Bench_Push_stream *stream = daybook_bench_Bench_Push_open(peer->client, NULL, &status);
    if (stream == NULL) fail(&status);
    uint64_t count = 0;
    while (!meter_is_over()) {
        count++;
        const daybook_write written =
            count % 32 == 0 ? daybook_bench_Bench_Push_write(stream, peer->request, DAYBOOK_TIMEOUT_NONE, &status)
                            : daybook_bench_Bench_Push_write_more(stream, peer->request, DAYBOOK_TIMEOUT_NONE, &status);
        if (written != DAYBOOK_WRITE_TAKEN) meter_fail("push", "the stream is over");
        meter_add(0, 1);
    }
    const daybook_bench_Message *response = NULL;
    if (daybook_bench_Bench_Push_finish(stream, DAYBOOK_TIMEOUT_NONE, &response, &status) != DAYBOOK_NEXT_MESSAGE) {
        fail(&status);
    }
    if (daybook_bench_Message_count(response) != count) meter_fail("push", "messages were lost");
    daybook_bench_Bench_Push_close(stream);
}

static void run_talk(const struct peer *peer) {
    daybook_status status;
    daybook_bench_Bench_Talk_stream *stream = daybook_bench_Bench_Talk_open(peer->client, NULL, &status);
    if (stream == NULL) fail(&status);
    const daybook_bench_Message *message = NULL;
    while (!meter_is_over()) {
        if (daybook_bench_Bench_Talk_write(stream, peer->request, DAYBOOK_TIMEOUT_NONE, &status) !=
            DAYBOOK_WRITE_TAKEN) {
            meter_fail("talk", "the stream is over");
        }
        if (daybook_bench_Bench_Talk_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status) != DAYBOOK_NEXT_MESSAGE) {
            fail(&status);
        }
        assert(daybook_bench_Message_payload(message).size == peer->task->payload_bytes);
        meter_add(0, 1);
    }
    daybook_bench_Bench_Talk_close(stream);
}

void peer_run(const struct meter_task *task) {
    static const struct {
        const char *mode;
        void (*run)(const struct peer *peer);
    } modes[] = {
        {"blocking", run_blocking}, {"future", run_future}, {"pull", run_pull}, {"push", run_push}, {"talk", run_talk},
    };
    daybook_status status;
    struct peer peer = {.task = task, .arena = upb_Arena_New()};
    peer.client = daybook_client_open(&(daybook_client_options){.target = task->target}, &status);
    if (peer.client == NULL) fail(&status);
    daybook_bench_Message *request = daybook_bench_Message_new(peer.arena);
    daybook_bench_Message_set_payload(request, upb_StringView_FromDataAndSize(task->payload, task->payload_bytes));
    peer.request = request;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].mode, task->mode) == 0) modes[i].run(&peer);
    }
    daybook_client_close(peer.client);
    upb_Arena_Free(peer.arena);
}
