#include "tests/bench/histogram.h"

#include <assert.h>
#include <stddef.h>

void histogram_init(struct histogram *histogram) {
    *histogram = (struct histogram){0};
}

/* Values below 2 * SUB_COUNT are their own bucket. Above, a value keeps its SUB_BITS + 1 leading bits, and the number of
 * bits that are cut off says which row of SUB_COUNT buckets it falls into. */
static uint32_t bucket_of(uint64_t value) {
    if (value < HISTOGRAM_SUB_COUNT) return (uint32_t)value;
    uint32_t bits = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t cut = bits - HISTOGRAM_SUB_BITS;
    uint32_t leading = (uint32_t)(value >> cut);
    return cut * HISTOGRAM_SUB_COUNT + leading;
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(uint32_t bucket) {
    if (bucket < HISTOGRAM_SUB_COUNT) return bucket;
    uint32_t cut = bucket / HISTOGRAM_SUB_COUNT - 1u;
    uint64_t leading = bucket % HISTOGRAM_SUB_COUNT + HISTOGRAM_SUB_COUNT;
    return (leading << cut) + ((UINT64_C(1) << cut) - 1u);
}

void histogram_record(struct histogram *histogram, uint64_t value) {
    uint32_t bucket = bucket_of(value);
    assert(bucket < HISTOGRAM_BUCKETS_COUNT);
    histogram->buckets[bucket]++;
    histogram->count++;
    if (value > histogram->value_max) histogram->value_max = value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other) {
    for (size_t i = 0; i < HISTOGRAM_BUCKETS_COUNT; i++) histogram->buckets[i] += other->buckets[i];
    histogram->count += other->count;
    if (other->value_max > histogram->value_max) histogram->value_max = other->value_max;
}

uint64_t histogram_quantile(const struct histogram *histogram, uint32_t per_mille) {
    assert(per_mille <= 1000);
    if (histogram->count == 0) return 0;
    uint64_t rank = (histogram->count * per_mille + 999u) / 1000u;
    if (rank == 0) rank = 1;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS_COUNT; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= rank) {
            uint64_t end = bucket_end(bucket);
            return end < histogram->value_max ? end : histogram->value_max;
        }
    }
    return histogram->value_max;
}
