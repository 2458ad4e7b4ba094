/* client TARGET: places three orders, one of them twice, and lists one customer's. */
#include <stdio.h>
#include <stdlib.h>

#include "daybook/daybook.h"
#include "google/protobuf/timestamp.upb.h"
#include "shop/v1/orders.grpc.h"

static bool place(daybook_client *client, const char *id, const char *customer, int64_t cents, daybook_status *status) {
    upb_Arena *arena = upb_Arena_New();
    shop_v1_PlaceRequest *request = shop_v1_PlaceRequest_new(arena);
    shop_v1_Order *order = shop_v1_PlaceRequest_mutable_order(request, arena);
    shop_v1_Order_set_id(order, upb_StringView_FromString(id));
    shop_v1_Order_set_customer(order, upb_StringView_FromString(customer));
    shop_v1_Order_set_cents(order, cents);
    google_protobuf_Timestamp_set_seconds(shop_v1_Order_mutable_placed_at(order, arena), 1700000000);

    const shop_v1_PlaceResponse *response;
    const daybook_call_options options = {.timeout_ms = 30000, .wait_for_ready = 1};
    const bool ok = shop_v1_Orders_Place(client, request, &options, arena, &response, status);
    if (ok) printf("placed %s, %u orders\n", id, (unsigned)shop_v1_PlaceResponse_orders_count(response));
    upb_Arena_Free(arena);
    return ok;
}

static bool list(daybook_client *client, const char *customer, daybook_status *status) {
    upb_Arena *arena = upb_Arena_New();
    shop_v1_ListRequest *request = shop_v1_ListRequest_new(arena);
    shop_v1_ListRequest_set_customer(request, upb_StringView_FromString(customer));
    shop_v1_Orders_List_stream *stream = shop_v1_Orders_List_open(client, request, NULL, status);
    upb_Arena_Free(arena);
    if (stream == NULL) return false;

    const shop_v1_Order *order;
    daybook_next next;
    while ((next = shop_v1_Orders_List_next(stream, DAYBOOK_TIMEOUT_NONE, &order, status)) == DAYBOOK_NEXT_MESSAGE) {
        const upb_StringView id = shop_v1_Order_id(order);
        printf("%.*s %lld placed at %lld\n", (int)id.size, id.data, (long long)shop_v1_Order_cents(order),
               (long long)google_protobuf_Timestamp_seconds(shop_v1_Order_placed_at(order)));
    }
    shop_v1_Orders_List_close(stream);
    return next == DAYBOOK_NEXT_END;
}

int main(int argc, char **argv) {
    if (argc != 2) return EXIT_FAILURE;
    daybook_status status;
    daybook_client *client = daybook_client_open(&(daybook_client_options){.target = argv[1]}, &status);
    const bool ok = client != NULL && place(client, "o-1", "ann", 1250, &status) &&
                    place(client, "o-2", "bob", 999, &status) && place(client, "o-3", "ann", 100, &status) &&
                    place(client, "o-3", "ann", 100, &status) && list(client, "ann", &status);
    if (!ok) fprintf(stderr, "client: %s: %s\n", daybook_code_name(status.code), status.message);
    if (ok && !place(client, "", "ann", 1, &status)) printf("refused: %s\n", status.message);
    daybook_client_close(client);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
