/* A server of orders. Prints its port, serves until its standard input ends. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/daybook.h"
#include "shop/v1/orders.grpc.h"

#define ORDERS_MAX 100

struct shop {
    pthread_mutex_t mutex;
    upb_Arena *arena;
    const shop_v1_Order *orders[ORDERS_MAX];
    uint32_t orders_count;
};

static bool equal(upb_StringView left, upb_StringView right) {
    return left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
}

/* Keeps a copy of the order: the request is gone after the reply. */
static bool keep(struct shop *shop, const shop_v1_Order *order) {
    for (uint32_t index = 0; index < shop->orders_count; index++) {
        if (equal(shop_v1_Order_id(shop->orders[index]), shop_v1_Order_id(order))) return true;
    }
    if (shop->orders_count == ORDERS_MAX) return false;
    size_t size;
    const char *bytes = shop_v1_Order_serialize(order, shop->arena, &size);
    const shop_v1_Order *copy = bytes == NULL ? NULL : shop_v1_Order_parse(bytes, size, shop->arena);
    if (copy == NULL) return false;
    shop->orders[shop->orders_count++] = copy;
    return true;
}

static void place(void *context, daybook_server_call *call, const shop_v1_PlaceRequest *request) {
    struct shop *shop = context;
    const shop_v1_Order *order = shop_v1_PlaceRequest_order(request);
    if (order == NULL || shop_v1_Order_id(order).size == 0) {
        daybook_server_call_fail(call, DAYBOOK_INVALID_ARGUMENT, "an order has an id", NULL, 0);
        return;
    }
    shop_v1_PlaceResponse *response = shop_v1_PlaceResponse_new(daybook_server_call_arena(call));
    pthread_mutex_lock(&shop->mutex);
    const bool kept = keep(shop, order);
    shop_v1_PlaceResponse_set_orders_count(response, shop->orders_count);
    pthread_mutex_unlock(&shop->mutex);
    if (kept) {
        shop_v1_Orders_Place_reply(call, response);
    } else {
        daybook_server_call_fail(call, DAYBOOK_RESOURCE_EXHAUSTED, "the shop is full", NULL, 0);
    }
}

/* A stream's way through the orders: one message in flight, `sent` brings the next. */
struct listing {
    struct shop *shop;
    upb_StringView customer;
    uint32_t next;
};

static void send_next(daybook_server_stream *stream, bool ok, void *context) {
    struct listing *listing = context;
    const shop_v1_Order *found = NULL;
    pthread_mutex_lock(&listing->shop->mutex);
    while (found == NULL && listing->next < listing->shop->orders_count) {
        const shop_v1_Order *order = listing->shop->orders[listing->next++];
        if (equal(shop_v1_Order_customer(order), listing->customer)) found = order;
    }
    pthread_mutex_unlock(&listing->shop->mutex);
    if (ok && found != NULL) {
        shop_v1_Orders_List_send(stream, found, send_next, listing);
    } else {
        daybook_server_stream_finish(stream, DAYBOOK_OK, NULL, NULL, 0);
    }
}

static void list(void *context, daybook_server_stream *stream, const shop_v1_ListRequest *request) {
    struct listing *listing = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *listing);
    listing->shop = context;
    listing->customer = shop_v1_ListRequest_customer(request);
    listing->next = 0;
    send_next(stream, true, listing);
}

static const shop_v1_Orders_handlers handlers = {.Place = place, .List = list};

int main(void) {
    struct shop shop = {.mutex = PTHREAD_MUTEX_INITIALIZER, .arena = upb_Arena_New()};
    daybook_status status;
    daybook_server *server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0"}, &status);
    if (server == NULL || !shop_v1_Orders_serve(server, &handlers, &shop, &status) ||
        !daybook_server_start(server, &status)) {
        fprintf(stderr, "server: %s\n", status.message);
        return EXIT_FAILURE;
    }
    printf("serving port=%u\n", (unsigned)daybook_server_port(server));
    fflush(stdout);
    while (getchar() != EOF) continue;
    daybook_server_close(server);
    upb_Arena_Free(shop.arena);
    return EXIT_SUCCESS;
}
