#include "service/retention/stream_scan.h"

#include "service/record/remains.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/visibility.h"

void stream_scan_init(struct stream_scan *scan, struct bytes stream, const struct stream_row *row) {
    memcpy(scan->stream, stream.data, stream.size);
    scan->stream_size = stream.size;
    scan->next_revision = row->removed_before > 1 ? row->removed_before : 1;
    scan->positions_count = 0;
}

/* What one event is to the scan. */
enum find { FIND_SHOWN, FIND_GONE, FIND_TO_REMOVE };

/* A marker of a deletion is shown to those who follow the store, and is not in the way. */
static result classify(const struct stream_scan *scan, struct store_reader *reader, uint64_t position, int64_t now_ns,
                       enum find *ret_find) {
    struct bytes encoded;
    struct record record;
    struct event_fields fields;
    bool is_shown;
    const result found = store_reader_get(reader, position, &encoded);
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    TRY(record_read(encoded, &record));
    TRY(record_event_fields(record.event, &fields));
    TRY(store_reader_shows(reader, encoded, now_ns, &is_shown));
    const bool is_other = !bytes_equal(record.stream, bytes_of(scan->stream, scan->stream_size));
    const bool is_marker = fields.type.size > 0 && fields.type.data[0] == SYSTEM_NAME_PREFIX;
    if (is_other || is_marker || remains_is_removed(encoded)) {
        *ret_find = FIND_GONE;
    } else {
        *ret_find = is_shown ? FIND_SHOWN : FIND_TO_REMOVE;
    }
    return RESULT_OK;
}

result stream_scan_step(struct stream_scan *scan, struct store_reader *reader, struct index *index, int64_t now_ns,
                        bool *ret_is_at_end) {
    struct index_entry hits[RETENTION_STEP_EVENTS_COUNT_MAX];
    uint32_t count;
    const struct term term = term_of(TERM_STREAM, bytes_of(scan->stream, scan->stream_size));
    TRY(index_range(index, term, scan->next_revision, INDEX_FORWARD, RETENTION_STEP_EVENTS_COUNT_MAX, hits, &count));
    scan->positions_count = 0;
    for (uint32_t hit = 0; hit < count; hit++) {
        enum find find;
        TRY(classify(scan, reader, hits[hit].position, now_ns, &find));
        if (find == FIND_SHOWN) {
            *ret_is_at_end = true;
            return RESULT_OK;
        }
        if (find == FIND_TO_REMOVE) scan->positions[scan->positions_count++] = hits[hit].position;
        scan->next_revision = hits[hit].number + 1;
    }
    *ret_is_at_end = count < RETENTION_STEP_EVENTS_COUNT_MAX;
    return RESULT_OK;
}
