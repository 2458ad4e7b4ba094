#include "service/store/visibility.h"

#include "service/base/failpoint.h"
#include "service/record/remains.h"
#include "service/store/store_private.h"

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)

static result is_of_system(const struct record *record, bool *ret_is) {
    struct event_fields fields;
    TRY(record_event_fields(record->event, &fields));
    *ret_is = fields.type.size > 0 && fields.type.data[0] == SYSTEM_NAME_PREFIX;
    return RESULT_OK;
}

/* At most STREAM_MAX_AGE_SECONDS_CEILING, so nothing overflows. */
static bool is_too_old(const struct stream_row *row, int64_t recorded_ns, int64_t now_ns) {
    return row->max_age_seconds > 0 && recorded_ns < now_ns - (int64_t)row->max_age_seconds * NANOSECONDS_PER_SECOND;
}

static result row_shows(const struct stream_row *row, const struct record *record, int64_t now_ns, bool *ret_shown) {
    if ((record->revision >= row->first_revision || DAYBOOK_IS_BROKEN(VISIBILITY)) &&
        !is_too_old(row, record->recorded_ns, now_ns)) {
        *ret_shown = true;
        return RESULT_OK;
    }
    return is_of_system(record, ret_shown);
}

bool store_has_streams(const struct store *store) {
    return atomic_load_explicit(&store->has_streams, memory_order_acquire);
}

bool store_reader_has_streams(const struct store_reader *reader) {
    return store_has_streams(reader->store);
}

static result shows(const struct store *store, const struct log_environment *log, MDB_txn *transaction,
                    struct bytes encoded, int64_t now_ns, bool *ret_shown) {
    struct record record;
    struct stream_row row;
    const bool removed = remains_is_removed(encoded);
    if (removed || !store_has_streams(store)) {
        *ret_shown = !removed;
        return RESULT_OK;
    }
    TRY(record_read(encoded, &record));
    const result found = stream_row_get(store, log, transaction, record.stream, &row);
    if (found.failure == FAILURE_NOT_FOUND) {
        *ret_shown = true;
        return RESULT_OK;
    }
    TRY(found);
    return row_shows(&row, &record, now_ns, ret_shown);
}

result store_reader_shows(struct store_reader *reader, struct bytes encoded, int64_t now_ns, bool *ret_shown) {
    assert(reader->has_snapshot);
    return shows(reader->store, reader->log, reader->transaction, encoded, now_ns, ret_shown);
}

result store_shows(struct store *store, struct bytes encoded, int64_t now_ns, bool *ret_shown) {
    assert(store->transaction != NULL);
    return shows(store, store_log(store), store->transaction, encoded, now_ns, ret_shown);
}
