#include "service/commit/changes.h"

#include "service/base/failpoint.h"
#include "service/commit/revisions.h"
#include "service/record/remains.h"
#include "service/store/store.h"
#include "service/store/visibility.h"

#define NANOSECONDS_PER_SECOND INT64_C(1000000000)

/* The row of a stream, or that of one that nothing was ever said of. */
static result row_get(struct apply *apply, struct bytes stream, struct stream_row *ret_row) {
    const result found = store_stream_get(apply->store, stream, ret_row);
    if (found.failure != FAILURE_NOT_FOUND) return found;
    *ret_row = (struct stream_row){.state = STREAM_ACTIVE};
    return RESULT_OK;
}

result stream_now_get(struct apply *apply, struct term term, struct bytes stream, struct stream_now *ret_now) {
    struct stream_row row;
    uint64_t revision;
    TRY(revisions_get(apply->revisions, term, stream, &revision));
    TRY(row_get(apply, stream, &row));
    *ret_now = (struct stream_now){.revision = revision,
                                   .is_tombstoned = row.state == STREAM_TOMBSTONED,
                                   .exists = revision > 0 && row.state == STREAM_ACTIVE};
    return RESULT_OK;
}

static void conflict_note(struct append_request *request, enum conflict_kind kind, uint32_t index, uint64_t actual) {
    request->conflicts[request->conflicts_count++] =
        (struct append_conflict){.kind = kind, .index = index, .actual = actual};
}

result changes_check(struct apply *apply, struct append_request *request) {
    for (uint32_t index = 0; index < request->writes_count; index++) {
        const struct append_write *write = &request->writes[index];
        struct stream_now now;
        TRY(stream_now_get(apply, write->term, write->stream, &now));
        if (now.is_tombstoned) conflict_note(request, CONFLICT_TOMBSTONE, index, now.revision);
    }
    const struct append_stream_change *change = request->change;
    if (change == NULL || request->conflicts_count > 0) return RESULT_OK;
    struct stream_now now;
    TRY(stream_now_get(apply, change->term, change->stream, &now));
    if (now.is_tombstoned) {
        conflict_note(request, CONFLICT_TOMBSTONE, 0, now.revision);
        return RESULT_OK;
    }
    /* A deleted stream may still be tombstoned, but not be deleted again. */
    const bool is_there = change->kind == STREAM_CHANGE_TOMBSTONE ? now.revision > 0 : now.exists;
    if (change->kind != STREAM_CHANGE_SETTINGS && !is_there) conflict_note(request, CONFLICT_MISSING, 0, now.revision);
    return RESULT_OK;
}

/* --- Bytes that are taken away. ------------------------------------------------------------------------------------- */

result rewrite_probe(struct apply *apply, const struct append_rewrite *rewrite) {
    for (uint32_t index = 0; index < rewrite->positions_count; index++) {
        struct bytes encoded;
        struct record record;
        const result found = store_get(apply->store, rewrite->positions[index], &encoded);
        /* None is beyond the head, and positions have no gaps. */
        if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
        TRY(found);
        TRY(record_read(encoded, &record));
    }
    return RESULT_OK;
}

/* What is to take the record's place; size 0: it stays. `ret_is_shown`: it stays, because it may be shown. */
static result remains_make(struct apply *apply, const struct append_rewrite *rewrite, struct bytes encoded,
                           int64_t now_ns, struct remains *ret_remains, bool *ret_is_shown) {
    struct record record;
    struct event_fields fields;
    TRY(record_read(encoded, &record));
    TRY(record_event_fields(record.event, &fields));
    ret_remains->size = 0;
    *ret_is_shown = false;
    const bool is_of_system = fields.type.size > 0 && fields.type.data[0] == SYSTEM_NAME_PREFIX;
    if (remains_is_removed(encoded) || is_of_system) return RESULT_OK;
    if (rewrite->kind == REWRITE_ERASE) {
        if (DAYBOOK_IS_BROKEN(ERASURE)) return RESULT_OK;
        return record.erasure.size > 0 ? RESULT_OK : remains_of_erased(&record, now_ns, ret_remains);
    }
    TRY(store_shows(apply->store, encoded, now_ns, ret_is_shown));
    if (*ret_is_shown || !bytes_equal(record.stream, rewrite->stream)) return RESULT_OK;
    return remains_of_removed(&record, ret_remains);
}

/* The bytes below a revision are gone, and so the events stay gone, whatever the stream's settings will be. */
static result removed_write(struct apply *apply, const struct append_rewrite *rewrite) {
    struct stream_row row;
    const result found = store_stream_get(apply->store, rewrite->stream, &row);
    if (found.failure == FAILURE_NOT_FOUND) return RESULT_OK;
    TRY(found);
    if (row.removed_before >= rewrite->removed_before) return RESULT_OK;
    row.removed_before = rewrite->removed_before;
    if (row.first_revision < row.removed_before) row.first_revision = row.removed_before;
    apply->is_changed = true;
    return store_stream_put(apply->store, rewrite->stream, &row);
}

result rewrite_write(struct apply *apply, struct append_rewrite *rewrite, int64_t now_ns) {
    bool any_is_shown = false;
    rewrite->rewritten_count = 0;
    rewrite->rewritten_bytes = 0;
    for (uint32_t index = 0; index < rewrite->positions_count; index++) {
        struct bytes encoded;
        struct remains remains;
        bool is_shown;
        TRY(store_get(apply->store, rewrite->positions[index], &encoded));
        TRY(remains_make(apply, rewrite, encoded, now_ns, &remains, &is_shown));
        any_is_shown = any_is_shown || is_shown;
        if (remains.size == 0) continue;
        const size_t size_before = encoded.size;
        TRY(store_rewrite(apply->store, rewrite->positions[index], bytes_of(remains.bytes, remains.size)));
        apply->is_changed = true;
        rewrite->rewritten_count++;
        /* A tiny event without tags may grow by its digest. */
        if (size_before > remains.size) rewrite->rewritten_bytes += size_before - remains.size;
    }
    if (rewrite->kind == REWRITE_ERASE) {
        apply->is_rewritten = apply->is_rewritten || rewrite->rewritten_count > 0;
        return RESULT_OK;
    }
    if (any_is_shown) return RESULT_OK;
    return removed_write(apply, rewrite);
}

/* --- Rows of streams. ----------------------------------------------------------------------------------------------- */

static uint64_t larger_of(uint64_t left, uint64_t right) {
    return left > right ? left : right;
}

/* The first revision that max_count leaves. */
static uint64_t count_first_revision(const struct stream_row *row, uint64_t revision) {
    return row->max_count > 0 && revision > row->max_count ? revision - row->max_count + 1 : 0;
}

result stream_follow_write(struct apply *apply, struct bytes stream, uint64_t revision) {
    struct stream_row row;
    const result found = store_stream_get(apply->store, stream, &row);
    if (found.failure == FAILURE_NOT_FOUND) return RESULT_OK;
    TRY(found);
    const uint64_t first_revision = larger_of(row.first_revision, count_first_revision(&row, revision));
    if (row.state == STREAM_ACTIVE && first_revision == row.first_revision) return RESULT_OK;
    row.state = STREAM_ACTIVE;
    row.first_revision = first_revision;
    return store_stream_put(apply->store, stream, &row);
}

/* The first revision that the limit of age leaves at this time. */
static result age_first_revision(struct apply *apply, const struct append_stream_change *change,
                                 const struct stream_row *row, uint64_t revision, uint64_t *ret_revision) {
    *ret_revision = row->first_revision;
    if (row->max_age_seconds == 0) return RESULT_OK;
    const int64_t oldest_ns = apply->recorded_last_ns - (int64_t)row->max_age_seconds * NANOSECONDS_PER_SECOND;
    return revisions_first_young(apply->revisions, change->term, change->stream, larger_of(row->first_revision, 1),
                                 revision, oldest_ns, ret_revision);
}

/* What the settings before have hidden stays hidden. */
static result settings_take(struct apply *apply, struct append_stream_change *change, uint64_t revision,
                            struct stream_row *row) {
    TRY(age_first_revision(apply, change, row, revision, &row->first_revision));
    if (change->truncate_before > revision + 1) change->truncate_before = revision + 1;
    row->max_age_seconds = change->max_age_seconds;
    row->max_count = change->max_count;
    row->truncate_before = change->truncate_before;
    row->metadata = change->metadata;
    row->first_revision =
        larger_of(larger_of(row->first_revision, row->truncate_before), count_first_revision(row, revision));
    return RESULT_OK;
}

result change_write(struct apply *apply, struct append_stream_change *change) {
    uint64_t revision;
    struct stream_row row;
    TRY(revisions_get(apply->revisions, change->term, change->stream, &revision));
    TRY(row_get(apply, change->stream, &row));
    switch (change->kind) {
    case STREAM_CHANGE_SETTINGS:
        TRY(settings_take(apply, change, revision, &row));
        break;
    case STREAM_CHANGE_DELETE:
    case STREAM_CHANGE_TOMBSTONE:
        /* The last revision is that of the event which tells of it. */
        row.state = change->kind == STREAM_CHANGE_DELETE ? STREAM_DELETED : STREAM_TOMBSTONED;
        row.first_revision = revision + 1;
        break;
    }
    apply->is_changed = true;
    return store_stream_put(apply->store, change->stream, &row);
}
