/* How a stream is described: what it has, what of it can be read, what was set. */
#include "google/protobuf/timestamp.upb.h"
#include "service/api/stream_metadata.h"
#include "service/api/streams.h"
#include "service/record/record.h"
#include "service/store/index.h"

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)

static bool time_fill(google_protobuf_Timestamp *time, int64_t recorded_ns) {
    if (time == NULL) return false;
    google_protobuf_Timestamp_set_seconds(time, recorded_ns / NANOSECONDS_PER_SECOND);
    google_protobuf_Timestamp_set_nanos(time, (int32_t)(recorded_ns % NANOSECONDS_PER_SECOND));
    return true;
}

/* The record of the stream at a position that the catalogue or the index names. */
static result record_of(const struct stream_source *source, uint64_t position, struct bytes name,
                        struct record *ret_record) {
    struct bytes encoded;
    const result found = store_reader_get(source->reader, position, &encoded);
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    struct record record;
    TRY(record_read(encoded, &record));
    if (!bytes_equal(record.stream, name)) return failure_result(FAILURE_CORRUPT);
    *ret_record = record;
    return RESULT_OK;
}

/* The record of the stream's first event with this revision or a later one; FAILURE_NOT_FOUND. Another stream whose name has the
 * same term is passed over. */
static result record_from(const struct stream_source *source, uint64_t revision, struct bytes name,
                          struct record *ret_record) {
    for (;;) {
        struct index_entry hit;
        uint32_t count;
        TRY(index_range(source->index, term_of(TERM_STREAM, name), revision, INDEX_FORWARD, 1, &hit, &count));
        if (count == 0) return failure_result(FAILURE_NOT_FOUND);
        const result found = record_of(source, hit.position, name, ret_record);
        if (found.failure != FAILURE_CORRUPT) return found;
        struct bytes encoded;
        TRY(store_reader_get(source->reader, hit.position, &encoded));
        revision = hit.number + 1;
    }
}

/* The first record from `revision` on that is not too old: by bisection, because times ascend with revisions. */
static result record_young(const struct stream_source *source, const struct stream_row *row, uint64_t revision,
                           const struct record *last, struct record *ret_record) {
    const int64_t oldest_ns = source->now_ns - (int64_t)row->max_age_seconds * NANOSECONDS_PER_SECOND;
    if (last->recorded_ns < oldest_ns) return failure_result(FAILURE_NOT_FOUND);
    uint64_t low = revision;
    uint64_t high = last->revision;
    while (low < high) {
        struct record record;
        const uint64_t middle = low + (high - low) / 2;
        TRY(record_from(source, middle, last->stream, &record));
        if (record.recorded_ns < oldest_ns) {
            low = record.revision + 1;
        } else {
            high = middle;
        }
    }
    return record_from(source, low, last->stream, ret_record);
}

/* The first record that can be read. FAILURE_NOT_FOUND: none can. */
static result record_first(const struct stream_source *source, const struct stream_row *row, const struct record *last,
                           struct record *ret_record) {
    const uint64_t revision = row->first_revision > 1 ? row->first_revision : 1;
    if (row->state != STREAM_ACTIVE || revision > last->revision) return failure_result(FAILURE_NOT_FOUND);
    if (row->max_age_seconds > 0) return record_young(source, row, revision, last, ret_record);
    return record_from(source, revision, last->stream, ret_record);
}

static result settings_fill(const struct stream_row *row, daybook_v1_Stream *stream, upb_Arena *arena) {
    daybook_v1_StreamSettings *settings = daybook_v1_Stream_mutable_settings(stream, arena);
    if (settings == NULL) return failure_result(FAILURE_MEMORY);
    TRY(stream_metadata_decode(row->metadata, settings, arena));
    daybook_v1_StreamSettings_set_max_age_seconds(settings, row->max_age_seconds);
    daybook_v1_StreamSettings_set_max_count(settings, row->max_count);
    daybook_v1_StreamSettings_set_truncate_before(settings, row->truncate_before);
    return RESULT_OK;
}

static daybook_v1_StreamState state_of(enum stream_state state) {
    switch (state) {
    case STREAM_DELETED:
        return daybook_v1_STREAM_STATE_DELETED;
    case STREAM_TOMBSTONED:
        return daybook_v1_STREAM_STATE_TOMBSTONED;
    default:
        return daybook_v1_STREAM_STATE_ACTIVE;
    }
}

static result events_fill(const struct stream_source *source, const struct stream_row *row, struct bytes name,
                          const struct name_figures *figures, daybook_v1_Stream *stream, upb_Arena *arena) {
    struct record first;
    struct record last;
    TRY(record_of(source, figures->position_last, name, &last));
    daybook_v1_Stream_set_last_revision(stream, last.revision);
    daybook_v1_Stream_set_size_bytes(stream, figures->bytes_count);
    if (!time_fill(daybook_v1_Stream_mutable_last_recorded_at(stream, arena), last.recorded_ns)) {
        return failure_result(FAILURE_MEMORY);
    }
    const result found = record_first(source, row, &last, &first);
    if (found.failure == FAILURE_NOT_FOUND) return RESULT_OK;
    TRY(found);
    daybook_v1_Stream_set_first_revision(stream, first.revision);
    daybook_v1_Stream_set_events_count(stream, last.revision - first.revision + 1);
    const bool filled = time_fill(daybook_v1_Stream_mutable_first_recorded_at(stream, arena), first.recorded_ns);
    return filled ? RESULT_OK : failure_result(FAILURE_MEMORY);
}

result stream_fill(const struct stream_source *source, upb_StringView name, const struct name_figures *figures,
                   daybook_v1_Stream *stream, upb_Arena *arena) {
    const struct bytes bytes = bytes_of(name.data, name.size);
    struct stream_row row = {.state = STREAM_ACTIVE};
    const result found = store_reader_stream(source->reader, bytes, &row);
    if (found.failure == FAILURE_NOT_FOUND && figures->events_count == 0) return found;
    if (found.failure != FAILURE_NOT_FOUND) {
        TRY(found);
        TRY(settings_fill(&row, stream, arena));
    }
    daybook_v1_Stream_set_name(stream, name);
    daybook_v1_Stream_set_state(stream, (int32_t)state_of(row.state));
    return figures->events_count == 0 ? RESULT_OK : events_fill(source, &row, bytes, figures, stream, arena);
}
