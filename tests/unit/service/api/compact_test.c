/* Compact, as a client sees it: progress, one at a time, ended by whoever may end it. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "daybook/v1/admin.upb.h"
#include "service/commit/compactor.h"
#include "service/commit/sequencer.h"
#include "tests/unit/service/api/rooms.h"

#define METHOD_COMPACT "/daybook.v1.Admin/Compact"

TestSuite(compact, .init = rooms_open, .fini = rooms_close);

static struct raw_call *compaction_start(void) {
    return raw_call_request(rooms.channel, METHOD_COMPACT, "", 0);
}

static const daybook_v1_CompactResponse *response_receive(struct raw_call *call) {
    const struct raw_bytes bytes = raw_call_receive(call);
    if (bytes.data == NULL) return NULL;
    /* The parsed message has views of the bytes, which go with the arena. */
    char *kept = upb_Arena_Malloc(rooms.arena, bytes.size + 1);
    cr_assert_not_null(kept);
    memcpy(kept, bytes.data, bytes.size);
    free(bytes.data);
    const daybook_v1_CompactResponse *response = daybook_v1_CompactResponse_parse(kept, bytes.size, rooms.arena);
    cr_assert_not_null(response);
    return response;
}

static int finish(struct raw_call *call) {
    const int code = raw_call_finish(call).code;
    raw_call_free(call);
    return code;
}

/* Receives all responses; the last one. */
static const daybook_v1_CompactResponse *last_response(struct raw_call *call) {
    const daybook_v1_CompactResponse *last = NULL;
    for (const daybook_v1_CompactResponse *response = response_receive(call); response != NULL;
         response = response_receive(call)) {
        last = response;
    }
    return last;
}

Test(compact, the_last_response_has_the_figures) {
    for (int index = 0; index < 20; index++) rooms_append_one("s", "T");
    struct raw_call *call = compaction_start();
    const daybook_v1_CompactResponse *last = last_response(call);
    cr_assert_eq(finish(call), DAYBOOK_OK);
    cr_assert_not_null(last);
    cr_assert_eq(daybook_v1_CompactResponse_events_copied_count(last), 20);
    cr_assert_eq(daybook_v1_CompactResponse_events_count(last), 20);
    size_t count;
    (void)rooms_read(daybook_v1_ReadRequest_new(rooms.arena), &count);
    cr_assert_eq(count, 20);
    cr_assert_eq(rooms_append_one("s", "T"), 21);
}

/* --- While the sequencer is held up, a compaction cannot end. --------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_held;
static bool may_go;
static pthread_t holder;

static result hold(void *context) {
    (void)context;
    pthread_mutex_lock(&mutex);
    is_held = true;
    pthread_cond_broadcast(&changed);
    while (!may_go) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    return RESULT_OK;
}

static void *hold_run(void *context) {
    result outcome;
    (void)context;
    cr_assert_eq(sequencer_run(rooms.sequencer, hold, NULL, &outcome).failure, FAILURE_NONE);
    return NULL;
}

static void sequencer_hold(void) {
    cr_assert_eq(pthread_create(&holder, NULL, hold_run, NULL), 0);
    pthread_mutex_lock(&mutex);
    while (!is_held) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void sequencer_release(void) {
    pthread_mutex_lock(&mutex);
    may_go = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    pthread_join(holder, NULL);
}

Test(compact, progress_is_told_while_it_is_at_work) {
    for (int index = 0; index < 20; index++) rooms_append_one("s", "T");
    sequencer_hold();
    struct raw_call *call = compaction_start();
    const daybook_v1_CompactResponse *response = response_receive(call);
    /* At the latest the second message says that all is copied: nothing else is waited for. */
    while (response != NULL && daybook_v1_CompactResponse_events_copied_count(response) < 20) {
        response = response_receive(call);
    }
    cr_assert_not_null(response);
    cr_assert_eq(daybook_v1_CompactResponse_events_count(response), 20);
    cr_assert_eq(daybook_v1_CompactResponse_reclaimed_bytes(response), 0);
    cr_assert_not_null(response_receive(call), "and again, though nothing has changed");
    sequencer_release();
    cr_assert_not_null(last_response(call));
    cr_assert_eq(finish(call), DAYBOOK_OK);
}

Test(compact, a_second_one_is_refused) {
    sequencer_hold();
    struct raw_call *first = compaction_start();
    cr_assert_not_null(response_receive(first));
    struct answer answer = answer_to(rooms.channel, METHOD_COMPACT, upb_StringView_FromDataAndSize("", 0));
    answer_expect(&answer, DAYBOOK_ABORTED, "OPERATION_RUNNING");
    cr_assert_eq(answer_retry_ms(&answer), 10000);
    cr_assert_null(answer.response.data);
    answer_free(&answer);
    sequencer_release();
    (void)last_response(first);
    cr_assert_eq(finish(first), DAYBOOK_OK);
}

/* The client that goes gives the place free, whatever the compaction was about to do. */
Test(compact, a_client_that_goes_ends_it) {
    rooms_append_one("s", "T");
    rooms_stream_abandon(METHOD_COMPACT);
    int code = DAYBOOK_ABORTED;
    while (code == DAYBOOK_ABORTED) { /* the server hears of the last one's end after its client */
        struct raw_call *call = compaction_start();
        (void)last_response(call);
        code = finish(call);
    }
    cr_assert_eq(code, DAYBOOK_OK);
    cr_assert_eq(rooms_append_one("s", "T"), 2);
}

Test(compact, a_drain_ends_it_with_a_reason) {
    sequencer_hold();
    struct raw_call *call = compaction_start();
    cr_assert_not_null(response_receive(call));
    compactor_stop(rooms.compactor);
    sequencer_release();
    (void)last_response(call);
    (void)finish(call); /* it may have been done already */
    struct answer answer = answer_to(rooms.channel, METHOD_COMPACT, upb_StringView_FromDataAndSize("", 0));
    answer_expect(&answer, DAYBOOK_UNAVAILABLE, "DRAINING");
    answer_free(&answer);
}

/* A server that closes waits for the call, which ends when its client is cut off. */
Test(compact, a_server_that_closes_ends_it) {
    struct raw_call *call = compaction_start();
    cr_assert_not_null(response_receive(call));
    daybook_server_drain(rooms.server, 0);
    (void)raw_call_drain(call);
    (void)finish(call);
}
