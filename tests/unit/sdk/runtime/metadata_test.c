/* Received metadata as programs see it, and the grammar of the headers that they send. */
#include <criterion/criterion.h>
#include <grpc/support/alloc.h>
#include <string.h>

#include "sdk/runtime/loop.h"
#include "sdk/runtime/metadata.h"

static bool view_is(upb_StringView view, const char *text, size_t size) {
    return upb_StringView_IsEqual(view, upb_StringView_FromDataAndSize(text, size));
}

/* --- Received ----------------------------------------------------------------------------------------------------- */

Test(metadata, is_read_by_place_and_by_key) {
    grpc_metadata items[] = {
        {.key = grpc_slice_from_static_string("a"), .value = grpc_slice_from_static_string("first")},
        {.key = grpc_slice_from_static_string("b-bin"), .value = grpc_slice_from_static_buffer("\0\xff", 2)},
        {.key = grpc_slice_from_static_string("a"), .value = grpc_slice_from_static_string("second")},
        {.key = grpc_slice_from_static_string("empty"), .value = grpc_empty_slice()},
    };
    grpc_metadata_array array = {.count = 4, .capacity = 4, .metadata = items};
    const daybook_metadata *metadata = daybook__metadata_view(&array);
    cr_assert_eq(daybook_metadata_count(metadata), 4);
    cr_assert(view_is(daybook_metadata_key(metadata, 2), "a", 1));
    cr_assert(view_is(daybook_metadata_value(metadata, 2), "second", 6));
    cr_assert(view_is(daybook_metadata_value(metadata, 1), "\0\xff", 2));
    cr_assert(view_is(daybook_metadata_find(metadata, "a"), "first", 5));
    cr_assert(view_is(daybook_metadata_find(metadata, "b-bin"), "\0\xff", 2));
    upb_StringView empty = daybook_metadata_find(metadata, "empty");
    cr_assert_eq(empty.size, 0);
    cr_assert_not_null(empty.data, "it is there, without a value");
    cr_assert_null(daybook_metadata_find(metadata, "A").data);
    cr_assert_null(daybook_metadata_find(metadata, "b").data);
    cr_assert_null(daybook_metadata_find(metadata, "").data);
}

Test(metadata, none_is_empty) {
    cr_assert_eq(daybook_metadata_count(NULL), 0);
    cr_assert_null(daybook_metadata_find(NULL, "a").data);
    grpc_metadata_array array = {0};
    cr_assert_eq(daybook_metadata_count(daybook__metadata_view(&array)), 0);
    daybook__metadata_hold(&array);
    daybook__metadata_free(&array);
}

/* Texts of every size: gRPC keeps short ones in the slice itself and counts the users of long ones. */
Test(metadata, held_texts_outlive_the_call_and_the_core) {
    static const char text[] = "a value that is much too long to have its place inside of a slice";
    daybook__core_ref();
    grpc_metadata items[] = {
        {.key = grpc_slice_from_copied_string("key"), .value = grpc_slice_from_copied_string("short")},
        {.key = grpc_slice_from_copied_string("another"), .value = grpc_slice_from_copied_string(text)},
    };
    grpc_metadata_array array;
    grpc_metadata_array_init(&array);
    array.count = array.capacity = 2;
    array.metadata = gpr_malloc(sizeof items);
    memcpy(array.metadata, items, sizeof items);
    daybook__metadata_hold(&array);
    for (size_t i = 0; i < 2; i++) {
        grpc_slice_unref(items[i].key);
        grpc_slice_unref(items[i].value);
    }
    daybook__core_unref();
    cr_assert(view_is(daybook_metadata_find(daybook__metadata_view(&array), "another"), text, sizeof text - 1));
    cr_assert(view_is(daybook_metadata_find(daybook__metadata_view(&array), "key"), "short", 5));
    daybook__metadata_free(&array);
    cr_assert_eq(array.count, 0);
}

/* --- To send ------------------------------------------------------------------------------------------------------ */

static const char *check(const char *key, const char *value, size_t value_size) {
    return daybook__header_check(&(daybook_header){.key = key, .value = value, .value_size = value_size});
}

Test(metadata, headers_of_the_grammar_are_accepted) {
    static const char *const keys[] = {"a", "authorization", "x-request_id.2", "traceparent", "grpc", "x-bin", "-bin"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        cr_assert_null(check(keys[i], "a value, ~ and all!", 0), "%s", keys[i]);
    }
    cr_assert_null(check("a", "", 0));
    cr_assert_null(check("a", "cut here\n", 8));
    cr_assert_null(check("a-bin", "", 0));
    cr_assert_null(check("a-bin", "\0\n\xff", 3));
    cr_assert_null(check("a-bin", "\n\xff", 0));
}

Test(metadata, other_headers_are_refused) {
    static const struct {
        const char *key;
        const char *value;
        size_t value_size;
        const char *problem;
    } cases[] = {
        {NULL, "x", 0, "has no key"},
        {"", "x", 0, "has no key"},
        {"Upper", "x", 0, "other characters"},
        {"sp ace", "x", 0, "other characters"},
        {":path", "x", 0, "other characters"},
        {"a\xc3\xa9", "x", 0, "other characters"},
        {"a/b", "x", 0, "other characters"},
        {"grpc-timeout", "1S", 0, "reserved"},
        {"grpc-status-details-bin", "x", 0, "reserved"},
        {"content-type", "x", 0, "reserved"},
        {"te", "x", 0, "reserved"},
        {"user-agent", "x", 0, "reserved"},
        {"host", "x", 0, "reserved"},
        {"a", NULL, 0, "has no value"},
        {"a-bin", NULL, 3, "has no value"},
        {"a", "new\nline", 0, "printable"},
        {"a", "tab\t", 0, "printable"},
        {"a", "\x7f", 0, "printable"},
        {"a", "caf\xc3\xa9", 0, "printable"},
        {"a", "a\0b", 3, "printable"},
        {"-bin", "\xff", 1, "printable"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *problem = check(cases[i].key, cases[i].value, cases[i].value_size);
        cr_assert_not_null(problem, "case %zu", i);
        cr_assert_not_null(strstr(problem, cases[i].problem), "case %zu: %s", i, problem);
    }
}

Test(metadata, headers_are_bounded) {
    static char text[DAYBOOK__HEADER_VALUE_BYTES_MAX + 2];
    memset(text, 'a', sizeof text - 1);
    cr_assert_not_null(check("a", text, 0));
    cr_assert_null(check("a", text + 1, 0));
    cr_assert_null(check("a", text, DAYBOOK__HEADER_VALUE_BYTES_MAX));
    cr_assert_not_null(check("a", text, DAYBOOK__HEADER_VALUE_BYTES_MAX + 1));
    cr_assert_not_null(check("a-bin", text, DAYBOOK__HEADER_VALUE_BYTES_MAX + 1));
    cr_assert_not_null(check(text, "x", 0));
    const char *end = text + sizeof text - 1;
    cr_assert_null(check(end - DAYBOOK__HEADER_KEY_BYTES_MAX, "x", 0));
    cr_assert_not_null(check(end - DAYBOOK__HEADER_KEY_BYTES_MAX - 1, "x", 0));
}

Test(metadata, a_header_is_copied_up_to_its_size) {
    daybook__core_ref();
    char value[] = {'a', '\0', 'b'};
    daybook_header header = {.key = "k-bin", .value = value, .value_size = sizeof value};
    grpc_metadata whole = daybook__header_convert(&header);
    header.value_size = 0;
    grpc_metadata cut = daybook__header_convert(&header);
    memset(value, 'x', sizeof value);
    cr_assert_eq(grpc_slice_str_cmp(whole.key, "k-bin"), 0);
    cr_assert(view_is(
        upb_StringView_FromDataAndSize((const char *)GRPC_SLICE_START_PTR(whole.value), GRPC_SLICE_LENGTH(whole.value)),
        "a\0b", 3));
    cr_assert_eq(grpc_slice_str_cmp(cut.value, "a"), 0);
    grpc_slice_unref(whole.key);
    grpc_slice_unref(whole.value);
    grpc_slice_unref(cut.key);
    grpc_slice_unref(cut.value);
    daybook__core_unref();
}
