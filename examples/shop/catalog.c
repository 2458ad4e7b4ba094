/* catalog: the shop's catalog service. It records what it sells and knows nothing of who reacts.
 *
 *   catalog SERVER FILE.csv
 *
 * Each invoice of the file becomes one atomic append to the stream order-INVOICE: OrderPlaced, then ProductSold or
 * ProductReturned for each of its lines. An order is only recorded when its stream is new, so that running the catalog again
 * records nothing twice. Columns: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/daybook.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"
#include "examples/shop/csv.h"

enum column { INVOICE, STOCK_CODE, DESCRIPTION, QUANTITY, INVOICE_DATE, UNIT_PRICE, CUSTOMER, COUNTRY, COLUMNS_COUNT };

/* One append holds 1,024 events: OrderPlaced and so many lines. */
#define ORDER_LINES_COUNT_MAX 1023

struct line {
    char *fields[COLUMNS_COUNT];
    int64_t quantity;
    struct line *next;
};

struct order {
    struct line *first;
    struct line **last_link;
    size_t lines_count;
    struct order *next;
};

struct orders {
    struct order *first;
    struct order **last_link;
    struct order *latest; /* lines of one invoice mostly follow each other */
};

static _Noreturn void fail(const char *message) {
    (void)fprintf(stderr, "catalog: %s\n", message);
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) fail("out of memory");
    return memory;
}

static struct order *order_find(struct orders *orders, const char *invoice) {
    if (orders->latest != NULL && strcmp(orders->latest->first->fields[INVOICE], invoice) == 0) return orders->latest;
    for (struct order *order = orders->first; order != NULL; order = order->next) {
        if (strcmp(order->first->fields[INVOICE], invoice) == 0) return order;
    }
    struct order *order = allocate(sizeof *order);
    order->last_link = &order->first;
    *orders->last_link = order;
    orders->last_link = &order->next;
    return order;
}

static void line_add(struct orders *orders, const struct csv *csv) {
    if (csv->fields_count != COLUMNS_COUNT) {
        (void)fprintf(stderr, "catalog: line %zu has %zu fields; %d are needed\n", csv->line, csv->fields_count,
                      COLUMNS_COUNT);
        exit(1);
    }
    struct line *line = allocate(sizeof *line);
    for (size_t column = 0; column < COLUMNS_COUNT; column++) {
        line->fields[column] = strdup(csv->fields[column]);
        if (line->fields[column] == NULL) fail("out of memory");
    }
    char *end;
    line->quantity = strtoll(line->fields[QUANTITY], &end, 10);
    if (*end != '\0' || end == line->fields[QUANTITY]) {
        (void)fprintf(stderr, "catalog: line %zu: the quantity \"%s\" is no number\n", csv->line,
                      csv->fields[QUANTITY]);
        exit(1);
    }
    struct order *order = order_find(orders, line->fields[INVOICE]);
    *order->last_link = line;
    order->last_link = &line->next;
    order->lines_count++;
    orders->latest = order;
}

static void orders_read(const char *path, struct orders *ret_orders) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        (void)fprintf(stderr, "catalog: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    struct csv *csv = allocate(sizeof *csv);
    *ret_orders = (struct orders){.last_link = &ret_orders->first};
    csv_init(csv, file);
    if (!csv_read(csv) || csv->fields_count != COLUMNS_COUNT) fail("the file has no line of column names");
    while (csv_read(csv)) line_add(ret_orders, csv);
    if (csv->error != NULL) {
        (void)fprintf(stderr, "catalog: line %zu: %s\n", csv->line, csv->error);
        exit(1);
    }
    free(csv);
    (void)fclose(file);
}

static void event_fill(daybook_v1_Event *event, const char *type, const char *tag_prefix, const char *tag,
                       json_t *payload, upb_Arena *arena) {
    char *text = json_dumps(payload, JSON_COMPACT);
    if (text == NULL) fail("a line cannot be written as JSON");
    const size_t text_size = strlen(text);
    const size_t tag_size = strlen(tag_prefix) + strlen(tag);
    char *copy = upb_Arena_Malloc(arena, text_size + 1);
    char *tag_text = upb_Arena_Malloc(arena, tag_size + 1);
    if (copy == NULL || tag_text == NULL) fail("out of memory");
    memcpy(copy, text, text_size);
    (void)snprintf(tag_text, tag_size + 1, "%s%s", tag_prefix, tag);
    free(text);
    json_decref(payload);
    daybook_v1_Event_set_type(event, upb_StringView_FromString(type));
    daybook_v1_Event_set_text(event, upb_StringView_FromDataAndSize(copy, text_size));
    daybook_v1_Event_set_content_type(event, upb_StringView_FromString("application/json"));
    if (tag[0] != '\0' &&
        !daybook_v1_Event_add_tags(event, upb_StringView_FromDataAndSize(tag_text, tag_size), arena)) {
        fail("out of memory");
    }
}

static daybook_v1_Event *event_add(daybook_v1_Write *write, upb_Arena *arena) {
    daybook_v1_Event *event = daybook_v1_Write_add_events(write, arena);
    if (event == NULL) fail("out of memory");
    return event;
}

static daybook_v1_AppendRequest *request_build(const struct order *order, upb_Arena *arena) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    daybook_v1_Write *write = request == NULL ? NULL : daybook_v1_AppendRequest_add_writes(request, arena);
    char *const *head = order->first->fields;
    const size_t stream_size = strlen("order-") + strlen(head[INVOICE]);
    char *stream = upb_Arena_Malloc(arena, stream_size + 1);
    if (write == NULL || stream == NULL) fail("out of memory");
    (void)snprintf(stream, stream_size + 1, "order-%s", head[INVOICE]);
    daybook_v1_Write_set_stream(write, upb_StringView_FromDataAndSize(stream, stream_size));
    daybook_v1_Write_set_expected_revision(write, 0);
    event_fill(event_add(write, arena), "OrderPlaced", "customer:", head[CUSTOMER],
               json_pack("{s:s, s:s, s:s, s:s, s:I}", "invoice", head[INVOICE], "customer", head[CUSTOMER], "country",
                         head[COUNTRY], "placed_at", head[INVOICE_DATE], "lines", (json_int_t)order->lines_count),
               arena);
    for (const struct line *line = order->first; line != NULL; line = line->next) {
        const bool sold = line->quantity >= 0;
        const int64_t quantity = sold ? line->quantity : -line->quantity;
        event_fill(event_add(write, arena), sold ? "ProductSold" : "ProductReturned",
                   "product:", line->fields[STOCK_CODE],
                   json_pack("{s:s, s:s, s:I, s:s}", "stock_code", line->fields[STOCK_CODE], "description",
                             line->fields[DESCRIPTION], "quantity", (json_int_t)quantity, "unit_price",
                             line->fields[UNIT_PRICE]),
                   arena);
    }
    return request;
}

/* True when the order was recorded, false when it was there already. */
static bool order_record(daybook_client *client, const struct order *order) {
    if (order->lines_count > ORDER_LINES_COUNT_MAX) fail("an order has more lines than one append takes (1,023)");
    upb_Arena *arena = upb_Arena_New();
    if (arena == NULL) fail("out of memory");
    daybook_status status;
    const daybook_v1_AppendResponse *response;
    const bool recorded =
        daybook_v1_EventStore_Append(client, request_build(order, arena), NULL, arena, &response, &status);
    upb_Arena_Free(arena);
    if (recorded) return true;
    if (strcmp(status.reason, "REVISION_CONFLICT") == 0) return false;
    (void)fprintf(stderr, "catalog: order %s: %s %s\n", order->first->fields[INVOICE], daybook_code_name(status.code),
                  status.message);
    exit(1);
}

static void orders_free(struct orders *orders) {
    while (orders->first != NULL) {
        struct order *order = orders->first;
        orders->first = order->next;
        while (order->first != NULL) {
            struct line *line = order->first;
            order->first = line->next;
            for (size_t column = 0; column < COLUMNS_COUNT; column++) free(line->fields[column]);
            free(line);
        }
        free(order);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        (void)fputs("Usage: catalog SERVER FILE.csv\n", stderr);
        return 64;
    }
    struct orders orders;
    orders_read(argv[2], &orders);
    daybook_status status;
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = argv[1]}, &status);
    if (client == NULL) fail(status.message);
    uint64_t recorded_count = 0;
    uint64_t known_count = 0;
    for (const struct order *order = orders.first; order != NULL; order = order->next) {
        if (order_record(client, order)) {
            recorded_count++;
        } else {
            known_count++;
        }
    }
    (void)printf("catalog: %" PRIu64 " orders recorded, %" PRIu64 " were there already\n", recorded_count, known_count);
    daybook_client_close(client);
    orders_free(&orders);
    return 0;
}
