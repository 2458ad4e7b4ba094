/* The thread of the lists: in their order, one at a time, and not more than may wait. */
#include "service/api/lists.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "service/base/limits.h"
#include "tests/unit/service/api/answers.h"

#define CALLS_COUNT (LISTS_WAITING_COUNT_MAX + 3) /* one is being answered, and two are too many */

static daybook_server *server;
static struct raw_channel *channel;
static struct api api;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint32_t submitted_count;
static uint32_t answered_count;
static bool is_held; /* the thread waits */
static bool is_answering;

static void answer(const struct api *given, daybook_server_call *call, const void *request) {
    cr_assert_eq(given, &api);
    cr_assert_not_null(request);
    pthread_mutex_lock(&mutex);
    cr_assert_not(is_answering);
    is_answering = true;
    pthread_cond_broadcast(&changed);
    while (is_held) pthread_cond_wait(&changed, &mutex);
    is_answering = false;
    answered_count++;
    pthread_mutex_unlock(&mutex);
    daybook_v1_EventStore_ListTypes_reply(call, daybook_v1_ListTypesResponse_new(daybook_server_call_arena(call)));
}

static void on_list_types(void *context, daybook_server_call *call, const daybook_v1_ListTypesRequest *request) {
    lists_submit(context, answer, call, request);
    pthread_mutex_lock(&mutex);
    submitted_count++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void setup(void) {
    static const daybook_v1_EventStore_handlers handlers = {.ListTypes = on_list_types};
    daybook_status status;
    cr_assert_not(failed(lists_open(&api.lists)));
    server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1}, &status);
    cr_assert_not_null(server, "%s", status.message);
    cr_assert(daybook_v1_EventStore_serve(server, &handlers, &api, &status));
    cr_assert(daybook_server_start(server, &status));
    channel = raw_channel_open(daybook_server_port(server));
}

static void teardown(void) {
    raw_channel_close(channel);
    daybook_server_close(server);
    cr_assert_null(lists_close(api.lists));
    cr_assert_null(lists_close(NULL));
}

TestSuite(lists, .init = setup, .fini = teardown);

static struct raw_call *call_start(void) {
    return raw_call_request(channel, "/daybook.v1.EventStore/ListTypes", "", 0);
}

/* Whether the call was answered, else it was refused. */
static bool call_end(struct raw_call *call) {
    const struct raw_bytes message = raw_call_receive(call);
    struct answer end = answer_of(call);
    const bool is_answered = end.status.code == DAYBOOK_OK;
    if (!is_answered) {
        answer_expect(&end, DAYBOOK_RESOURCE_EXHAUSTED, "QUEUE_FULL");
        cr_assert_eq(answer_retry_ms(&end), 50);
    }
    end.response = message;
    answer_free(&end);
    raw_call_free(call);
    return is_answered;
}

Test(lists, calls_are_answered) {
    for (int number = 0; number < 3; number++) cr_assert(call_end(call_start()));
    pthread_mutex_lock(&mutex);
    cr_assert_eq(answered_count, 3);
    pthread_mutex_unlock(&mutex);
}

Test(lists, more_than_may_wait_are_refused) {
    static struct raw_call *calls[CALLS_COUNT];
    pthread_mutex_lock(&mutex);
    is_held = true;
    pthread_mutex_unlock(&mutex);
    calls[0] = call_start();
    pthread_mutex_lock(&mutex);
    while (!is_answering) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    for (uint32_t number = 1; number < CALLS_COUNT; number++) calls[number] = call_start();
    pthread_mutex_lock(&mutex);
    while (submitted_count < CALLS_COUNT) pthread_cond_wait(&changed, &mutex);
    is_held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    uint32_t refused_count = 0;
    for (uint32_t number = 0; number < CALLS_COUNT; number++) {
        if (!call_end(calls[number])) refused_count++;
    }
    cr_assert_eq(refused_count, 2);
    cr_assert(call_end(call_start()));
}
