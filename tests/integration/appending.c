/* appending: appends from several threads by one appender, and keeps a ledger on standard output.
 *
 *   appending SERVER COUNT
 *
 * Each thread appends COUNT events to a stream of its own, "thread-0" and so on, whose texts are the numbers from 1; those of
 * thread 0 expect the revision before them. A line for each outcome, in the order of the outcomes:
 *   STREAM NUMBER POSITION REVISION ATTEMPTS REPLAYED
 * Ends with 1 when an outcome is an error, which it prints on standard error.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/appender.h"
#include "daybook/daybook.h"

#define THREADS_COUNT 3
#define TIMEOUT_MS    300000

struct thread {
    pthread_t id;
    daybook_appender *appender;
    char stream[16];
    bool expects;
    uint64_t count;
};

/* One event on its way. */
struct noted {
    const struct thread *thread;
    uint64_t number;
};

static bool failed; /* on the appender's thread, and read when it has ended */

static _Noreturn void fail(const char *message) {
    (void)fprintf(stderr, "appending: %s\n", message);
    exit(1);
}

static void *need(void *memory) {
    if (memory == NULL) fail("out of memory");
    return memory;
}

static void on_done(daybook_append *append, void *context) {
    struct noted *noted = context;
    const daybook_status *status = daybook_append_status(append);
    if (status->code == DAYBOOK_OK) {
        size_t count;
        const daybook_v1_AppendResponse *response = daybook_append_result(append);
        const daybook_v1_WriteResult *result = daybook_v1_AppendResponse_results(response, &count)[0];
        (void)printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %d\n", noted->thread->stream, noted->number,
                     daybook_v1_WriteResult_first_position(result), daybook_v1_WriteResult_first_revision(result),
                     daybook_append_attempts_count(append), daybook_v1_AppendResponse_replayed(response));
        (void)fflush(stdout);
    } else {
        (void)fprintf(stderr, "appending: %s %" PRIu64 ": %s %s: %s\n", noted->thread->stream, noted->number,
                      daybook_code_name(status->code), status->reason, status->message);
        failed = true;
    }
    free(noted);
    daybook_append_free(append);
}

static void submit(const struct thread *thread, uint64_t number) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    upb_Arena *arena = need(upb_Arena_New());
    daybook_v1_AppendRequest *request = need(daybook_v1_AppendRequest_new(arena));
    daybook_v1_Write *write = need(daybook_v1_AppendRequest_add_writes(request, arena));
    daybook_v1_Write_set_stream(write, upb_StringView_FromString(thread->stream));
    if (thread->expects) daybook_v1_Write_set_expected_revision(write, number - 1);
    daybook_v1_Event *event = need(daybook_v1_Write_add_events(write, arena));
    daybook_v1_Event_set_type(event, upb_StringView_FromString("Counted"));
    daybook_v1_Event_set_text(event, upb_StringView_FromString(text));
    daybook_append *append;
    daybook_status status;
    const daybook_write found =
        daybook_appender_submit(thread->appender, request, DAYBOOK_TIMEOUT_NONE, &append, &status);
    if (found != DAYBOOK_WRITE_TAKEN) fail(status.message);
    upb_Arena_Free(arena);
    struct noted *noted = need(malloc(sizeof *noted));
    *noted = (struct noted){.thread = thread, .number = number};
    daybook_append_on_done(append, on_done, noted);
}

static void *run(void *context) {
    const struct thread *thread = context;
    for (uint64_t number = 1; number <= thread->count; number++) submit(thread, number);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: appending SERVER COUNT");
    daybook_status status;
    daybook_client *client =
        daybook_client_open(&(daybook_client_options){.target = argv[1], .reconnect_backoff_max_ms = 200}, &status);
    if (client == NULL) fail(status.message);
    const daybook_appender_options options = {.timeout_ms = TIMEOUT_MS, .backoff_max_ms = 500};
    daybook_appender *appender = daybook_appender_open(client, &options, &status);
    if (appender == NULL) fail(status.message);
    struct thread threads[THREADS_COUNT];
    for (int index = 0; index < THREADS_COUNT; index++) {
        threads[index] =
            (struct thread){.appender = appender, .expects = index == 0, .count = strtoull(argv[2], NULL, 10)};
        (void)snprintf(threads[index].stream, sizeof threads[index].stream, "thread-%d", index);
        if (pthread_create(&threads[index].id, NULL, run, &threads[index]) != 0) fail("no thread");
    }
    for (int index = 0; index < THREADS_COUNT; index++) pthread_join(threads[index].id, NULL);
    if (!daybook_appender_flush(appender, TIMEOUT_MS)) fail("not everything has an outcome");
    daybook_appender_close(appender, TIMEOUT_MS);
    daybook_client_close(client);
    return failed ? 1 : 0;
}
