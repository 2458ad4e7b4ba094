/* Stock levels and their file. */
#include "examples/shop/stock.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temporary_directory.h"

static struct temporary_directory directory;
static struct temporary_path path;

static void setup(void) {
    directory = temporary_directory_make();
    path = temporary_path(&directory, "stock");
}

static void teardown(void) {
    temporary_directory_remove(&directory);
}

TestSuite(stock, .init = setup, .fini = teardown);

static void change(struct stock *stock, const char *code, int64_t difference) {
    cr_assert(stock_change(stock, code, difference));
}

/* Fails the test unless the levels are printed so. */
static void expect_printed(const struct stock *stock, const char *text) {
    char *printed;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    cr_assert_not_null(out);
    stock_print(stock, out);
    (void)fclose(out);
    cr_assert_str_eq(printed, text);
    free(printed);
}

static struct stock loaded(void) {
    struct stock stock;
    cr_assert(stock_load(&stock, path.text));
    return stock;
}

static void expect_no_stock_file(const char *text) {
    struct stock stock;
    struct stock before;
    temporary_file_write(path.text, text, strlen(text));
    memset(&stock, 0x5a, sizeof stock);
    memcpy(&before, &stock, sizeof stock);
    cr_assert_not(stock_load(&stock, path.text), "\"%s\"", text);
    cr_assert_eq(memcmp(&stock, &before, sizeof stock), 0);
}

Test(stock, levels_are_the_sum_of_their_changes_in_the_order_of_the_codes) {
    struct stock stock = {0};
    expect_printed(&stock, "");
    change(&stock, "b", -3);
    change(&stock, "a", -1);
    change(&stock, "c", 0);
    change(&stock, "b", 2);
    change(&stock, "B", 7);
    expect_printed(&stock, "B 7\na -1\nb -1\nc 0\n");
    stock_free(&stock);
    cr_assert_eq(stock.entries_count, 0);
    stock_free(&stock);
}

Test(stock, it_grows_with_the_codes_whatever_their_order) {
    struct stock stock = {0};
    enum { CODES_COUNT = 1000 };
    for (int index = 0; index < CODES_COUNT; index++) {
        char code[16];
        (void)snprintf(code, sizeof code, "%04d", index * 387 % CODES_COUNT); /* every number once */
        change(&stock, code, index * 387 % CODES_COUNT);
    }
    cr_assert_eq(stock.entries_count, CODES_COUNT);
    for (int index = 0; index < CODES_COUNT; index++) {
        char code[16];
        (void)snprintf(code, sizeof code, "%04d", index);
        cr_assert_str_eq(stock.entries[index].code, code);
        cr_assert_eq(stock.entries[index].level, index);
    }
    stock_free(&stock);
}

Test(stock, a_file_that_is_not_there_is_an_empty_stock) {
    struct stock stock = loaded();
    cr_assert_eq(stock.position, 0);
    cr_assert_eq(stock.entries_count, 0);
    stock_free(&stock);
}

Test(stock, what_is_saved_is_loaded) {
    struct stock stock = {.position = INT64_MAX};
    change(&stock, "22196", -24);
    change(&stock, "BANK CHARGES", 1);
    change(&stock, " ", INT64_MIN);
    change(&stock, "", INT64_MAX);
    change(&stock, "caf\xc3\xa9", 0);
    char *long_code = calloc(1, 5001);
    memset(long_code, 'x', 5000);
    change(&stock, long_code, 5);
    cr_assert(stock_save(&stock, path.text));
    struct stock again = loaded();
    cr_assert_eq(again.position, stock.position);
    cr_assert_eq(again.entries_count, stock.entries_count);
    for (size_t index = 0; index < stock.entries_count; index++) {
        cr_assert_str_eq(again.entries[index].code, stock.entries[index].code);
        cr_assert_eq(again.entries[index].level, stock.entries[index].level);
    }
    stock_free(&stock);
    stock_free(&again);
    free(long_code);
}

Test(stock, a_code_that_no_line_could_hold_is_refused) {
    struct stock stock = {0};
    cr_assert_not(stock_change(&stock, "a\nposition 7", 1));
    cr_assert_eq(stock.entries_count, 0);
    stock_free(&stock);
}

Test(stock, a_save_replaces_the_file_and_leaves_nothing_beside_it) {
    struct stock stock = {.position = 1};
    change(&stock, "a", 1);
    cr_assert(stock_save(&stock, path.text));
    stock.position = 2;
    change(&stock, "a", 1);
    cr_assert(stock_save(&stock, path.text));
    struct stock again = loaded();
    cr_assert_eq(again.position, 2);
    expect_printed(&again, "a 2\n");
    const struct temporary_path temporary = temporary_path(&directory, "stock.new");
    cr_assert_eq(access(temporary.text, F_OK), -1);
    stock_free(&stock);
    stock_free(&again);
}

Test(stock, a_save_that_fails_leaves_the_file_as_it_was) {
    struct stock stock = {.position = 1};
    change(&stock, "a", 1);
    cr_assert(stock_save(&stock, path.text));
    /* A directory in the place of the new file cannot be written. */
    const struct temporary_path temporary = temporary_path(&directory, "stock.new");
    cr_assert_eq(mkdir(temporary.text, 0700), 0);
    stock.position = 2;
    cr_assert_not(stock_save(&stock, path.text));
    struct stock again = loaded();
    cr_assert_eq(again.position, 1);
    stock_free(&stock);
    stock_free(&again);
}

Test(stock, a_path_that_is_too_long_is_refused_and_nothing_written) {
    struct stock stock = {0};
    char *long_path = calloc(1, 5001);
    memset(long_path, 'x', 5000);
    cr_assert_not(stock_save(&stock, long_path));
    free(long_path);
}

Test(stock, a_file_of_something_else_is_refused) {
    static const char *const bad[] = {
        "",
        "position",
        "position \n",
        "position x\n",
        "position -1\n",
        "position 7", /* cut off */
        "a 1\n",
        "position 7\na\n",
        "position 7\na \n",
        "position 7\na 1x\n",
        "position 7\na 1\nb",
        "position 7\na 99999999999999999999\n",
        "position 7\na +1\n",
        "position 7\n\n",
    };
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) expect_no_stock_file(bad[index]);
    struct stock stock;
    cr_assert_not(stock_load(&stock, directory.path), "a directory");
    const struct temporary_path below = temporary_path(&directory, "stock/below");
    temporary_file_write(path.text, "position 7\n", 11);
    cr_assert_not(stock_load(&stock, below.text), "a path below a file");
    stock = loaded();
    cr_assert_eq(stock.position, 7);
}
