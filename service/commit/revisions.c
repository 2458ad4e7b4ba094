#include "service/commit/revisions.h"

#include <stdlib.h>

#include "service/commit/pending.h"
#include "service/commit/revision_cache.h"
#include "service/record/record.h"
#include "service/store/index.h"
#include "service/store/store.h"

/* Hits of a term that are fetched at once. More than one is looked at only when two names share a term. */
#define HITS_COUNT_MAX 16

struct revisions {
    struct index *index;
    struct store_reader *reader;
    struct revision_cache *cache;
    struct pending pending;
};

result revisions_new(struct store *store, struct index *index, struct revisions **ret_revisions) {
    struct revisions *revisions = calloc(1, sizeof *revisions);
    if (revisions == NULL) return failure_result(FAILURE_MEMORY);
    revisions->index = index;
    result outcome = revision_cache_new(&revisions->cache);
    if (!failed(outcome)) outcome = store_reader_open(store, &revisions->reader);
    if (failed(outcome)) {
        revisions_free(revisions);
        return outcome;
    }
    *ret_revisions = revisions;
    return RESULT_OK;
}

struct revisions *revisions_free(struct revisions *revisions) {
    if (revisions == NULL) return NULL;
    store_reader_close(revisions->reader);
    revision_cache_free(revisions->cache);
    free(revisions);
    return NULL;
}

/* The record that a hit is about. */
static result record_of_hit(struct revisions *revisions, const struct index_entry *hit, struct record *ret_record) {
    struct bytes encoded;
    const result found = store_reader_get(revisions->reader, hit->position, &encoded);
    /* The index only holds what is committed: a hit without its record is damage. */
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    return record_read(encoded, ret_record);
}

/* Looks through the hits of a term, newest first, for one whose record is of the stream. */
static result last_of_hits(struct revisions *revisions, const struct index_entry *hits, uint32_t count,
                           struct bytes stream, uint64_t *ret_revision) {
    for (uint32_t index = 0; index < count; index++) {
        struct record record;
        TRY(record_of_hit(revisions, &hits[index], &record));
        if (!bytes_equal(record.stream, stream)) continue;
        *ret_revision = record.revision;
        return RESULT_OK;
    }
    return failure_result(FAILURE_NOT_FOUND);
}

static result last_in_index(struct revisions *revisions, struct term term, struct bytes stream,
                            uint64_t *ret_revision) {
    struct index_entry hits[HITS_COUNT_MAX];
    uint32_t count = 1; /* The newest alone first: it is the one unless two names share a term. */
    const result newest = index_last(revisions->index, term, &hits[0]);
    if (newest.failure == FAILURE_NOT_FOUND) {
        *ret_revision = 0;
        return RESULT_OK;
    }
    TRY(newest);
    for (;;) {
        const result found = last_of_hits(revisions, hits, count, stream, ret_revision);
        if (found.failure != FAILURE_NOT_FOUND) return found;
        const uint64_t number = hits[count - 1].number;
        if (number == 0) break;
        TRY(index_range(revisions->index, term, number - 1, INDEX_BACKWARD, HITS_COUNT_MAX, hits, &count));
        if (count == 0) break;
    }
    *ret_revision = 0;
    return RESULT_OK;
}

static result last_committed(struct revisions *revisions, struct term term, struct bytes stream,
                             uint64_t *ret_revision) {
    TRY(store_reader_begin(revisions->reader, NULL));
    const result outcome = last_in_index(revisions, term, stream, ret_revision);
    store_reader_end(revisions->reader);
    return outcome;
}

void revisions_prefetch(const struct revisions *revisions, struct term term) {
    revision_cache_prefetch(revisions->cache, term);
}

result revisions_get(struct revisions *revisions, struct term term, struct bytes stream, uint64_t *ret_revision) {
    if (pending_get(&revisions->pending, term, stream, ret_revision)) return RESULT_OK;
    if (!failed(revision_cache_get(revisions->cache, term, stream, ret_revision))) return RESULT_OK;
    uint64_t revision;
    TRY(last_committed(revisions, term, stream, &revision));
    revision_cache_put(revisions->cache, term, stream, revision);
    *ret_revision = revision;
    return RESULT_OK;
}

/* Whether the stream's first event from this revision on is young; also when it is not committed yet. */
static result is_young(struct revisions *revisions, struct term term, struct bytes stream, uint64_t revision,
                       int64_t oldest_ns, bool *ret_is_young) {
    for (;;) {
        struct index_entry hit;
        uint32_t count;
        struct record record;
        TRY(index_range(revisions->index, term, revision, INDEX_FORWARD, 1, &hit, &count));
        *ret_is_young = true;
        if (count == 0) return RESULT_OK;
        TRY(record_of_hit(revisions, &hit, &record));
        *ret_is_young = record.recorded_ns >= oldest_ns;
        if (bytes_equal(record.stream, stream)) return RESULT_OK;
        revision = hit.number + 1;
    }
}

static result first_young(struct revisions *revisions, struct term term, struct bytes stream, uint64_t first,
                          uint64_t last, int64_t oldest_ns, uint64_t *ret_revision) {
    uint64_t low = first;
    uint64_t high = last + 1;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        bool middle_is_young;
        TRY(is_young(revisions, term, stream, middle, oldest_ns, &middle_is_young));
        if (middle_is_young) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_revision = low;
    return RESULT_OK;
}

result revisions_first_young(struct revisions *revisions, struct term term, struct bytes stream, uint64_t first,
                             uint64_t last, int64_t oldest_ns, uint64_t *ret_revision) {
    TRY(store_reader_begin(revisions->reader, NULL));
    const result outcome = first_young(revisions, term, stream, first, last, oldest_ns, ret_revision);
    store_reader_end(revisions->reader);
    return outcome;
}

void revisions_set(struct revisions *revisions, struct term term, struct bytes stream, uint64_t revision) {
    pending_set(&revisions->pending, term, stream, revision);
}

void revisions_commit(struct revisions *revisions) {
    for (uint32_t index = 0; index < revisions->pending.count; index++) {
        const struct pending_name *stream = &revisions->pending.names[index];
        revision_cache_put(revisions->cache, stream->term, stream->name, stream->number);
    }
    pending_clear(&revisions->pending);
}

void revisions_abort(struct revisions *revisions) {
    pending_clear(&revisions->pending);
}
