/* journal TARGET: appends two events to a Daybook, reads its stream, and follows it with a subscriber. */
#include <stdio.h>
#include <stdlib.h>

#include "daybook/daybook.h"
#include "daybook/subscriber.h"
#include "daybook/v1/event_store.grpc.h"

static bool append(daybook_client *client, daybook_status *status) {
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    daybook_v1_Write *write = daybook_v1_AppendRequest_add_writes(request, arena);
    daybook_v1_Write_set_stream(write, upb_StringView_FromString("order-1"));
    daybook_v1_Write_set_expected_revision(write, 0);
    const char *const types[] = {"OrderPlaced", "OrderPaid"};
    for (size_t index = 0; index < sizeof types / sizeof *types; index++) {
        daybook_v1_Event *event = daybook_v1_Write_add_events(write, arena);
        daybook_v1_Event_set_type(event, upb_StringView_FromString(types[index]));
        daybook_v1_Event_set_text(event, upb_StringView_FromString("{\"order\":1}"));
    }
    const daybook_v1_AppendResponse *response;
    const daybook_call_options options = {.timeout_ms = 30000, .wait_for_ready = 1};
    const bool ok = daybook_v1_EventStore_Append(client, request, &options, arena, &response, status);
    if (!ok) printf("%s %s\n", daybook_code_name(status->code), status->reason);
    upb_Arena_Free(arena);
    return ok;
}

static void print(const daybook_v1_RecordedEvent *const *events, size_t count) {
    for (size_t index = 0; index < count; index++) {
        const upb_StringView type = daybook_v1_Event_type(daybook_v1_RecordedEvent_event(events[index]));
        printf("%llu %.*s\n", (unsigned long long)daybook_v1_RecordedEvent_position(events[index]), (int)type.size,
               type.data);
    }
}

static bool read_stream(daybook_client *client, daybook_status *status) {
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_ReadRequest *request = daybook_v1_ReadRequest_new(arena);
    daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString("order-1"));
    daybook_v1_EventStore_Read_stream *stream = daybook_v1_EventStore_Read_open(client, request, NULL, status);
    upb_Arena_Free(arena);
    if (stream == NULL) return false;
    const daybook_v1_ReadResponse *response;
    daybook_next next;
    while ((next = daybook_v1_EventStore_Read_next(stream, DAYBOOK_TIMEOUT_NONE, &response, status)) ==
           DAYBOOK_NEXT_MESSAGE) {
        size_t count;
        const daybook_v1_RecordedEvent *const *events = daybook_v1_ReadResponse_events(response, &count);
        print(events, count);
    }
    daybook_v1_EventStore_Read_close(stream);
    return next == DAYBOOK_NEXT_END;
}

static bool follow(daybook_client *client, daybook_status *status) {
    daybook_subscriber *subscriber = daybook_subscriber_open(client, &(daybook_subscriber_options){.after = 1}, status);
    if (subscriber == NULL) return false;
    const daybook_v1_SubscribeResponse *response;
    while (daybook_subscriber_position(subscriber) < 2) {
        if (daybook_subscriber_next(subscriber, DAYBOOK_TIMEOUT_NONE, &response, status) != DAYBOOK_NEXT_MESSAGE) break;
        size_t count;
        const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
        print(events, count);
    }
    const bool ok = daybook_subscriber_position(subscriber) >= 2;
    daybook_subscriber_close(subscriber);
    return ok;
}

int main(int argc, char **argv) {
    if (argc != 2) return EXIT_FAILURE;
    daybook_status status;
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = argv[1]}, &status);
    bool ok = client != NULL && append(client, &status) && read_stream(client, &status) && follow(client, &status);
    if (!ok) fprintf(stderr, "journal: %s: %s\n", daybook_code_name(status.code), status.message);
    /* The stream is not new any more: refused, with a reason for programs. */
    ok = ok && !append(client, &status);
    daybook_client_close(client);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
