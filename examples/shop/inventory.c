/* inventory: the shop's inventory service. It reacts to what was sold and keeps stock levels.
 *
 *   inventory SERVER STATE-FILE [UNTIL-POSITION]
 *
 * It follows every stream of the category `order`, from the position in its state file on, through lost connections. With
 * UNTIL-POSITION it prints the levels and ends once it has come so far; else it goes on for ever.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/daybook.h"
#include "daybook/subscriber.h"
#include "examples/shop/stock.h"

static bool type_is(const daybook_v1_Event *event, const char *type) {
    const upb_StringView actual = daybook_v1_Event_type(event);
    return actual.size == strlen(type) && memcmp(actual.data, type, actual.size) == 0;
}

/* A sale takes from the stock, a return brings back; every other event is somebody else's business. */
static bool event_apply(struct stock *stock, const daybook_v1_RecordedEvent *recorded) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    const bool sold = type_is(event, "ProductSold");
    if (!sold && !type_is(event, "ProductReturned")) return true;
    const upb_StringView text = daybook_v1_Event_text(event);
    json_t *facts = json_loadb(text.data, text.size, 0, NULL);
    const char *code;
    json_int_t quantity;
    bool good = facts != NULL && json_unpack(facts, "{s:s, s:I}", "stock_code", &code, "quantity", &quantity) == 0;
    if (good) good = stock_change(stock, code, sold ? -quantity : quantity);
    json_decref(facts);
    if (!good) {
        (void)fprintf(stderr, "inventory: the event at position %" PRIu64 " cannot be understood\n",
                      daybook_v1_RecordedEvent_position(recorded));
    }
    return good;
}

static bool response_apply(struct stock *stock, const daybook_v1_SubscribeResponse *response, const char *path) {
    size_t count;
    const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
    for (size_t index = 0; index < count; index++) {
        if (!event_apply(stock, events[index])) return false;
    }
    if (daybook_v1_SubscribeResponse_position(response) == stock->position) return true;
    stock->position = daybook_v1_SubscribeResponse_position(response);
    return stock_save(stock, path);
}

static const daybook_v1_Filter *orders_filter(upb_Arena *arena) {
    daybook_v1_Filter *filter = daybook_v1_Filter_new(arena);
    daybook_v1_Clause *clause = filter == NULL ? NULL : daybook_v1_Filter_add_any_of(filter, arena);
    if (clause == NULL) return NULL;
    return daybook_v1_Clause_add_stream_prefixes(clause, upb_StringView_FromString("order-"), arena) ? filter : NULL;
}

static void on_disconnected(const daybook_status *status, uint32_t retry_ms, void *context) {
    (void)context;
    (void)fprintf(stderr, "inventory: %s; trying again in %" PRIu32 " ms\n", status->message, retry_ms);
}

static int follow(daybook_subscriber *subscriber, struct stock *stock, const char *path, uint64_t until) {
    while (stock->position < until) {
        const daybook_v1_SubscribeResponse *response;
        daybook_status status;
        const daybook_next next = daybook_subscriber_next(subscriber, DAYBOOK_TIMEOUT_NONE, &response, &status);
        if (next == DAYBOOK_NEXT_TIMEOUT) continue;
        if (next != DAYBOOK_NEXT_MESSAGE) {
            (void)fprintf(stderr, "inventory: %s\n", status.message);
            return 1;
        }
        if (!response_apply(stock, response, path)) return 1;
    }
    stock_print(stock, stdout);
    return 0;
}

static int run(daybook_client *client, struct stock *stock, const char *path, uint64_t until) {
    upb_Arena *arena = upb_Arena_New();
    const daybook_v1_Filter *filter = arena == NULL ? NULL : orders_filter(arena);
    if (filter == NULL) return 1;
    (void)fprintf(stderr, "inventory: going on after position %" PRIu64 "\n", stock->position);
    const daybook_subscriber_options options = {
        .after = stock->position, .filter = filter, .disconnected = on_disconnected};
    daybook_subscriber *subscriber = daybook_subscriber_open(client, &options, NULL);
    const int code = subscriber == NULL ? 1 : follow(subscriber, stock, path, until);
    daybook_subscriber_close(subscriber);
    upb_Arena_Free(arena);
    return code;
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4) {
        (void)fputs("Usage: inventory SERVER STATE-FILE [UNTIL-POSITION]\n", stderr);
        return 64;
    }
    struct stock stock;
    if (!stock_load(&stock, argv[2])) return 1;
    daybook_status status;
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = argv[1]}, &status);
    if (client == NULL) {
        (void)fprintf(stderr, "inventory: %s\n", status.message);
        return 1;
    }
    const int code = run(client, &stock, argv[2], argc == 4 ? strtoull(argv[3], NULL, 10) : UINT64_MAX);
    daybook_client_close(client);
    stock_free(&stock);
    return code;
}
