#include "service/store/meta_page.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/stores.h"
#include "tests/support/temporary_directory.h"

/* Both meta pages of a store after a commit. */
static void pages_of_a_store(struct meta_page ret_pages[2]) {
    const struct temporary_directory directory = temporary_directory_make();
    struct store *store = stores_open(directory.path);
    cr_assert_eq(stores_append(store, 1, 3, 100).failure, FAILURE_NONE);
    store_close(store);
    const int file = open(temporary_path(&directory, "log/data.mdb").text, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(meta_page_read(file, 0, &ret_pages[0]).failure, FAILURE_NONE);
    cr_assert_eq(meta_page_read(file, ret_pages[0].page_bytes, &ret_pages[1]).failure, FAILURE_NONE);
    struct meta_page behind;
    cr_assert_eq(meta_page_read(file, INT64_MAX / 2, &behind).failure, FAILURE_NONE);
    cr_assert(!meta_page_is_sound(&behind), "behind the end");
    cr_assert_eq(meta_page_read(-1, 0, &behind).failure, FAILURE_STORAGE);
    close(file);
    temporary_directory_remove(&directory);
}

Test(meta_page, those_of_two_commits_in_a_row_agree) {
    struct meta_page pages[2];
    pages_of_a_store(pages);
    cr_assert(meta_page_is_sound(&pages[0]) && meta_page_is_sound(&pages[1]));
    cr_assert_eq(pages[0].version, META_PAGE_VERSION);
    cr_assert_eq(pages[0].transaction, 2, "the store's first commit, then one with events");
    cr_assert_eq(pages[1].transaction, 1);
    cr_assert_geq(pages[0].last_page, pages[0].tables_page);
    cr_assert(meta_pages_agree(&pages[0], &pages[1]));
    cr_assert(!meta_pages_agree(&pages[1], &pages[0]), "each has its place");
}

Test(meta_page, no_other_numbers_agree) {
    struct meta_page pages[2];
    pages_of_a_store(pages);
    for (uint64_t first = 0; first < 9; first++) {
        for (uint64_t second = 0; second < 9; second++) {
            pages[0].transaction = first;
            pages[1].transaction = second;
            const bool are_neighbours = first == second + 1 || second == first + 1;
            const bool is_new = first == 0 && second == 0;
            cr_assert_eq(meta_pages_agree(&pages[0], &pages[1]), is_new || (are_neighbours && first % 2 == 0));
        }
    }
}
