/* index_segment.c: adding and finding; index_segment_order.c sorts. */
#include "service/store/index_segment.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "service/store/index_pages.h"

#define BLOCK_ENTRIES_COUNT 16384u
#define BLOCKS_COUNT_MAX    (INDEX_SEGMENT_ENTRIES_COUNT_MAX / BLOCK_ENTRIES_COUNT)
#define TABLE_SLOTS_MIN     1024u
#define TABLE_SLOTS_MAX     (2u * INDEX_SEGMENT_ENTRIES_COUNT_MAX)
#define NONE                UINT32_MAX

_Static_assert(INDEX_SEGMENT_ENTRIES_COUNT_MAX % BLOCK_ENTRIES_COUNT == 0, "the last block is whole");
_Static_assert(BLOCK_ENTRIES_COUNT >= INDEX_EVENT_ENTRIES_COUNT_MAX, "an event needs at most one more block");
_Static_assert((TABLE_SLOTS_MAX & (TABLE_SLOTS_MAX - 1)) == 0, "a slot is found by a mask");

struct entry {
    struct term term;
    uint64_t number;
    uint32_t position_offset; /* from the segment's first position */
    uint32_t previous;        /* the term's entry before this one; NONE at depth 0 */
    uint32_t jump;            /* one further back, or the one before; itself at depth 0 */
    uint32_t depth;           /* how many entries of the term are before this one */
};

_Static_assert(sizeof(struct entry) == 40, "the arithmetic of index_segment.h");

#define BLOCK_BYTES (BLOCK_ENTRIES_COUNT * sizeof(struct entry))

/* A slot is 0 when it is free, else the tag (32 bits of the term, so that most others are passed over without a look at
 * their entries) and the number of the term's newest entry plus one. */
struct table {
    struct table *older; /* readers may still be in it */
    uint32_t mask;
    _Atomic uint64_t slots[];
};

struct index_segment {
    atomic_uint references;
    atomic_uint events_count;
    atomic_uint entries_count;
    atomic_bool is_mixed; /* two names share a term: its numbers do not ascend; see range_mixed */
    uint32_t events_count_max;
    uint32_t terms_count;
    uint32_t blocks_count;
    uint64_t position_first;
    struct table *_Atomic table;
    struct entry *blocks[BLOCKS_COUNT_MAX];
};

static struct entry *entry_at(const struct index_segment *segment, uint32_t number) {
    return &segment->blocks[number / BLOCK_ENTRIES_COUNT][number % BLOCK_ENTRIES_COUNT];
}

static size_t table_bytes(uint32_t slots_count) {
    return sizeof(struct table) + slots_count * sizeof(uint64_t);
}

static struct table *table_new(uint32_t slots_count) {
    struct table *table = index_pages_new(table_bytes(slots_count));
    if (table != NULL) table->mask = slots_count - 1;
    return table;
}

static uint64_t tag_of(struct term term) {
    uint32_t tag;
    memcpy(&tag, term.bytes + 8, sizeof tag);
    return (uint64_t)tag << 32;
}

static uint32_t home_of(struct term term) {
    uint32_t home;
    memcpy(&home, term.bytes, sizeof home);
    return home;
}

result index_segment_new(uint64_t position_first, uint32_t events_count_max, uint32_t terms_count_expected,
                         struct index_segment **ret_segment) {
    assert(position_first > 0 && events_count_max > 0);
    struct index_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL) return failure_result(FAILURE_MEMORY);
    uint32_t slots_count = TABLE_SLOTS_MIN;
    while (slots_count < TABLE_SLOTS_MAX && slots_count / 2 < terms_count_expected) slots_count *= 2;
    struct table *table = table_new(slots_count);
    if (table == NULL) {
        free(segment);
        return failure_result(FAILURE_MEMORY);
    }
    atomic_init(&segment->references, 1);
    atomic_init(&segment->table, table);
    segment->position_first = position_first;
    segment->events_count_max = events_count_max;
    *ret_segment = segment;
    return RESULT_OK;
}

struct index_segment *index_segment_ref(struct index_segment *segment) {
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

struct index_segment *index_segment_unref(struct index_segment *segment) {
    if (segment == NULL) return NULL;
    const unsigned references = atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel);
    assert(references > 0);
    if (references > 1) return NULL;
    struct table *table = atomic_load_explicit(&segment->table, memory_order_relaxed);
    while (table != NULL) {
        struct table *older = table->older;
        index_pages_free(table, table_bytes(table->mask + 1));
        table = older;
    }
    for (uint32_t index = 0; index < segment->blocks_count; index++)
        index_pages_free(segment->blocks[index], BLOCK_BYTES);
    free(segment);
    return NULL;
}

/* Finds the slot of a term, or the free one where it belongs, and the number of its newest entry or NONE. */
static uint32_t slot_find(const struct index_segment *segment, struct table *table, struct term term,
                          uint32_t *ret_newest) {
    const uint64_t tag = tag_of(term);
    for (uint32_t slot = home_of(term) & table->mask;; slot = (slot + 1) & table->mask) {
        const uint64_t value = atomic_load_explicit(&table->slots[slot], memory_order_acquire);
        if (value == 0) {
            *ret_newest = NONE;
            return slot;
        }
        const uint32_t newest = (uint32_t)value - 1;
        if ((value & ~(uint64_t)UINT32_MAX) == tag && term_equal(entry_at(segment, newest)->term, term)) {
            *ret_newest = newest;
            return slot;
        }
    }
}

void index_segment_prefetch(const struct index_segment *segment, struct term term) {
    const struct table *table = atomic_load_explicit(&segment->table, memory_order_acquire);
    __builtin_prefetch(&table->slots[home_of(term) & table->mask]);
}

/* Moves every term to a table twice as large, which readers find once it is complete. */
static result table_grow(struct index_segment *segment, struct table *table) {
    struct table *larger = table_new(2 * (table->mask + 1));
    if (larger == NULL) return failure_result(FAILURE_MEMORY);
    for (uint32_t index = 0; index <= table->mask; index++) {
        const uint64_t value = atomic_load_explicit(&table->slots[index], memory_order_relaxed);
        if (value == 0) continue;
        uint32_t slot = home_of(entry_at(segment, (uint32_t)value - 1)->term) & larger->mask;
        while (atomic_load_explicit(&larger->slots[slot], memory_order_relaxed) != 0) slot = (slot + 1) & larger->mask;
        atomic_store_explicit(&larger->slots[slot], value, memory_order_relaxed);
    }
    larger->older = table;
    atomic_store_explicit(&segment->table, larger, memory_order_release);
    return RESULT_OK;
}

/* Makes room for an event, so that adding it cannot fail half way. */
static result room_reserve(struct index_segment *segment, uint32_t count) {
    const uint32_t entries_count = atomic_load_explicit(&segment->entries_count, memory_order_relaxed);
    if (entries_count + count > segment->blocks_count * BLOCK_ENTRIES_COUNT) {
        struct entry *block = index_pages_new(BLOCK_BYTES);
        if (block == NULL) return failure_result(FAILURE_MEMORY);
        segment->blocks[segment->blocks_count++] = block;
    }
    struct table *table = atomic_load_explicit(&segment->table, memory_order_relaxed);
    if (segment->terms_count + count > (table->mask + 1) / 2) return table_grow(segment, table);
    return RESULT_OK;
}

/* Myers: jump over two equal jumps, else to the entry before; any depth is then reached in a logarithm of steps. */
static void entry_link(const struct index_segment *segment, struct entry *entry, uint32_t number, uint32_t newest) {
    entry->previous = newest;
    if (newest == NONE) {
        entry->depth = 0;
        entry->jump = number;
        return;
    }
    const struct entry *before = entry_at(segment, newest);
    const struct entry *jump = entry_at(segment, before->jump);
    const struct entry *jump_jump = entry_at(segment, jump->jump);
    entry->depth = before->depth + 1;
    entry->jump = before->depth - jump->depth == jump->depth - jump_jump->depth ? jump->jump : newest;
}

static void entry_add(struct index_segment *segment, const struct index_entry *added) {
    assert(added->position >= segment->position_first);
    struct table *table = atomic_load_explicit(&segment->table, memory_order_relaxed);
    uint32_t newest;
    const uint32_t slot = slot_find(segment, table, added->term, &newest);
    const uint32_t position_offset = (uint32_t)(added->position - segment->position_first);
    if (newest != NONE) {
        const struct entry *before = entry_at(segment, newest);
        if (before->number == added->number && before->position_offset == position_offset) return;
        if (before->number > added->number) atomic_store_explicit(&segment->is_mixed, true, memory_order_relaxed);
    } else {
        segment->terms_count++;
    }
    const uint32_t number = atomic_load_explicit(&segment->entries_count, memory_order_relaxed);
    struct entry *entry = entry_at(segment, number);
    entry->term = added->term;
    entry->number = added->number;
    entry->position_offset = position_offset;
    entry_link(segment, entry, number, newest);
    atomic_store_explicit(&segment->entries_count, number + 1, memory_order_relaxed);
    atomic_store_explicit(&table->slots[slot], tag_of(added->term) | (number + 1), memory_order_release);
}

result index_segment_add(struct index_segment *segment, const struct index_entry *entries, uint32_t count) {
    assert(!index_segment_is_full(segment) && count <= INDEX_EVENT_ENTRIES_COUNT_MAX);
    TRY(room_reserve(segment, count));
    for (uint32_t index = 0; index < count; index++) index_segment_prefetch(segment, entries[index].term);
    for (uint32_t index = 0; index < count; index++) entry_add(segment, &entries[index]);
    const uint32_t events_count = atomic_load_explicit(&segment->events_count, memory_order_relaxed);
    atomic_store_explicit(&segment->events_count, events_count + 1, memory_order_relaxed);
    return RESULT_OK;
}

bool index_segment_is_full(const struct index_segment *segment) {
    return index_segment_events_count(segment) >= segment->events_count_max ||
           index_segment_entries_count(segment) > INDEX_SEGMENT_ENTRIES_COUNT_MAX - INDEX_EVENT_ENTRIES_COUNT_MAX;
}

uint64_t index_segment_position_first(const struct index_segment *segment) {
    return segment->position_first;
}

uint32_t index_segment_events_count(const struct index_segment *segment) {
    return atomic_load_explicit(&segment->events_count, memory_order_relaxed);
}

uint32_t index_segment_entries_count(const struct index_segment *segment) {
    return atomic_load_explicit(&segment->entries_count, memory_order_relaxed);
}

uint32_t index_segment_terms_count(const struct index_segment *segment) {
    return segment->terms_count;
}

struct index_entry index_segment_entry(const struct index_segment *segment, uint32_t number) {
    const struct entry *entry = entry_at(segment, number);
    return (struct index_entry){
        .term = entry->term,
        .number = entry->number,
        .position = segment->position_first + entry->position_offset,
    };
}

/* From a newer entry back to the one at `depth`. */
static uint32_t depth_find(const struct index_segment *segment, uint32_t from, uint32_t depth) {
    const struct entry *entry = entry_at(segment, from);
    while (entry->depth > depth) {
        from = entry_at(segment, entry->jump)->depth >= depth ? entry->jump : entry->previous;
        entry = entry_at(segment, from);
    }
    return from;
}

static uint32_t range_forward(const struct index_segment *segment, uint32_t newest, uint64_t number, uint32_t count_max,
                              struct index_entry *ret_entries) {
    if (entry_at(segment, newest)->number < number) return 0;
    uint32_t first = newest;
    for (const struct entry *entry = entry_at(segment, first); entry->depth > 0; entry = entry_at(segment, first)) {
        if (entry_at(segment, entry->jump)->number >= number) {
            first = entry->jump;
        } else if (entry_at(segment, entry->previous)->number >= number) {
            first = entry->previous;
        } else {
            break;
        }
    }
    const uint32_t depth_first = entry_at(segment, first)->depth;
    const uint32_t there = entry_at(segment, newest)->depth - depth_first + 1;
    const uint32_t count = there < count_max ? there : count_max;
    uint32_t at = depth_find(segment, newest, depth_first + count - 1);
    for (uint32_t index = count; index > 0; index--) {
        ret_entries[index - 1] = index_segment_entry(segment, at);
        at = entry_at(segment, at)->previous;
    }
    return count;
}

static uint32_t range_backward(const struct index_segment *segment, uint32_t newest, uint64_t number,
                               uint32_t count_max, struct index_entry *ret_entries) {
    uint32_t at = newest;
    while (at != NONE && entry_at(segment, at)->number > number) {
        const struct entry *entry = entry_at(segment, at);
        at = entry->depth > 0 && entry_at(segment, entry->jump)->number > number ? entry->jump : entry->previous;
    }
    uint32_t count = 0;
    for (; at != NONE && count < count_max; at = entry_at(segment, at)->previous) {
        ret_entries[count++] = index_segment_entry(segment, at);
    }
    return count;
}

static bool comes_before(const struct index_entry *left, const struct index_entry *right,
                         enum index_direction direction) {
    const bool is_less =
        left->number != right->number ? left->number < right->number : left->position < right->position;
    return direction == INDEX_FORWARD ? is_less : !is_less;
}

/* Two names share a term, so the chain's numbers are in no order: looks at all of it and keeps the best, as a run, which
 * is sorted, would give them. */
static uint32_t range_mixed(const struct index_segment *segment, uint32_t newest, uint64_t number,
                            enum index_direction direction, uint32_t count_max, struct index_entry *ret_entries) {
    uint32_t count = 0;
    for (uint32_t at = newest; at != NONE; at = entry_at(segment, at)->previous) {
        const struct index_entry entry = index_segment_entry(segment, at);
        if (direction == INDEX_FORWARD ? entry.number < number : entry.number > number) continue;
        uint32_t place = count;
        while (place > 0 && comes_before(&entry, &ret_entries[place - 1], direction)) place--;
        if (place == count_max) continue;
        if (count < count_max) count++;
        memmove(&ret_entries[place + 1], &ret_entries[place], (count - 1 - place) * sizeof entry);
        ret_entries[place] = entry;
    }
    return count;
}

uint32_t index_segment_range(const struct index_segment *segment, struct term term, uint64_t number,
                             enum index_direction direction, uint32_t count_max, struct index_entry *ret_entries) {
    assert(count_max > 0);
    struct table *table = atomic_load_explicit(&segment->table, memory_order_acquire);
    uint32_t newest;
    (void)slot_find(segment, table, term, &newest);
    if (newest == NONE) return 0;
    if (atomic_load_explicit(&segment->is_mixed, memory_order_relaxed)) {
        return range_mixed(segment, newest, number, direction, count_max, ret_entries);
    }
    if (direction == INDEX_FORWARD) return range_forward(segment, newest, number, count_max, ret_entries);
    return range_backward(segment, newest, number, count_max, ret_entries);
}

void index_segment_entry_prefetch(const struct index_segment *segment, uint32_t number) {
    __builtin_prefetch(entry_at(segment, number));
}
