/* peer: a client of the SDK that appends and follows at the same time, and keeps a ledger on standard output.
 *
 *   peer SERVER STREAM
 *
 * Lines, each written at once:
 *   appended NUMBER POSITION   the event with this text is acknowledged
 *   saw POSITION TEXT          the subscription, which begins at the beginning, has handed it out
 *   lost MESSAGE               the subscription has noticed that its connection is gone
 * When standard input ends it appends no more, waits until everything is acknowledged and seen, and ends with 0.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daybook/appender.h"
#include "daybook/daybook.h"
#include "daybook/subscriber.h"

#define TIMEOUT_MS   300000
#define PAUSE_MS     10 /* between two events: a load, not a flood */
#define HEARTBEAT_MS 1000

struct peer {
    daybook_client *client;
    daybook_subscriber *subscriber;
    const char *stream;
    atomic_uint_fast64_t position_acknowledged;
    atomic_bool is_done; /* appending */
};

static _Noreturn void fail(const char *message) {
    (void)fprintf(stderr, "peer: %s\n", message);
    exit(1);
}

static void *need(void *memory) {
    if (memory == NULL) fail("out of memory");
    return memory;
}

/* One event on its way. */
struct noted {
    struct peer *peer;
    uint64_t number;
};

static void on_done(daybook_append *append, void *context) {
    struct noted *noted = context;
    const daybook_status *status = daybook_append_status(append);
    if (status->code != DAYBOOK_OK) fail(status->message);
    size_t count;
    const daybook_v1_AppendResponse *response = daybook_append_result(append);
    const uint64_t position =
        daybook_v1_WriteResult_last_position(daybook_v1_AppendResponse_results(response, &count)[0]);
    (void)printf("appended %" PRIu64 " %" PRIu64 "\n", noted->number, position);
    (void)fflush(stdout);
    atomic_store(&noted->peer->position_acknowledged, position);
    free(noted);
    daybook_append_free(append);
}

static void submit(struct peer *peer, daybook_appender *appender, uint64_t number) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    upb_Arena *arena = need(upb_Arena_New());
    daybook_v1_AppendRequest *request = need(daybook_v1_AppendRequest_new(arena));
    daybook_v1_Write *write = need(daybook_v1_AppendRequest_add_writes(request, arena));
    daybook_v1_Write_set_stream(write, upb_StringView_FromString(peer->stream));
    daybook_v1_Event *event = need(daybook_v1_Write_add_events(write, arena));
    daybook_v1_Event_set_type(event, upb_StringView_FromString("Counted"));
    daybook_v1_Event_set_text(event, upb_StringView_FromString(text));
    daybook_append *append;
    daybook_status status;
    if (daybook_appender_submit(appender, request, DAYBOOK_TIMEOUT_NONE, &append, &status) != DAYBOOK_WRITE_TAKEN) {
        fail(status.message);
    }
    upb_Arena_Free(arena);
    struct noted *noted = need(malloc(sizeof *noted));
    *noted = (struct noted){.peer = peer, .number = number};
    daybook_append_on_done(append, on_done, noted);
}

/* Until somebody closes standard input. */
static void *append(void *context) {
    struct peer *peer = context;
    daybook_status status;
    const daybook_appender_options options = {.timeout_ms = TIMEOUT_MS, .backoff_max_ms = 500};
    daybook_appender *appender = daybook_appender_open(peer->client, &options, &status);
    if (appender == NULL) fail(status.message);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (uint64_t number = 1; poll(&input, 1, PAUSE_MS) == 0; number++) submit(peer, appender, number);
    if (!daybook_appender_flush(appender, TIMEOUT_MS)) fail("not everything has an outcome");
    daybook_appender_close(appender, TIMEOUT_MS);
    atomic_store(&peer->is_done, true);
    return NULL;
}

static void on_disconnected(const daybook_status *status, uint32_t retry_ms, void *context) {
    (void)retry_ms;
    (void)context;
    (void)printf("lost %s\n", status->message);
    (void)fflush(stdout);
}

static bool is_at_the_end(struct peer *peer) {
    return atomic_load(&peer->is_done) &&
           daybook_subscriber_position(peer->subscriber) >= atomic_load(&peer->position_acknowledged);
}

static void follow(struct peer *peer) {
    while (!is_at_the_end(peer)) {
        const daybook_v1_SubscribeResponse *response;
        daybook_status status;
        const daybook_next next = daybook_subscriber_next(peer->subscriber, 100, &response, &status);
        if (next == DAYBOOK_NEXT_TIMEOUT) continue;
        if (next != DAYBOOK_NEXT_MESSAGE) fail(status.message);
        size_t count;
        const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
        for (size_t index = 0; index < count; index++) {
            const upb_StringView text = daybook_v1_Event_text(daybook_v1_RecordedEvent_event(events[index]));
            (void)printf("saw %" PRIu64 " %.*s\n", daybook_v1_RecordedEvent_position(events[index]), (int)text.size,
                         text.data);
        }
        (void)fflush(stdout);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: peer SERVER STREAM");
    daybook_status status;
    const daybook_client_options client_options = {
        .target = argv[1], .keepalive_ms = 10000, .keepalive_timeout_ms = 1000, .reconnect_backoff_max_ms = 200};
    struct peer peer = {.client = daybook_client_open(&client_options, &status), .stream = argv[2]};
    if (peer.client == NULL) fail(status.message);
    const daybook_subscriber_options options = {
        .heartbeat_ms = HEARTBEAT_MS, .backoff_max_ms = 500, .disconnected = on_disconnected};
    peer.subscriber = daybook_subscriber_open(peer.client, &options, &status);
    if (peer.subscriber == NULL) fail(status.message);
    pthread_t appending;
    if (pthread_create(&appending, NULL, append, &peer) != 0) fail("no thread");
    follow(&peer);
    pthread_join(appending, NULL);
    daybook_subscriber_close(peer.subscriber);
    daybook_client_close(peer.client);
    return 0;
}
