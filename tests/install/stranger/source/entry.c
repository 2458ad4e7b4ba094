/* entry: a message with parts of three projects, there and back. */
#include <stdio.h>
#include <stdlib.h>

#include "daybook/v1/event.upb.h"
#include "google/rpc/status.upb.h"
#include "shop/v1/entry.upb.h"
#include "shop/v1/orders.upb.h"

int main(void) {
    upb_Arena *arena = upb_Arena_New();
    shop_v1_Entry *entry = shop_v1_Entry_new(arena);
    shop_v1_Order_set_id(shop_v1_Entry_mutable_order(entry, arena), upb_StringView_FromString("o-9"));
    daybook_v1_Event_set_type(shop_v1_Entry_mutable_event(entry, arena), upb_StringView_FromString("OrderPlaced"));
    google_rpc_Status_set_code(shop_v1_Entry_mutable_outcome(entry, arena), 10);

    size_t size;
    const char *bytes = shop_v1_Entry_serialize(entry, arena, &size);
    const shop_v1_Entry *read = bytes == NULL ? NULL : shop_v1_Entry_parse(bytes, size, arena);
    if (read == NULL) return EXIT_FAILURE;
    const upb_StringView id = shop_v1_Order_id(shop_v1_Entry_order(read));
    const upb_StringView type = daybook_v1_Event_type(shop_v1_Entry_event(read));
    printf("%.*s %.*s %d\n", (int)id.size, id.data, (int)type.size, type.data,
           (int)google_rpc_Status_code(shop_v1_Entry_outcome(read)));
    upb_Arena_Free(arena);
    return EXIT_SUCCESS;
}
