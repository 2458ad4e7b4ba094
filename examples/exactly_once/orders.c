/* orders: the shop that takes orders. It knows nothing of invoices.
 *
 *   orders SERVER FIRST LAST
 *
 * Records OrderPlaced in the streams order-FIRST to order-LAST, each of which must be new: running it again records nothing
 * twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/daybook.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"

static _Noreturn void fail(const char *message) {
    (void)fprintf(stderr, "orders: %s\n", message);
    exit(1);
}

static void *need(void *memory) {
    if (memory == NULL) fail("out of memory");
    return memory;
}

/* True when the order was recorded, false when it was there already. */
static bool order_record(daybook_client *client, uint64_t number) {
    char stream[32];
    char text[64];
    (void)snprintf(stream, sizeof stream, "order-%" PRIu64, number);
    (void)snprintf(text, sizeof text, "{\"order\":%" PRIu64 ",\"total_cents\":%" PRIu64 "}", number,
                   100 + number * 37 % 9900);
    upb_Arena *arena = need(upb_Arena_New());
    daybook_v1_AppendRequest *request = need(daybook_v1_AppendRequest_new(arena));
    daybook_v1_Write *write = need(daybook_v1_AppendRequest_add_writes(request, arena));
    daybook_v1_Write_set_stream(write, upb_StringView_FromString(stream));
    daybook_v1_Write_set_expected_revision(write, 0);
    daybook_v1_Event *event = need(daybook_v1_Write_add_events(write, arena));
    daybook_v1_Event_set_type(event, upb_StringView_FromString("OrderPlaced"));
    daybook_v1_Event_set_text(event, upb_StringView_FromString(text));
    daybook_v1_Event_set_content_type(event, upb_StringView_FromString("application/json"));
    daybook_status status;
    const daybook_v1_AppendResponse *response;
    const bool recorded = daybook_v1_EventStore_Append(client, request, NULL, arena, &response, &status);
    upb_Arena_Free(arena);
    if (recorded) return true;
    if (strcmp(status.reason, "REVISION_CONFLICT") != 0) fail(status.message);
    return false;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fputs("Usage: orders SERVER FIRST LAST\n", stderr);
        return 64;
    }
    const uint64_t first = strtoull(argv[2], NULL, 10);
    const uint64_t last = strtoull(argv[3], NULL, 10);
    uint64_t recorded_count = 0;
    daybook_status status;
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = argv[1]}, &status);
    if (client == NULL) fail(status.message);
    for (uint64_t number = first; number <= last; number++) recorded_count += order_record(client, number);
    (void)printf("orders: %" PRIu64 " recorded\n", recorded_count);
    daybook_client_close(client);
    return 0;
}
