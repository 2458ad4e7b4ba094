/* index_segment_order.c: the entries of a full segment in the order of a run.
 *
 * Terms are hashes and so spread evenly: a counting sort by their first bits leaves buckets of a few entries, which are
 * sorted by insertion. A term with many entries makes a large bucket, which goes to qsort. */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "service/store/index_pages.h"
#include "service/store/index_segment.h"

#define BUCKET_ENTRIES_COUNT_TARGET 8u
#define BUCKET_BITS_MAX             16u
#define INSERTION_COUNT_MAX         32u

struct item {
    uint64_t prefix; /* the first eight bytes of the term, as a number */
    uint32_t number; /* of the entry in the segment */
};

static uint64_t prefix_of(struct term term) {
    uint64_t prefix;
    memcpy(&prefix, term.bytes, sizeof prefix);
    return be64toh(prefix);
}

static int compare(const void *left_item, const void *right_item, void *segment) {
    const struct item *left = left_item;
    const struct item *right = right_item;
    if (left->prefix != right->prefix) return left->prefix < right->prefix ? -1 : 1;
    const struct index_entry left_entry = index_segment_entry(segment, left->number);
    const struct index_entry right_entry = index_segment_entry(segment, right->number);
    const int terms = memcmp(left_entry.term.bytes, right_entry.term.bytes, sizeof left_entry.term.bytes);
    if (terms != 0) return terms;
    if (left_entry.number != right_entry.number) return left_entry.number < right_entry.number ? -1 : 1;
    if (left_entry.position != right_entry.position) return left_entry.position < right_entry.position ? -1 : 1;
    return 0;
}

static void insertion_sort(struct item *items, uint32_t count, void *segment) {
    for (uint32_t sorted = 1; sorted < count; sorted++) {
        const struct item item = items[sorted];
        uint32_t place = sorted;
        while (place > 0 && compare(&item, &items[place - 1], segment) < 0) {
            items[place] = items[place - 1];
            place--;
        }
        items[place] = item;
    }
}

/* Puts the items into their buckets. `ends` has a place for each bucket and comes back as where each ends. */
static void scatter(const struct index_segment *segment, uint32_t count, unsigned bits, uint32_t *ends,
                    struct item *ret_items) {
    const uint32_t buckets_count = 1u << bits;
    for (uint32_t number = 0; number < count; number++) {
        ends[prefix_of(index_segment_entry(segment, number).term) >> (64 - bits)]++;
    }
    uint32_t begin = 0;
    for (uint32_t bucket = 0; bucket < buckets_count; bucket++) {
        const uint32_t size = ends[bucket];
        ends[bucket] = begin;
        begin += size;
    }
    for (uint32_t number = 0; number < count; number++) {
        const uint64_t prefix = prefix_of(index_segment_entry(segment, number).term);
        ret_items[ends[prefix >> (64 - bits)]++] = (struct item){.prefix = prefix, .number = number};
    }
}

static size_t order_bytes(uint32_t count) {
    return ((size_t)count + 1) * sizeof(uint32_t);
}

void index_segment_order_free(const struct index_segment *segment, uint32_t *order) {
    index_pages_free(order, order_bytes(index_segment_entries_count(segment)));
}

result index_segment_order(const struct index_segment *segment, uint32_t **ret_order) {
    const uint32_t count = index_segment_entries_count(segment);
    unsigned bits = 1;
    while (bits < BUCKET_BITS_MAX && count >> bits > BUCKET_ENTRIES_COUNT_TARGET) bits++;
    const uint32_t buckets_count = 1u << bits;
    const size_t items_bytes = (count + 1) * sizeof(struct item);
    uint32_t *ends = calloc(buckets_count, sizeof *ends);
    struct item *items = index_pages_new(items_bytes);
    uint32_t *order = index_pages_new(order_bytes(count));
    if (ends == NULL || items == NULL || order == NULL) {
        free(ends);
        index_pages_free(items, items_bytes);
        index_pages_free(order, order_bytes(count));
        return failure_result(FAILURE_MEMORY);
    }
    /* qsort_r hands its context on without const; compare only reads it. */
    union {
        const struct index_segment *read_only;
        void *argument;
    } context = {.read_only = segment};
    scatter(segment, count, bits, ends, items);
    uint32_t begin = 0;
    for (uint32_t bucket = 0; bucket < buckets_count; bucket++) {
        const uint32_t size = ends[bucket] - begin;
        if (size <= INSERTION_COUNT_MAX) {
            insertion_sort(&items[begin], size, context.argument);
        } else {
            qsort_r(&items[begin], size, sizeof *items, compare, context.argument);
        }
        begin = ends[bucket];
    }
    for (uint32_t index = 0; index < count; index++) order[index] = items[index].number;
    free(ends);
    index_pages_free(items, items_bytes);
    *ret_order = order;
    return RESULT_OK;
}
