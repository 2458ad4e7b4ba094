/* names_table_order.c: eight bytes of each key at a time are compared as one number. What is equal in them is sorted by the next
 * eight. Names begin alike ("order-17", "customer:23"), so comparing whole keys would read each key, somewhere in memory, a
 * dozen times. */
#include "service/store/names_table_order.h"

#include <endian.h>
#include <stdlib.h>

#define WORD_BYTES 8

struct sorting {
    uint64_t word; /* eight bytes of the key, big-endian; zeros behind its end */
    uint32_t rest; /* how many bytes it has there; WORD_BYTES + 1 for more than a word */
    const struct names_item *item;
};

static void word_load(struct sorting *sorting, uint32_t depth) {
    const struct names_item *item = sorting->item;
    const uint32_t rest = item->key_size - depth;
    uint64_t word = 0;
    memcpy(&word, item->key + depth, rest < WORD_BYTES ? rest : WORD_BYTES);
    sorting->word = be64toh(word);
    sorting->rest = rest <= WORD_BYTES ? rest : WORD_BYTES + 1;
}

/* A key that ends here comes before those that go on, also when they go on with zeros. */
static int sorting_compare(const void *left_pointer, const void *right_pointer) {
    const struct sorting *left = left_pointer;
    const struct sorting *right = right_pointer;
    if (left->word != right->word) return left->word < right->word ? -1 : 1;
    return left->rest < right->rest ? -1 : left->rest > right->rest;
}

/* Sorts items that are equal before `depth`. Recurses at most NAMES_KEY_BYTES_MAX / WORD_BYTES deep. */
static void sort_from(struct sorting *sortings, uint32_t count, uint32_t depth) {
    for (uint32_t index = 0; index < count; index++) word_load(&sortings[index], depth);
    qsort(sortings, count, sizeof *sortings, sorting_compare);
    for (uint32_t first = 0; first < count;) {
        uint32_t end = first + 1;
        while (end < count && sorting_compare(&sortings[first], &sortings[end]) == 0) end++;
        /* Keys are different, so equal ones go on. */
        if (end - first > 1) sort_from(sortings + first, end - first, depth + WORD_BYTES);
        first = end;
    }
}

result names_items_sort(const struct names_item **items, uint32_t count) {
    if (count < 2) return RESULT_OK;
    struct sorting *sortings = malloc(count * sizeof *sortings);
    if (sortings == NULL) return failure_result(FAILURE_MEMORY);
    for (uint32_t index = 0; index < count; index++) sortings[index].item = items[index];
    sort_from(sortings, count, 0);
    for (uint32_t index = 0; index < count; index++) items[index] = sortings[index].item;
    free(sortings);
    return RESULT_OK;
}

/* How many of the sorted items come before the key. */
static uint32_t items_before(const struct names_item *const *items, uint32_t count, struct bytes key) {
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (names_key_compare(names_item_key(items[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

result names_items_merge(const struct names_item **items, uint32_t sorted_count, uint32_t added_count) {
    if (sorted_count == 0) return names_items_sort(items, added_count);
    if (added_count == 0) return RESULT_OK;
    TRY(names_items_sort(items + sorted_count, added_count));
    const struct names_item **added = malloc(added_count * sizeof *added);
    if (added == NULL) return failure_result(FAILURE_MEMORY);
    memcpy(added, items + sorted_count, added_count * sizeof *added);
    /* From the end on: what comes after an added item moves up by as many places as there are added items before it. */
    uint32_t end = sorted_count;
    for (uint32_t left = added_count; left > 0; left--) {
        const uint32_t place = items_before(items, end, names_item_key(added[left - 1]));
        memmove(items + place + left, items + place, (end - place) * sizeof *items);
        items[place + left - 1] = added[left - 1];
        end = place;
    }
    free(added);
    return RESULT_OK;
}
