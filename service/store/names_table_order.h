/* names_table_order.h: sorting the names of a table.
 *
 * Ownership: borrows the items. Threads: the table's. */
#ifndef SERVICE_STORE_NAMES_TABLE_ORDER_H
#define SERVICE_STORE_NAMES_TABLE_ORDER_H

#include "service/store/names_table.h"

/* A name in a table. */
struct names_item {
    uint64_t hash;
    struct name_figures figures;
    uint16_t key_size;
    uint8_t key[];
};

static inline struct bytes names_item_key(const struct names_item *item) {
    return bytes_of(item->key, item->key_size);
}

/* Sorts by key. FAILURE_MEMORY: nothing was moved. */
MUST_USE result names_items_sort(const struct names_item **items, uint32_t count);

/* `items` has `sorted_count` sorted items and `added_count` more behind them: sorts all of it. FAILURE_MEMORY: as before. */
MUST_USE result names_items_merge(const struct names_item **items, uint32_t sorted_count, uint32_t added_count);

#endif
