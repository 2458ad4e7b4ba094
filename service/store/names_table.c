#include "service/store/names_table.h"

#include <assert.h>
#include <stdlib.h>

#include "service/store/index_pages.h"
#include "service/store/names_table_order.h"

#define BLOCK_BYTES     KIB(256)
#define SLOTS_COUNT_MIN 1024

/* Items are taken from blocks, which never move. */
struct block {
    struct block *previous;
    size_t used_bytes;
};

struct names_table {
    uint64_t position_first;
    uint32_t events_count;
    uint32_t events_count_max;
    uint32_t count;
    uint32_t slots_count; /* a power of two; at most half of them are used */
    uint64_t items_bytes;
    struct block *block;
    struct names_item **slots;
    const struct names_item **order; /* all items; the first `sorted_count` of them are sorted */
    uint32_t order_capacity;
    uint32_t sorted_count;
};

int names_key_compare(struct bytes left, struct bytes right) {
    const size_t size = left.size < right.size ? left.size : right.size;
    const int order = size > 0 ? memcmp(left.data, right.data, size) : 0;
    if (order != 0) return order;
    return left.size < right.size ? -1 : left.size > right.size;
}

void name_figures_add(struct name_figures *figures, const struct name_figures *other) {
    figures->events_count += other->events_count;
    figures->bytes_count += other->bytes_count;
    if (other->position_first < figures->position_first) figures->position_first = other->position_first;
    if (other->position_last > figures->position_last) figures->position_last = other->position_last;
}

result names_table_new(uint64_t position_first, uint32_t events_count_max, struct names_table **ret_table) {
    assert(position_first > 0 && events_count_max > 0);
    struct names_table *table = calloc(1, sizeof *table);
    if (table == NULL) return failure_result(FAILURE_MEMORY);
    table->position_first = position_first;
    table->events_count_max = events_count_max;
    *ret_table = table;
    return RESULT_OK;
}

struct names_table *names_table_free(struct names_table *table) {
    if (table == NULL) return NULL;
    while (table->block != NULL) {
        struct block *block = table->block;
        table->block = block->previous;
        index_pages_free(block, BLOCK_BYTES);
    }
    index_pages_free(table->slots, table->slots_count * sizeof *table->slots);
    index_pages_free(table->order, table->order_capacity * sizeof *table->order);
    free(table);
    return NULL;
}

static uint64_t hash_of(enum term_kind kind, struct bytes name) {
    const struct term term = term_of(kind, name);
    uint64_t hash;
    memcpy(&hash, term.bytes, sizeof hash);
    return hash;
}

static bool item_is(const struct names_item *item, uint64_t hash, enum term_kind kind, struct bytes name) {
    return item->hash == hash && item->key_size == 1 + name.size && item->key[0] == (uint8_t)kind &&
           memcmp(item->key + 1, name.data, name.size) == 0;
}

/* The slot that has the name, or where it would be. There are slots, and one is free. */
static struct names_item **slot_of(const struct names_table *table, uint64_t hash, enum term_kind kind,
                                   struct bytes name) {
    const uint32_t mask = table->slots_count - 1;
    uint32_t at = (uint32_t)hash & mask;
    while (table->slots[at] != NULL && !item_is(table->slots[at], hash, kind, name)) at = (at + 1) & mask;
    return &table->slots[at];
}

static result slots_grow(struct names_table *table) {
    const uint32_t slots_count = table->slots_count == 0 ? SLOTS_COUNT_MIN : 2 * table->slots_count;
    struct names_item **slots = index_pages_new(slots_count * sizeof *slots);
    if (slots == NULL) return failure_result(FAILURE_MEMORY);
    for (uint32_t index = 0; index < table->slots_count; index++) {
        if (table->slots[index] == NULL) continue;
        uint32_t at = (uint32_t)table->slots[index]->hash & (slots_count - 1);
        while (slots[at] != NULL) at = (at + 1) & (slots_count - 1);
        slots[at] = table->slots[index];
    }
    index_pages_free(table->slots, table->slots_count * sizeof *slots);
    table->slots = slots;
    table->slots_count = slots_count;
    return RESULT_OK;
}

static result order_grow(struct names_table *table) {
    const uint32_t capacity = table->order_capacity == 0 ? SLOTS_COUNT_MIN : 2 * table->order_capacity;
    const struct names_item **order = index_pages_new(capacity * sizeof *order);
    if (order == NULL) return failure_result(FAILURE_MEMORY);
    if (table->count > 0) memcpy(order, table->order, table->count * sizeof *order);
    index_pages_free(table->order, table->order_capacity * sizeof *order);
    table->order = order;
    table->order_capacity = capacity;
    return RESULT_OK;
}

static result item_new(struct names_table *table, size_t key_size, struct names_item **ret_item) {
    const size_t alignment = _Alignof(struct names_item);
    const size_t bytes = (sizeof(struct names_item) + key_size + alignment - 1) / alignment * alignment;
    if (table->block == NULL || table->block->used_bytes + bytes > BLOCK_BYTES) {
        struct block *block = index_pages_new(BLOCK_BYTES);
        if (block == NULL) return failure_result(FAILURE_MEMORY);
        block->previous = table->block;
        block->used_bytes = sizeof *block;
        table->block = block;
    }
    *ret_item = (struct names_item *)((uint8_t *)table->block + table->block->used_bytes);
    table->block->used_bytes += bytes;
    table->items_bytes += bytes;
    return RESULT_OK;
}

static result name_add(struct names_table *table, enum term_kind kind, struct bytes name,
                       const struct name_figures *figures) {
    assert(name.size <= NAME_BYTES_MAX);
    if (2 * (table->count + 1) > table->slots_count) TRY(slots_grow(table));
    const uint64_t hash = hash_of(kind, name);
    struct names_item **slot = slot_of(table, hash, kind, name);
    if (*slot != NULL) {
        /* The same tag twice on one event is one event. */
        if ((*slot)->figures.position_last < figures->position_last) name_figures_add(&(*slot)->figures, figures);
        return RESULT_OK;
    }
    if (table->count == table->order_capacity) TRY(order_grow(table));
    struct names_item *item;
    TRY(item_new(table, 1 + name.size, &item));
    item->hash = hash;
    item->figures = *figures;
    item->key_size = (uint16_t)(1 + name.size);
    item->key[0] = (uint8_t)kind;
    memcpy(item->key + 1, name.data, name.size);
    *slot = item;
    table->order[table->count++] = item;
    return RESULT_OK;
}

/* Names that are longer than the edge lets in are damage. */
static bool names_are_sound(const struct record *record, const struct event_fields *fields) {
    bool is_sound = record->stream.size > 0 && record->stream.size <= NAME_BYTES_MAX;
    is_sound = is_sound && fields->type.size <= NAME_BYTES_MAX;
    for (uint32_t index = 0; index < fields->tags_count; index++) {
        is_sound = is_sound && fields->tags[index].size > 0 && fields->tags[index].size <= NAME_BYTES_MAX;
    }
    return is_sound;
}

result names_table_add(struct names_table *table, const struct record *record, uint64_t record_bytes) {
    assert(record->position == table->position_first + table->events_count && !names_table_is_full(table));
    struct event_fields fields;
    TRY(record_event_fields(record->event, &fields));
    if (!names_are_sound(record, &fields)) return failure_result(FAILURE_CORRUPT);
    const struct name_figures figures = {.events_count = 1,
                                         .bytes_count = record_bytes,
                                         .position_first = record->position,
                                         .position_last = record->position};
    TRY(name_add(table, TERM_STREAM, record->stream, &figures));
    if (fields.type.size > 0) TRY(name_add(table, TERM_TYPE, fields.type, &figures));
    for (uint32_t index = 0; index < fields.tags_count; index++) {
        TRY(name_add(table, TERM_TAG, fields.tags[index], &figures));
    }
    table->events_count++;
    return RESULT_OK;
}

bool names_table_is_full(const struct names_table *table) {
    return table->events_count == table->events_count_max || table->items_bytes >= NAMES_TABLE_BYTES_MAX;
}

uint64_t names_table_position_first(const struct names_table *table) {
    return table->position_first;
}

uint64_t names_table_position_last(const struct names_table *table) {
    return table->position_first + table->events_count - 1;
}

uint32_t names_table_count(const struct names_table *table) {
    return table->count;
}

result names_table_sort(struct names_table *table) {
    TRY(names_items_merge(table->order, table->sorted_count, table->count - table->sorted_count));
    table->sorted_count = table->count;
    return RESULT_OK;
}

struct names_entry names_table_at(const struct names_table *table, uint32_t place) {
    assert(place < table->count && table->sorted_count == table->count);
    const struct names_item *item = table->order[place];
    return (struct names_entry){.key = names_item_key(item), .figures = item->figures};
}

uint32_t names_table_seek(const struct names_table *table, struct bytes key) {
    assert(table->sorted_count == table->count);
    uint32_t low = 0;
    uint32_t high = table->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (names_key_compare(names_item_key(table->order[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool names_table_find(const struct names_table *table, enum term_kind kind, struct bytes name,
                      struct name_figures *ret_figures) {
    if (table->count == 0) return false;
    const struct names_item *item = *slot_of(table, hash_of(kind, name), kind, name);
    if (item == NULL) return false;
    *ret_figures = item->figures;
    return true;
}
