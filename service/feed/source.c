#include "service/feed/source.h"

#include "service/store/store.h"

void source_begin(struct source *source, struct tail *tail, struct store_reader *reader) {
    *source = (struct source){.tail = tail, .reader = reader};
}

static bool chunk_holds(const struct chunk *chunk, uint64_t position) {
    return chunk != NULL && position >= chunk_position_first(chunk) && position <= chunk_position_last(chunk);
}

/* Makes the chunk of a position the current one; the one before is kept for the view that was taken from it. A step that
 * has come to the disk goes on there as far as its snapshot reaches: to look into the tail for every event of a long
 * history would cost as much as to check its sum. */
static bool chunk_move(struct source *source, uint64_t position) {
    if (chunk_holds(source->chunk, position)) return true;
    if (source->snapshot_taken && position <= source->snapshot_last) return false;
    struct chunk *chunk = tail_find(source->tail, position);
    if (chunk == NULL) return false;
    chunk_unref(source->chunk_before);
    source->chunk_before = source->chunk;
    source->chunk = chunk;
    return true;
}

static result log_get(struct source *source, uint64_t position, struct bytes *ret_record) {
    if (!source->snapshot_taken) {
        TRY(store_reader_begin(source->reader, &source->snapshot_last));
        source->snapshot_taken = true;
    }
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

void source_end(struct source *source) {
    if (source->snapshot_taken) store_reader_end(source->reader);
    chunk_unref(source->chunk);
    chunk_unref(source->chunk_before);
    *source = (struct source){.tail = source->tail, .reader = source->reader};
}
