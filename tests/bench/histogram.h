/* histogram.h: latencies in log-linear buckets: exact below 64, at most 1/32 off above, whatever the range.
 *
 * Ownership: plain data, about 15 KiB; the caller owns it. Threads: one thread at a time; each worker fills its own and
 * they are merged at the end. Errors: none; every uint64_t has a bucket. */
#ifndef DAYBOOK_TESTS_BENCH_HISTOGRAM_H
#define DAYBOOK_TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

/* Each power of two is cut into 32 buckets of equal width. */
#define HISTOGRAM_SUB_BITS      5u
#define HISTOGRAM_SUB_COUNT     (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS_COUNT ((64u - HISTOGRAM_SUB_BITS + 1u) * HISTOGRAM_SUB_COUNT)

struct histogram {
    uint64_t count;
    uint64_t value_max;
    uint64_t buckets[HISTOGRAM_BUCKETS_COUNT];
};

/* Empties the histogram. */
void histogram_init(struct histogram *histogram);

/* Adds a value. */
void histogram_record(struct histogram *histogram, uint64_t value);

/* Adds all values of `other`. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The value that `per_mille` of 1,000 values do not exceed (500: the median, 999: p99.9), as the upper end of its bucket
 * but never more than the largest value. 0 when the histogram is empty. */
uint64_t histogram_quantile(const struct histogram *histogram, uint32_t per_mille);

#endif
