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

Test(names, a_slot_is_no_limit_either) {
    cr_assert_str_eq(name_slot(arena, "INT64_MAX"), "INT64_MAX_");
    cr_assert_str_eq(name_slot(arena, "UINT8_C"), "UINT8_C_");
    cr_assert_str_eq(name_slot(arena, "MAX"), "MAX");
    cr_assert_str_eq(name_slot(arena, "_MAX"), "_MAX");
}

Test(names, words_are_reserved_whole) {
    cr_assert(name_is_reserved("co_await"));
    cr_assert(name_is_reserved("BIG_ENDIAN"));
    cr_assert(name_is_reserved("xor_eq"));
    static const char *const free[] = {"co", "await", "_await", "EDITION_MAX", ""};
    for (size_t index = 0; index < sizeof free / sizeof free[0]; index++) {
        cr_assert_not(name_is_reserved(free[index]), "%s", free[index]);
    }
}

Test(names, full_names_and_files) {
    cr_assert(name_is_full("_a1"));
    cr_assert(name_is_full("a.b_.C3"));
    static const char *const none[] = {"", "1a", "a.1", ".a", "a.", "a..b", "a b", "a-b", "\xc3\xa4"};
    for (size_t index = 0; index < sizeof none / sizeof none[0]; index++) {
        cr_assert_not(name_is_full(none[index]), "%s", none[index]);
    }
    cr_assert(name_is_file("shop.v1/orders.old.proto"));
    cr_assert(name_is_file("_shop/2fa.proto"));
    cr_assert(name_is_file("orders"));
    static const char *const bad[] = {"",           "2fa.proto",  "a-b.proto", "a b.proto",
                                      "a\"b.proto", "a\\b.proto", "a.b/c",     "/a"};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        cr_assert_not(name_is_file(bad[index]), "%s", bad[index]);
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
