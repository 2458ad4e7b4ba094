/* Names of protos become names of C by rules that names.h lists. */
#include <criterion/criterion.h>

#include "sdk/plugin/names.h"

static upb_Arena *arena;

static void setup(void) {
    arena = upb_Arena_New();
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(names, .init = setup, .fini = teardown);

Test(names, a_full_name_begins_with_the_package) {
    const upb_StringView name = upb_StringView_FromString("Order");
    cr_assert_str_eq(name_full(arena, upb_StringView_FromString("shop.v1"), name), "shop.v1.Order");
    cr_assert_str_eq(name_full(arena, upb_StringView_FromString(""), name), "Order");
}

Test(names, a_symbol_has_underscores_for_dots) {
    cr_assert_str_eq(name_symbol(arena, ".shop.v1.Order.Item"), "shop_v1_Order_Item");
    cr_assert_str_eq(name_symbol(arena, "shop.v1.Order.Item"), "shop_v1_Order_Item");
    cr_assert_str_eq(name_symbol(arena, ".Order"), "Order");
}

Test(names, a_slot_is_the_methods_name_unless_c_or_cpp_have_it) {
    static const char *const taken[][2] = {{"for", "for_"},         {"new", "new_"},     {"template", "template_"},
                                           {"_Static", "_Static"},  {"For", "For"},      {"forward", "forward"},
                                           {"wchar_t", "wchar_t_"}, {"linux", "linux_"}, {"errno", "errno_"}};
    for (size_t index = 0; index < sizeof taken / sizeof taken[0]; index++) {
        cr_assert_str_eq(name_slot(arena, taken[index][0]), taken[index][1]);
    }
}

Test(names, a_guard_is_made_of_capitals) {
    cr_assert_str_eq(name_guard(arena, "shop/v1/my-orders"), "SHOP_V1_MY_ORDERS_GRPC_H_");
}

Test(names, a_stem_is_the_file_without_its_last_extension) {
    cr_assert_str_eq(name_stem(arena, "shop/v1/orders.proto"), "shop/v1/orders");
    cr_assert_str_eq(name_stem(arena, "shop.v1/orders.old.proto"), "shop.v1/orders.old");
    cr_assert_str_eq(name_stem(arena, "shop.v1/orders"), "shop.v1/orders");
}
