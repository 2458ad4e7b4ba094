/* filter.h: which events a reader wants, compiled once, matched against stored bytes.
 *
 * Meaning: daybook.v1.Filter. Clauses are OR-ed; the set fields of a clause are AND-ed; types, streams and
 * prefixes are any of, tags all of.
 * Ownership: a filter copies what it is made of. Threads: immutable once made; any. */
#ifndef SERVICE_RECORD_FILTER_H
#define SERVICE_RECORD_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"
#include "service/record/record.h"

struct filter;

/* Names of one field of a clause; count 0: the field is not set. */
struct filter_names {
    const struct bytes *names;
    uint32_t count;
};

struct filter_clause {
    struct filter_names types;
    struct filter_names tags;
    struct filter_names streams;
    struct filter_names stream_prefixes;
    struct filter_names type_prefixes;
};

/* FAILURE_MEMORY. The API edge has checked counts and names; a clause without fields is asserted against. */
MUST_USE result filter_new(const struct filter_clause *clauses, uint32_t count, struct filter **ret_filter);
struct filter *filter_free(struct filter *filter);

/* The memory that it takes; none for NULL. */
size_t filter_size_bytes(const struct filter *filter);

/* What it is made of; the names are valid as long as the filter is. */
uint32_t filter_clauses_count(const struct filter *filter);
struct filter_clause filter_clause_at(const struct filter *filter, uint32_t index);

/* Whether an encoded record (without checksum) matches. FAILURE_CORRUPT when it is no record. */
MUST_USE result filter_match(const struct filter *filter, struct bytes record, bool *ret_matches);

#endif
