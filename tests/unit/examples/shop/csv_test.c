/* Records of comma-separated values: RFC 4180, and what real exports make of it. */
#include "examples/shop/csv.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct csv csv;

/* Begins to read these bytes. */
static void begin(const char *data, size_t size) {
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
    cr_assert_not_null(file);
    csv_init(&csv, file);
}

static void begin_text(const char *text) {
    begin(text, strlen(text));
}

static void end(void) {
    if (csv.file != NULL) (void)fclose(csv.file);
    csv.file = NULL;
}

TestSuite(csv, .fini = end);

/* Fails the test unless the next record has exactly these fields, NULL at the end. */
static void expect_record(const char *const *fields) {
    cr_assert(csv_read(&csv), "%s", csv.error == NULL ? "the end" : csv.error);
    size_t count = 0;
    for (; fields[count] != NULL; count++) {
        cr_assert_lt(count, csv.fields_count);
        cr_assert_str_eq(csv.fields[count], fields[count]);
    }
    cr_assert_eq(csv.fields_count, count);
}
#define EXPECT_RECORD(...) expect_record((const char *const[]){__VA_ARGS__, NULL})

static void expect_end(void) {
    cr_assert_not(csv_read(&csv));
    cr_assert_null(csv.error, "%s", csv.error);
}

static void expect_error(const char *words) {
    cr_assert_not(csv_read(&csv));
    cr_assert_not_null(csv.error);
    cr_assert_not_null(strstr(csv.error, words), "%s", csv.error);
}

Test(csv, a_file_without_a_byte_has_no_record) {
    csv_init(&csv, fopen("/dev/null", "r"));
    expect_end();
    expect_end();
}

Test(csv, fields_are_split_at_commas_and_records_at_line_ends) {
    begin_text("a,b,c\nd,,f\n");
    EXPECT_RECORD("a", "b", "c");
    EXPECT_RECORD("d", "", "f");
    expect_end();
}

Test(csv, a_last_line_needs_no_end) {
    begin_text("a,b\nc,d");
    EXPECT_RECORD("a", "b");
    EXPECT_RECORD("c", "d");
    expect_end();
}

Test(csv, a_last_field_may_be_empty) {
    begin_text("a,");
    EXPECT_RECORD("a", "");
    expect_end();
}

Test(csv, an_empty_line_is_one_empty_field) {
    begin_text("\n\r\nx\n");
    EXPECT_RECORD("");
    EXPECT_RECORD("");
    EXPECT_RECORD("x");
    expect_end();
}

Test(csv, lines_may_end_as_on_windows) {
    begin_text("a,b\r\nc,d\r\n");
    EXPECT_RECORD("a", "b");
    EXPECT_RECORD("c", "d");
    expect_end();
}

Test(csv, quotes_keep_commas_line_breaks_and_carriage_returns) {
    begin_text("\"a,b\",\"c\r\nd\",e\n");
    EXPECT_RECORD("a,b", "c\r\nd", "e");
    expect_end();
}

Test(csv, a_doubled_quote_is_a_quote) {
    begin_text("\"5\"\" nails\",\"\"\"\",\"\"\n");
    EXPECT_RECORD("5\" nails", "\"", "");
    expect_end();
}

Test(csv, spaces_belong_to_the_field) {
    begin_text(" a , b\n");
    EXPECT_RECORD(" a ", " b");
}

Test(csv, a_record_tells_the_line_on_which_it_begins) {
    begin_text("a\n\"b\nb\nb\"\nc\n");
    EXPECT_RECORD("a");
    cr_assert_eq(csv.line, 1);
    EXPECT_RECORD("b\nb\nb");
    cr_assert_eq(csv.line, 2);
    EXPECT_RECORD("c");
    cr_assert_eq(csv.line, 5);
}

Test(csv, a_quote_that_is_never_closed_is_an_error) {
    begin_text("a,b\n\"c,d\ne,f\n");
    EXPECT_RECORD("a", "b");
    expect_error("never closed");
    cr_assert_eq(csv.line, 2);
}

Test(csv, a_byte_0_is_an_error_and_no_end) {
    static const char data[] = "a,b\nc\0d,e\n";
    begin(data, sizeof data - 1);
    EXPECT_RECORD("a", "b");
    expect_error("byte 0");
}

/* A directory can be opened, but not read: that is not an empty file. */
Test(csv, a_file_that_cannot_be_read_is_an_error_and_no_end) {
    FILE *file = fopen("/", "r");
    cr_assert_not_null(file);
    csv_init(&csv, file);
    expect_error("cannot be read");
}

/* --- Limits. ---------------------------------------------------------------------------------------------------------- */

Test(csv, 32_fields_are_good_and_33_too_many) {
    cr_assert_eq(CSV_FIELDS_COUNT_MAX, 32);
    char line[80] = "";
    for (size_t index = 0; index < 31; index++) line[index] = ',';
    line[31] = '\n';
    begin(line, 32);
    cr_assert(csv_read(&csv));
    cr_assert_eq(csv.fields_count, 32);
    end();
    line[31] = ',';
    line[32] = '\n';
    begin(line, 33);
    expect_error("too many fields");
}

static void expect_record_of_bytes(size_t size, bool good) {
    char *data = malloc(size + 1);
    cr_assert_not_null(data);
    memset(data, 'x', size);
    data[size] = '\n';
    begin(data, size + 1);
    if (good) {
        cr_assert(csv_read(&csv), "%s", csv.error);
        cr_assert_eq(strlen(csv.fields[0]), size);
    } else {
        expect_error("too long");
    }
    end();
    free(data);
}

Test(csv, a_record_has_up_to_65536_bytes_with_the_ends_of_its_fields) {
    cr_assert_eq(CSV_RECORD_BYTES_MAX, 65536);
    expect_record_of_bytes(65534, true);
    expect_record_of_bytes(65535, true);
    expect_record_of_bytes(65536, false);
    expect_record_of_bytes(1 << 20, false);
}

/* --- Latin-1. --------------------------------------------------------------------------------------------------------- */

Test(csv, utf8_of_every_length_is_kept) {
    begin_text("caf\xc3\xa9,\xe2\x82\xac 5,\xed\x9f\xbf\xee\x80\x80,\xf0\x9f\x93\x94,\xf4\x8f\xbf\xbf\n");
    EXPECT_RECORD("caf\xc3\xa9", "\xe2\x82\xac 5", "\xed\x9f\xbf\xee\x80\x80", "\xf0\x9f\x93\x94", "\xf4\x8f\xbf\xbf");
}

Test(csv, latin1_becomes_utf8_field_by_field) {
    begin_text("caf\xe9,caf\xc3\xa9,\xa3"
               "5,\x80\xff\n");
    EXPECT_RECORD("caf\xc3\xa9", "caf\xc3\xa9",
                  "\xc2\xa3"
                  "5",
                  "\xc2\x80\xc3\xbf");
}

/* What looks like UTF-8 and is none, which a server would refuse: each of its bytes is a character of Latin-1. */
Test(csv, bytes_that_are_no_utf8_are_latin1) {
    static const char *const bad[] = {
        "\xc0\x80",         /* a longer form of U+0000 */
        "\xc1\xbf",         /* of U+007F */
        "\xe0\x9f\xbf",     /* of U+07FF */
        "\xf0\x8f\xbf\xbf", /* of U+FFFF */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf5\x80\x80\x80", "\xff", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x93", "\xe2\x28\xa1",
    };
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        char expected[16];
        size_t size = 0;
        for (const unsigned char *at = (const unsigned char *)bad[index]; *at != '\0'; at++) {
            if (*at >= 0x80) expected[size++] = (char)(0xc0 | *at >> 6);
            expected[size++] = (char)(*at >= 0x80 ? 0x80 | (*at & 0x3f) : *at);
        }
        expected[size] = '\0';
        begin_text(bad[index]);
        cr_assert(csv_read(&csv));
        cr_assert_str_eq(csv.fields[0], expected, "%zu", index);
        end();
    }
}

Test(csv, latin1_that_needs_more_room_than_there_is_is_too_long) {
    enum { BYTES = CSV_RECORD_BYTES_MAX / 2 };
    static char data[BYTES];
    memset(data, 0xe9, sizeof data);
    begin(data, sizeof data);
    expect_error("too long");
}
