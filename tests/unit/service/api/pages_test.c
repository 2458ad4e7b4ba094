/* Sizes of pages, and tokens: each is good for the request that it was made for, and for no other. */
#include "service/api/pages.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "service/base/limits.h"
#include "tests/unit/service/api/validations.h"

TestSuite(pages, .init = validations_open, .fini = validations_close);

Test(pages, sizes) {
    cr_assert_eq(page_size_of(0), PAGE_SIZE_DEFAULT);
    cr_assert_eq(page_size_of(1), 1);
    cr_assert_eq(page_size_of(999), 999);
    cr_assert_eq(page_size_of(1000), 1000);
    cr_assert_eq(page_size_of(1001), 1000);
    cr_assert_eq(page_size_of(UINT32_MAX), 1000);
}

static void expect_after(const char *list, const char *prefix, upb_StringView token, const char *after) {
    struct validation validation;
    validation_init(&validation);
    const struct bytes found = page_after_prefix(&validation, list, bytes_of_text(prefix), token);
    if (after == NULL) {
        cr_assert_eq(found.size, 0);
        expect_only(&validation, REASON_INVALID_FIELD, "page_token", "is not of this list");
        return;
    }
    expect_good(&validation);
    cr_assert(bytes_equal(found, bytes_of_text(after)));
}

Test(pages, no_token_is_the_beginning) {
    expect_after("types", "", text(""), "");
    expect_after("types", "order", text(""), "");
}

Test(pages, a_token_is_good_for_its_list_and_its_prefix) {
    const struct bytes last = bytes_of_text("order-17");
    const upb_StringView token = page_token_of_prefix("streams", bytes_of_text("order"), last, validations_arena);
    expect_after("streams", "order", token, "order-17");
    expect_after("stream", "order", token, NULL);
    expect_after("types", "order", token, NULL);
    expect_after("streams", "", token, NULL);
    expect_after("streams", "orde", token, NULL);
    expect_after("streams", "order-", token, NULL);
    expect_after("streams", "Order", token, NULL);
    const upb_StringView plain = page_token_new("streams", last, validations_arena);
    expect_after("streams", "order", plain, NULL);
    expect_after("streams", "", plain, NULL);
}

Test(pages, a_name_may_be_as_long_as_names_are_and_hold_what_tokens_are_made_of) {
    const upb_StringView name = text_of(':', 255);
    const struct bytes last = bytes_of(name.data, name.size);
    const upb_StringView token = page_token_of_prefix("tags", last, last, validations_arena);
    struct validation validation;
    validation_init(&validation);
    cr_assert(bytes_equal(page_after_prefix(&validation, "tags", last, token), last));
    expect_good(&validation);
    expect_after("tags", "", text_of(':', 1 << 16), NULL);
}

Test(pages, what_is_no_token_is_refused) {
    static const char *const tokens[] = {"x",        "types",     "types/",     "types/0",
                                         "types/0:", "types/1:a", "types/00:a", "types:a"};
    for (size_t index = 0; index < sizeof tokens / sizeof tokens[0]; index++) {
        expect_after("types", "", text(tokens[index]), NULL);
    }
    expect_after("types", "", text("types/0:a"), "a");
}

static void expect_place(const char *list, const char *prefix, upb_StringView token, struct page_place expected) {
    struct validation validation;
    validation_init(&validation);
    const struct page_place place = page_place_of(&validation, list, bytes_of_text(prefix), token);
    cr_assert_eq(place.head, expected.head);
    cr_assert_eq(place.next, expected.next);
    if (expected.head == 0 && token.size > 0) {
        expect_only(&validation, REASON_INVALID_FIELD, "page_token", "is not of this list");
    } else {
        expect_good(&validation);
    }
}

Test(pages, a_place_is_good_for_its_list_and_its_prefix) {
    static const struct page_place none = {0};
    static const struct page_place places[] = {{1, 1}, {900, 17}, {UINT64_MAX, UINT64_MAX}};
    expect_place("streams", "order", text(""), none);
    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        const struct bytes prefix = bytes_of_text("order");
        const upb_StringView token = page_token_of_place("streams", prefix, places[index], validations_arena);
        expect_place("streams", "order", token, places[index]);
        expect_place("streams", "orders", token, none);
        expect_place("streams", "orde", token, none);
        expect_place("streams", "", token, none);
        expect_place("types", "order", token, none);
        expect_after("streams", "order", token, NULL);
    }
}

Test(pages, what_is_no_place_is_refused) {
    static const char *const tokens[] = {"streams",
                                         "streams@",
                                         "streams@9/0:",
                                         "streams@9/10:",
                                         "streams@09/1:",
                                         "streams@9/-1:",
                                         "streams@+9/1:",
                                         "streams@9/1",
                                         "streams@9/1:a",
                                         "streams@ 9/1:",
                                         "streams@9:",
                                         "streams@9/1/1:",
                                         "streams@0/0:",
                                         "streams/0:a",
                                         "streams@18446744073709551616/1:",
                                         "streams@999999999999999999999999999999999999999999999999999999999999999/1:"};
    for (size_t index = 0; index < sizeof tokens / sizeof tokens[0]; index++) {
        expect_place("streams", "", text(tokens[index]), (struct page_place){0});
    }
    expect_place("streams", "", text("streams@9/1:"), (struct page_place){9, 1});
}
