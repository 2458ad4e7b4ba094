/* invoicing: issues one invoice for each order, numbered without a gap, whoever is killed and however many of it run.
 *
 *   invoicing SERVER [--alone] [UNTIL-POSITION]
 *
 * It has no file and no database of its own. InvoiceIssued and the consumer's checkpoint, the position of the order, are one
 * append: both are on disk or neither is. It begins after the stored checkpoint, and the store refuses a checkpoint that does
 * not go forward (CHECKPOINT_STALE): the order has its invoice already. There are two reasons for that.
 *   - The instance before it was killed with an append under way, which arrived after this one had begun.
 *   - Another instance is at work. With --alone this one ends then, with code 3; else they share the work, at the price of
 *     appends that are refused.
 * In both cases it begins again after the checkpoint as it is now. With UNTIL-POSITION it ends when it has come so far.
 */
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daybook/daybook.h"
#include "daybook/subscriber.h"
#include "daybook/v1/event_store.grpc.h"

#define CONSUMER           "invoicing"
#define INVOICES           "invoices"
#define CALL_TIMEOUT_MS    10000
#define ATTEMPTS_COUNT_MAX 20
#define EXIT_NOT_ALONE     3

struct invoicing {
    daybook_client *client;
    bool alone;
    uint64_t until_position;
    bool announced;    /* that it is at work */
    bool number_known; /* else it must be read before the next invoice */
    uint64_t number;   /* of the newest invoice */
    uint64_t issued_count;
    uint64_t stale_count;
};

static _Noreturn void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "invoicing: %s: %s\n", what, why);
    exit(1);
}

static void *need(void *memory) {
    if (memory == NULL) fail("stopped", "out of memory");
    return memory;
}

/* A random UUID (RFC 9562, version 4), by which the store recognises the event when it is sent again. */
static void id_make(char ret_text[37]) {
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) fail("id", "no random bytes");
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (size_t index = 0, at = 0; index < sizeof bytes; index++) {
        if (index == 4 || index == 6 || index == 8 || index == 10) ret_text[at++] = '-';
        (void)snprintf(ret_text + at, 3, "%02x", bytes[index]);
        at += 2;
    }
}

/* Returns when the call should be made again: its outcome is not known, or the server is gone, draining or busy. */
static void retry_or_fail(int *attempts_count, const char *what, const daybook_status *status) {
    const bool passing = status->retryable || status->code == DAYBOOK_DEADLINE_EXCEEDED;
    if (!passing || ++*attempts_count == ATTEMPTS_COUNT_MAX) fail(what, status->message);
    (void)poll(NULL, 0, (int)(status->retry_delay_ms > CALL_TIMEOUT_MS ? CALL_TIMEOUT_MS : status->retry_delay_ms));
}

/* Reads the number of the newest invoice, which is its revision: nothing else is in that stream. */
static bool invoice_number_try(const struct invoicing *invoicing, uint64_t *ret_number, daybook_status *ret_status) {
    uint64_t number = 0;
    upb_Arena *arena = need(upb_Arena_New());
    daybook_v1_ReadRequest *request = need(daybook_v1_ReadRequest_new(arena));
    daybook_v1_ReadRequest_set_stream(request, upb_StringView_FromString(INVOICES));
    daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_BACKWARD);
    daybook_v1_ReadRequest_set_limit(request, 1);
    const daybook_call_options options = {.timeout_ms = CALL_TIMEOUT_MS, .wait_for_ready = 1};
    daybook_v1_EventStore_Read_stream *stream =
        need(daybook_v1_EventStore_Read_open(invoicing->client, request, &options, NULL));
    const daybook_v1_ReadResponse *response;
    daybook_next next;
    while ((next = daybook_v1_EventStore_Read_next(stream, DAYBOOK_TIMEOUT_NONE, &response, ret_status)) ==
           DAYBOOK_NEXT_MESSAGE) {
        size_t count;
        const daybook_v1_RecordedEvent *const *events = daybook_v1_ReadResponse_events(response, &count);
        if (count > 0) number = daybook_v1_RecordedEvent_revision(events[0]);
    }
    daybook_v1_EventStore_Read_close(stream);
    upb_Arena_Free(arena);
    if (next != DAYBOOK_NEXT_END && strcmp(ret_status->reason, "STREAM_NOT_FOUND") != 0) return false;
    *ret_number = number;
    return true;
}

static uint64_t invoice_number_read(const struct invoicing *invoicing) {
    uint64_t number;
    daybook_status status;
    for (int attempts_count = 0; !invoice_number_try(invoicing, &number, &status);) {
        retry_or_fail(&attempts_count, "read", &status);
    }
    return number;
}

static uint64_t checkpoint_read(const struct invoicing *invoicing) {
    upb_Arena *arena = need(upb_Arena_New());
    daybook_v1_GetCheckpointRequest *request = need(daybook_v1_GetCheckpointRequest_new(arena));
    daybook_v1_GetCheckpointRequest_set_consumer(request, upb_StringView_FromString(CONSUMER));
    const daybook_v1_GetCheckpointResponse *response;
    daybook_status status;
    const daybook_call_options options = {.timeout_ms = CALL_TIMEOUT_MS, .wait_for_ready = 1};
    for (int attempts_count = 0;
         !daybook_v1_EventStore_GetCheckpoint(invoicing->client, request, &options, arena, &response, &status);) {
        retry_or_fail(&attempts_count, "checkpoint", &status);
    }
    const uint64_t position = daybook_v1_Checkpoint_position(daybook_v1_GetCheckpointResponse_checkpoint(response));
    upb_Arena_Free(arena);
    return position;
}

/* The text of the invoice for an order. */
static upb_StringView invoice_text(const daybook_v1_RecordedEvent *order, uint64_t number, upb_Arena *arena) {
    const upb_StringView order_text = daybook_v1_Event_text(daybook_v1_RecordedEvent_event(order));
    json_t *facts = json_loadb(order_text.data, order_text.size, 0, NULL);
    if (facts == NULL || json_object_set_new(facts, "invoice", json_integer((json_int_t)number)) != 0) {
        fail("order", "it cannot be understood");
    }
    char *text = need(json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS));
    const size_t size = strlen(text);
    char *copy = need(upb_Arena_Malloc(arena, size + 1));
    memcpy(copy, text, size + 1);
    free(text);
    json_decref(facts);
    return upb_StringView_FromDataAndSize(copy, size);
}

static daybook_v1_AppendRequest *request_build(const daybook_subscriber *subscriber,
                                               const daybook_v1_RecordedEvent *order, uint64_t number,
                                               upb_Arena *arena) {
    char *id = need(upb_Arena_Malloc(arena, 37));
    id_make(id);
    daybook_v1_AppendRequest *request = need(daybook_v1_AppendRequest_new(arena));
    daybook_v1_Write *write = need(daybook_v1_AppendRequest_add_writes(request, arena));
    daybook_v1_Write_set_stream(write, upb_StringView_FromString(INVOICES));
    daybook_v1_Event *event = need(daybook_v1_Write_add_events(write, arena));
    daybook_v1_Event_set_id(event, upb_StringView_FromString(id));
    daybook_v1_Event_set_type(event, upb_StringView_FromString("InvoiceIssued"));
    daybook_v1_Event_set_text(event, invoice_text(order, number, arena));
    daybook_v1_Event_set_content_type(event, upb_StringView_FromString("application/json"));
    char *instance = need(upb_Arena_Malloc(arena, 16));
    (void)snprintf(instance, 16, "%d", (int)getpid());
    if (!daybook_v1_Event_metadata_set(event, upb_StringView_FromString("instance"),
                                       upb_StringView_FromString(instance), arena)) {
        need(NULL);
    }
    const uint64_t position = daybook_v1_RecordedEvent_position(order);
    if (!daybook_subscriber_checkpoint(subscriber, position, request, arena, NULL)) need(NULL);
    return request;
}

/* True: issued. False: the order has its invoice, by another instance. A call whose outcome is not known is made again with
 * the same event id: the store says whether it was done. */
static bool invoice_issue(struct invoicing *invoicing, const daybook_subscriber *subscriber,
                          const daybook_v1_RecordedEvent *order) {
    /* Only now, after the subscription has begun at the checkpoint: an invoice that another instance has issued since then has
     * moved the checkpoint beyond it, and this append will be refused. Read earlier, the number could be given twice. */
    if (!invoicing->number_known) invoicing->number = invoice_number_read(invoicing);
    invoicing->number_known = true;
    upb_Arena *arena = need(upb_Arena_New());
    const daybook_v1_AppendRequest *request = request_build(subscriber, order, invoicing->number + 1, arena);
    /* Every event has its id, so the runtime may try again by itself. */
    const daybook_call_options options = {.timeout_ms = CALL_TIMEOUT_MS, .wait_for_ready = 1, .idempotent = 1};
    const daybook_v1_AppendResponse *response;
    daybook_status status;
    bool issued = false;
    for (int attempts_count = 0; !issued;) {
        issued = daybook_v1_EventStore_Append(invoicing->client, request, &options, arena, &response, &status);
        if (issued || strcmp(status.reason, "CHECKPOINT_STALE") == 0) break;
        retry_or_fail(&attempts_count, "append", &status);
    }
    upb_Arena_Free(arena);
    if (!issued) return false;
    invoicing->number++;
    invoicing->issued_count++;
    return true;
}

/* Says why the order at `position` had its invoice. False: this instance ends. */
static bool stale_explain(struct invoicing *invoicing, uint64_t position) {
    const uint64_t checkpoint = checkpoint_read(invoicing);
    /* An instance has one append under way; so this explains one order, and the first one only. */
    const bool by_predecessor = invoicing->issued_count + invoicing->stale_count == 0 && checkpoint == position;
    invoicing->stale_count++;
    (void)fprintf(
        stderr, "invoicing %d: the order at position %" PRIu64 " has its invoice, the checkpoint is %" PRIu64 ": %s\n",
        (int)getpid(), position, checkpoint,
        by_predecessor ? "the last append of the instance before this one" : "another instance is at work");
    return by_predecessor || !invoicing->alone;
}

/* Follows the orders until the end (0), a checkpoint that is stale (-1: begin again), or an exit code. */
static int follow(struct invoicing *invoicing, daybook_subscriber *subscriber) {
    for (;;) {
        const daybook_v1_SubscribeResponse *response;
        daybook_status status;
        const daybook_next next = daybook_subscriber_next(subscriber, DAYBOOK_TIMEOUT_NONE, &response, &status);
        if (next == DAYBOOK_NEXT_TIMEOUT) continue;
        if (next != DAYBOOK_NEXT_MESSAGE) fail("subscription", status.message);
        if (!invoicing->announced) {
            (void)fprintf(stderr, "invoicing %d: at work, the head is %" PRIu64 "\n", (int)getpid(),
                          daybook_v1_SubscribeResponse_head(response));
            invoicing->announced = true;
        }
        size_t count;
        const daybook_v1_RecordedEvent *const *orders = daybook_v1_SubscribeResponse_events(response, &count);
        for (size_t index = 0; index < count; index++) {
            if (invoice_issue(invoicing, subscriber, orders[index])) continue;
            invoicing->number_known = false;
            return stale_explain(invoicing, daybook_v1_RecordedEvent_position(orders[index])) ? -1 : EXIT_NOT_ALONE;
        }
        if (daybook_v1_SubscribeResponse_position(response) >= invoicing->until_position) return 0;
    }
}

static int run(struct invoicing *invoicing) {
    upb_Arena *arena = need(upb_Arena_New());
    daybook_v1_Filter *filter = need(daybook_v1_Filter_new(arena));
    daybook_v1_Clause *clause = need(daybook_v1_Filter_add_any_of(filter, arena));
    if (!daybook_v1_Clause_add_types(clause, upb_StringView_FromString("OrderPlaced"), arena)) need(NULL);
    int code;
    do {
        const daybook_subscriber_options options = {.consumer = CONSUMER, .filter = filter};
        daybook_subscriber *subscriber = need(daybook_subscriber_open(invoicing->client, &options, NULL));
        code = follow(invoicing, subscriber);
        daybook_subscriber_close(subscriber);
    } while (code < 0);
    upb_Arena_Free(arena);
    return code;
}

int main(int argc, char **argv) {
    struct invoicing invoicing = {.until_position = UINT64_MAX};
    int used = 2;
    if (argc > used && strcmp(argv[used], "--alone") == 0) {
        invoicing.alone = true;
        used++;
    }
    if (argc > used) invoicing.until_position = strtoull(argv[used++], NULL, 10);
    if (argc < 2 || argc != used) {
        (void)fputs("Usage: invoicing SERVER [--alone] [UNTIL-POSITION]\n", stderr);
        return 64;
    }
    daybook_status status;
    invoicing.client = daybook_client_open(&(daybook_client_options){.target = argv[1]}, &status);
    if (invoicing.client == NULL) fail("client", status.message);
    const int code = run(&invoicing);
    (void)fprintf(stderr, "invoicing %d: %" PRIu64 " invoices issued, %" PRIu64 " were there already\n", (int)getpid(),
                  invoicing.issued_count, invoicing.stale_count);
    daybook_client_close(invoicing.client);
    return code;
}
