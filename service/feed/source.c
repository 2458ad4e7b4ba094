#include "service/feed/source.h"

#include "service/base/clock.h"
#include "service/record/remains.h"
#include "service/store/store.h"
#include "service/store/visibility.h"

void source_begin(struct source *source, struct tail *tail, struct store_reader *reader) {
    *source = (struct source){.tail = tail, .reader = reader, .now_ns = clock_wall_ns()};
}

static bool chunk_holds(const struct chunk *chunk, uint64_t position) {
    return chunk != NULL && position >= chunk_position_first(chunk) && position <= chunk_position_last(chunk);
}

/* Makes the chunk of a position the current one; the one before is kept for the view that was taken from it. A step that
 * has come to the disk goes on there as far as its snapshot reaches: to look into the tail for every event of a long
 * history would cost as much as to check its sum. */
static bool chunk_move(struct source *source, uint64_t position) {
    if (chunk_holds(source->chunk, position)) return true;
    if (source->reads_log && position <= source->snapshot_last) return false;
    struct chunk *chunk = tail_find(source->tail, position);
    if (chunk == NULL) return false;
    chunk_unref(source->chunk_before);
    source->chunk_before = source->chunk;
    source->chunk = chunk;
    return true;
}

static result snapshot_take(struct source *source) {
    if (source->snapshot_taken) return RESULT_OK;
    TRY(store_reader_begin(source->reader, &source->snapshot_last));
    source->snapshot_taken = true;
    return RESULT_OK;
}

static result log_get(struct source *source, uint64_t position, struct bytes *ret_record) {
    TRY(snapshot_take(source));
    source->reads_log = true;
    const result found = store_reader_get(source->reader, position, ret_record);
    /* Positions have no gaps up to the head: one that is missing is damage. */
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    return found;
}

result source_get(struct source *source, uint64_t position, struct bytes *ret_record) {
    if (!chunk_move(source, position)) {
        TRY(log_get(source, position, ret_record));
        source->log_records_count++;
        return RESULT_OK;
    }
    *ret_record = chunk_record(source->chunk, (uint32_t)(position - chunk_position_first(source->chunk)));
    source->tail_records_count++;
    return RESULT_OK;
}

result source_shows(struct source *source, struct bytes record, bool *ret_shown) {
    if (!store_reader_has_streams(source->reader)) {
        *ret_shown = !remains_is_removed(record);
        return RESULT_OK;
    }
    TRY(snapshot_take(source));
    return store_reader_shows(source->reader, record, source->now_ns, ret_shown);
}

result source_first_revision(struct source *source, struct bytes stream, uint64_t *ret_revision) {
    struct stream_row row = {.state = STREAM_ACTIVE};
    if (store_reader_has_streams(source->reader)) {
        TRY(snapshot_take(source));
        const result found = store_reader_stream(source->reader, stream, &row);
        if (found.failure != FAILURE_NOT_FOUND) TRY(found);
    }
    if (row.state != STREAM_ACTIVE) return failure_result(FAILURE_NOT_FOUND);
    *ret_revision = row.first_revision > 1 ? row.first_revision : 1;
    return RESULT_OK;
}

void source_end(struct source *source) {
    if (source->snapshot_taken) store_reader_end(source->reader);
    chunk_unref(source->chunk);
    chunk_unref(source->chunk_before);
    *source = (struct source){.tail = source->tail, .reader = source->reader};
}
