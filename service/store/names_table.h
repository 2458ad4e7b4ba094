/* names_table.h: the names of consecutive events, aggregated in memory until the table is full.
 *
 * A name is found by its hash; the order is made when it is asked for, and kept: names that are added later are sorted among
 * themselves and put in their places. Whether a table is full depends on its events alone, so two that begin at the same
 * position end at the same one.
 * Memory: what the names take is bounded by NAMES_TABLE_BYTES_MAX and one event more, slots and order by half of that.
 * Ownership: the maker frees; keys are views into the table. Threads: one at a time. */
#ifndef SERVICE_STORE_NAMES_TABLE_H
#define SERVICE_STORE_NAMES_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/limits.h"
#include "service/base/result.h"
#include "service/record/record.h"
#include "service/store/names.h"

struct names_table;

/* A name and its kind, as names are stored and sorted: the kind (1 byte, enum term_kind), then the name. */
#define NAMES_KEY_BYTES_MAX (1 + NAME_BYTES_MAX)

struct names_entry {
    struct bytes key;
    struct name_figures figures;
};

/* The order of keys: that of their bytes, a shorter one before those that it begins. Negative, 0 or positive. */
int names_key_compare(struct bytes left, struct bytes right);
/* Adds the figures of the same name in other events. */
void name_figures_add(struct name_figures *figures, const struct name_figures *other);

/* For events from `position_first` on. FAILURE_MEMORY. */
MUST_USE result names_table_new(uint64_t position_first, uint32_t events_count_max, struct names_table **ret_table);
/* NULL is allowed. Returns NULL. */
struct names_table *names_table_free(struct names_table *table);

/* Adds the names of the next event, whose record has `record_bytes` encoded bytes: its stream, its type if it has one, and each
 * different tag. The table is not full. FAILURE_CORRUPT: the event's bytes are no event, nothing was added. FAILURE_MEMORY: the
 * table can only be freed. */
MUST_USE result names_table_add(struct names_table *table, const struct record *record, uint64_t record_bytes);

bool names_table_is_full(const struct names_table *table);
uint64_t names_table_position_first(const struct names_table *table);
/* Of its last event; the position before the first when it has none. */
uint64_t names_table_position_last(const struct names_table *table);
uint32_t names_table_count(const struct names_table *table);

/* Brings the order up to date. FAILURE_MEMORY. */
MUST_USE result names_table_sort(struct names_table *table);

/* While nothing was added since the sort: an entry by its place, and the place of the first one that is not before `key`. */
struct names_entry names_table_at(const struct names_table *table, uint32_t place);
uint32_t names_table_seek(const struct names_table *table, struct bytes key);

/* The figures of a name; false: it is not there. */
bool names_table_find(const struct names_table *table, enum term_kind kind, struct bytes name,
                      struct name_figures *ret_figures);

#endif
