#include "service/store/streams_by_change.h"

#include <assert.h>
#include <stdlib.h>

#include "service/record/record.h"

/* Entries that are looked at when two names share a term; more of them would only list a stream again. */
#define HITS_COUNT_MAX 16

/* The streams that the walk has met: they have a newer event than where it is. */
struct seen {
    uint32_t slots_count; /* a power of two, more than twice the events that are looked at */
    struct bytes *slots;
};

struct walk {
    const struct streams_by_change_options *options;
    struct seen seen;
};

static result seen_new(uint32_t events_count, struct seen *ret_seen) {
    struct seen seen = {.slots_count = 16};
    while (seen.slots_count <= 2 * events_count) seen.slots_count *= 2;
    seen.slots = calloc(seen.slots_count, sizeof *seen.slots);
    if (seen.slots == NULL) return failure_result(FAILURE_MEMORY);
    *ret_seen = seen;
    return RESULT_OK;
}

/* Whether the stream had been met; it has been now. */
static bool seen_add(struct seen *seen, struct term term, struct bytes stream) {
    uint32_t at;
    memcpy(&at, term.bytes, sizeof at);
    for (at &= seen->slots_count - 1; seen->slots[at].size > 0; at = (at + 1) & (seen->slots_count - 1)) {
        if (bytes_equal(seen->slots[at], stream)) return true;
    }
    seen->slots[at] = stream;
    return false;
}

static result record_at(struct store_reader *reader, uint64_t position, struct record *ret_record) {
    struct bytes encoded;
    const result found = store_reader_get(reader, position, &encoded);
    /* The log has no gaps, and the index only has what is committed. */
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    return record_read(encoded, ret_record);
}

/* Whether the next revision of a stream is at or before the head. The reader's cursor comes back to the walk by a search. */
static result has_next(const struct streams_by_change_options *options, struct term term, const struct record *record,
                       bool *ret_has_next) {
    struct index_entry hits[HITS_COUNT_MAX];
    uint32_t count;
    TRY(index_range(options->index, term, record->revision + 1, INDEX_FORWARD, HITS_COUNT_MAX, hits, &count));
    *ret_has_next = false;
    for (uint32_t index = 0; index < count && !*ret_has_next; index++) {
        if (hits[index].number != record->revision + 1 || hits[index].position > options->head) continue;
        struct record hit;
        TRY(record_at(options->reader, hits[index].position, &hit));
        *ret_has_next = bytes_equal(hit.stream, record->stream);
    }
    return RESULT_OK;
}

/* Whether the record is its stream's newest up to the head. */
static result is_newest(struct walk *walk, const struct record *record, bool *ret_is_newest) {
    const struct streams_by_change_options *options = walk->options;
    const struct term term = term_of(TERM_STREAM, record->stream);
    *ret_is_newest = false;
    if (seen_add(&walk->seen, term, record->stream)) return RESULT_OK;
    struct index_entry last;
    const result found = index_last(options->index, term, &last);
    /* Entries come newest first: if it is at the very position, the stream has none after it, whoever shares the term. */
    if (!failed(found) && last.position == record->position) {
        *ret_is_newest = true;
        return RESULT_OK;
    }
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    bool has_newer;
    TRY(has_next(options, term, record, &has_newer));
    *ret_is_newest = !has_newer;
    return RESULT_OK;
}

static result walk_down(struct walk *walk, struct bytes *ret_streams, uint32_t *ret_count, uint64_t *ret_next) {
    const struct streams_by_change_options *options = walk->options;
    uint64_t position = options->position;
    uint32_t count = 0;
    for (uint32_t looked = 0; position > 0 && looked < options->events_count_max; looked++, position--) {
        if (count == options->streams_count_max) break;
        struct record record;
        TRY(record_at(options->reader, position, &record));
        if (!bytes_begin_with(record.stream, options->prefix)) continue;
        bool is_wanted;
        TRY(is_newest(walk, &record, &is_wanted));
        if (is_wanted) ret_streams[count++] = record.stream;
    }
    *ret_count = count;
    *ret_next = position;
    return RESULT_OK;
}

result streams_by_change_walk(const struct streams_by_change_options *options, struct bytes *ret_streams,
                              uint32_t *ret_count, uint64_t *ret_next) {
    assert(options->position <= options->head && options->streams_count_max > 0);
    struct walk walk = {.options = options};
    TRY(seen_new(options->events_count_max, &walk.seen));
    const result outcome = walk_down(&walk, ret_streams, ret_count, ret_next);
    free(walk.seen.slots);
    return outcome;
}
