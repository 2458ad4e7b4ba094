#include "tests/unit/sdk/client/appender_fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct append_server *server;
daybook_client *client;
daybook_appender *appender;

/* What `disconnected` has heard, on the appender's thread. */
static struct {
    pthread_mutex_t mutex;
    size_t count;
    daybook_status status; /* the last one */
} losses = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void on_disconnected(const daybook_status *status, uint32_t retry_ms, void *context) {
    cr_assert_eq(context, &losses);
    cr_assert_gt(retry_ms, 0, "attempts without a pause are an attack");
    pthread_mutex_lock(&losses.mutex);
    losses.count++;
    losses.status = *status;
    pthread_mutex_unlock(&losses.mutex);
}

size_t losses_count(void) {
    pthread_mutex_lock(&losses.mutex);
    const size_t count = losses.count;
    pthread_mutex_unlock(&losses.mutex);
    return count;
}

daybook_status losses_last(void) {
    pthread_mutex_lock(&losses.mutex);
    const daybook_status status = losses.status;
    pthread_mutex_unlock(&losses.mutex);
    return status;
}

void client_open(uint16_t port) {
    char target[32];
    daybook_status status;
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
    client = daybook_client_open(&(daybook_client_options){.target = target, .reconnect_backoff_max_ms = 100}, &status);
    cr_assert_not_null(client, "%s", status.message);
}

void appender_open(daybook_appender_options options) {
    daybook_status status;
    options.disconnected = on_disconnected;
    options.context = &losses;
    if (options.backoff_max_ms == 0) options.backoff_max_ms = 5;
    if (options.timeout_ms == 0) options.timeout_ms = PATIENCE_MS;
    appender = daybook_appender_open(client, &options, &status);
    cr_assert_not_null(appender, "%s", status.message);
}

void fixture_begin(const struct append_turn *turns, size_t count, daybook_appender_options options) {
    server = append_server_start(0, turns, count);
    client_open(append_server_port(server));
    appender_open(options);
}

void fixture_end(void) {
    daybook_appender_close(appender, 0);
    if (client != NULL) daybook_client_close(client);
    if (server != NULL) append_server_stop(server);
}

daybook_write try_submit(const char *stream, uint64_t number, uint32_t wait_ms, daybook_append **ret_append,
                         daybook_status *ret_status) {
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_Event *event = daybook_v1_Event_new(arena);
    daybook_v1_Event_set_type(event, upb_StringView_FromString("Counted"));
    daybook_v1_Event_set_text(event, upb_StringView_FromString(text));
    const daybook_v1_Event *events[] = {event};
    const daybook_write found =
        daybook_appender_submit_events(appender, stream, events, 1, wait_ms, ret_append, ret_status);
    upb_Arena_Free(arena);
    return found;
}

daybook_append *submit(const char *stream, uint64_t number) {
    daybook_append *append = NULL;
    daybook_status status;
    cr_assert_eq(try_submit(stream, number, PATIENCE_MS, &append, &status), DAYBOOK_WRITE_TAKEN);
    return append;
}

void submit_all(daybook_append **ret_appends, size_t count) {
    for (size_t index = 0; index < count; index++) ret_appends[index] = submit("counter", index);
}

void expect_status(daybook_append *append, daybook_code code, const char *reason) {
    cr_assert(daybook_append_wait(append, PATIENCE_MS));
    const daybook_status *status = daybook_append_status(append);
    cr_assert_eq(status->code, code, "%s: %s", daybook_code_name(status->code), status->message);
    cr_assert_str_eq(status->reason, reason, "%s", status->message);
}

void expect_all(daybook_append **appends, size_t count) {
    for (size_t index = 0; index < count; index++) {
        expect_status(appends[index], DAYBOOK_OK, "");
        size_t results_count;
        const daybook_v1_WriteResult *const *results =
            daybook_v1_AppendResponse_results(daybook_append_result(appends[index]), &results_count);
        cr_assert_eq(results_count, 1);
        cr_assert_eq(daybook_v1_WriteResult_first_position(results[0]), index + 1);
        cr_assert_eq(append_server_record(server, index).number, index);
        if (index > 0) {
            cr_assert_lt(strcmp(append_server_record(server, index - 1).id, append_server_record(server, index).id), 0);
        }
        daybook_append_free(appends[index]);
    }
    cr_assert_eq(append_server_count(server), count);
}
