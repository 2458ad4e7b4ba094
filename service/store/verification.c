#include "service/store/verification.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/base/utf8.h"
#include "service/store/index_verification.h"
#include "service/store/log_check.h"
#include "service/store/store_private.h"

/* One snapshot reads about so much. */
#define STEP_EVENTS_COUNT_MAX 16384
#define STEP_ROWS_COUNT_MAX   16384
#define STEP_BYTES_MAX        MIB(8)
/* More positions in a row that are missing are told in one line. */
#define MISSING_COUNT_MAX 64

enum stage { STAGE_WHOLE, STAGE_EVENTS, STAGE_STREAMS, STAGE_CHECKPOINTS, STAGE_INDEX, STAGE_DONE };

struct verification {
    struct store *store;
    struct store_reader *reader;
    struct log_check *check;
    struct index *index;                         /* NULL: it is not looked at */
    struct index_verification *index_comparison; /* in its stage */
    verification_found *found;
    void *context;
    _Atomic uint64_t *reading;
    enum stage stage;
    uint64_t position; /* checked up to here */
    size_t name_bytes; /* of the row that was checked last; 0: none */
    uint8_t name[NAME_BYTES_MAX];
    atomic_uint_fast64_t events_checked_count;
    atomic_uint_fast64_t events_count;
    atomic_uint_fast64_t found_count;
};

/* A damaged name may be anything. */
static void text_clean(char *text) {
    const bool is_text = utf8_is_valid(bytes_of_text(text));
    for (char *at = text; *at != '\0'; at++) {
        const uint8_t byte = (uint8_t)*at;
        if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_text)) *at = '?';
    }
}

static void tell(struct verification *verification, uint64_t position, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(struct verification *verification, uint64_t position, const char *format, ...) {
    char text[PROBLEM_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    text_clean(text);
    atomic_fetch_add(&verification->found_count, 1);
    verification->found(verification->context, position, text);
}

static void position_tell(struct verification *verification, uint64_t position, const char *what) {
    tell(verification, position, "the event at position %" PRIu64 " %s", position, what);
}

result verification_begin(const struct verification_options *options, struct verification **ret_verification) {
    struct store *store = options->store;
    if (atomic_exchange(&store->has_verification, true)) return failure_result(FAILURE_BUSY);
    struct verification *verification = calloc(1, sizeof *verification);
    if (verification == NULL) {
        atomic_store(&store->has_verification, false);
        return failure_result(FAILURE_MEMORY);
    }
    verification->store = store;
    verification->index = options->index;
    verification->found = options->found;
    verification->context = options->context;
    verification->reading = options->reading;
    verification->position = options->position_after;
    uint64_t head = 0;
    result outcome = log_check_new(&verification->check);
    if (!failed(outcome) && verification->position > 0) log_check_skip(verification->check);
    if (!failed(outcome)) outcome = store_reader_open(store, &verification->reader);
    if (!failed(outcome)) outcome = store_reader_begin(verification->reader, &head);
    if (failed(outcome)) {
        verification_end(verification);
        return outcome;
    }
    store_reader_end(verification->reader);
    atomic_store(&verification->events_count, head);
    *ret_verification = verification;
    return RESULT_OK;
}

struct verification *verification_end(struct verification *verification) {
    if (verification == NULL) return NULL;
    index_verification_end(verification->index_comparison);
    store_reader_close(verification->reader);
    log_check_free(verification->check);
    atomic_store(&verification->store->has_verification, false);
    free(verification);
    return NULL;
}

struct verification_progress verification_progress(const struct verification *verification) {
    return (struct verification_progress){.events_checked_count = atomic_load(&verification->events_checked_count),
                                          .events_count = atomic_load(&verification->events_count),
                                          .found_count = atomic_load(&verification->found_count)};
}

/* --- The table as a whole. ---------------------------------------------------------------------------------------------- */

static result whole_check(struct verification *verification, uint64_t position_last) {
    const struct store_reader *reader = verification->reader;
    char id[UUID_TEXT_BYTES + 1];
    struct problem problem;
    MDB_stat figures;
    if (failed(log_identify(verification->store, reader->transaction, id, &problem))) {
        tell(verification, 0, "%s", problem.text);
    }
    const int code = mdb_stat(reader->transaction, reader->log->tables.handles[TABLE_EVENTS], &figures);
    TRY(environment_result(code, "count the events"));
    if (figures.ms_entries != position_last) {
        tell(verification, 0, "the log has %zu events, but its last position is %" PRIu64, figures.ms_entries,
             position_last);
    }
    verification->stage = STAGE_EVENTS;
    return RESULT_OK;
}

/* --- Events. ------------------------------------------------------------------------------------------------------------ */

/* The first position at or after one that is there; behind the end when none is. A table that cannot be searched says nothing. */
static uint64_t position_next(const struct store_reader *reader, uint64_t position, uint64_t end) {
    MDB_cursor *cursor;
    uint64_t found = position;
    MDB_val key = {.mv_size = sizeof found, .mv_data = &found};
    MDB_val value;
    if (mdb_cursor_open(reader->transaction, reader->log->tables.handles[TABLE_EVENTS], &cursor) != MDB_SUCCESS) {
        return position;
    }
    const int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code == MDB_SUCCESS && key.mv_size == sizeof found) memcpy(&found, key.mv_data, sizeof found);
    mdb_cursor_close(cursor);
    if (code == MDB_NOTFOUND) return end + 1;
    return found < position ? position : found;
}

/* Goes over a gap; `end` is the last position that should be there. */
static void missing_tell(struct verification *verification, uint64_t position, uint64_t end) {
    const uint64_t next = position_next(verification->reader, position, end);
    const uint64_t last = next <= position ? position : next > end ? end : next - 1;
    if (last - position >= MISSING_COUNT_MAX) {
        tell(verification, position, "the events at positions %" PRIu64 " to %" PRIu64 " are missing", position, last);
        verification->position = last;
        return;
    }
    position_tell(verification, position, "is missing");
    verification->position = position;
}

static result event_check(struct verification *verification, uint64_t position, uint64_t end, size_t *ret_bytes) {
    struct bytes record;
    const result found = store_reader_get(verification->reader, position, &record);
    if (found.failure == FAILURE_NOT_FOUND) {
        log_check_skip(verification->check);
        missing_tell(verification, position, end);
        return RESULT_OK;
    }
    verification->position = position;
    if (found.failure == FAILURE_CORRUPT) {
        log_check_skip(verification->check);
        position_tell(verification, position, "is damaged (its bytes are not those that were stored)");
        return RESULT_OK;
    }
    TRY(found);
    const char *wrong = log_check_record(verification->check, position, record);
    if (wrong != NULL) position_tell(verification, position, wrong);
    *ret_bytes = record.size;
    return RESULT_OK;
}

static result events_check(struct verification *verification) {
    const uint64_t end = atomic_load(&verification->events_count);
    uint64_t bytes = 0;
    for (uint32_t count = 0; count < STEP_EVENTS_COUNT_MAX && bytes < STEP_BYTES_MAX; count++) {
        if (verification->position >= end) {
            verification->stage = STAGE_STREAMS;
            break;
        }
        size_t event_bytes = 0;
        if (verification->reading != NULL) atomic_store(verification->reading, verification->position + 1);
        const uint64_t found_before = atomic_load(&verification->found_count);
        TRY(event_check(verification, verification->position + 1, end, &event_bytes));
        bytes += event_bytes;
        /* LMDB refuses everything in a snapshot in which it has met a damaged page: the next step has one of its own. */
        if (atomic_load(&verification->found_count) > found_before) break;
    }
    atomic_store(&verification->events_checked_count, verification->position);
    return RESULT_OK;
}

/* --- Rows. -------------------------------------------------------------------------------------------------------------- */

static void row_check(struct verification *verification, const MDB_val *key, const MDB_val *value, uint64_t head) {
    struct stream_row row;
    struct checkpoint checkpoint;
    const bool is_stream = verification->stage == STAGE_STREAMS;
    const char *kind = is_stream ? "the row of stream" : "the checkpoint of consumer";
    const int name_bytes = key->mv_size > NAME_BYTES_MAX ? NAME_BYTES_MAX : (int)key->mv_size;
    const result read = is_stream ? stream_row_read(key, value, &row) : checkpoint_read(key, value, &checkpoint);
    if (failed(read)) {
        tell(verification, 0, "%s \"%.*s\" is damaged", kind, name_bytes, (const char *)key->mv_data);
    } else if (!is_stream && checkpoint.position > head) {
        tell(verification, 0, "%s \"%.*s\" is position %" PRIu64 ", beyond the head %" PRIu64, kind, name_bytes,
             (const char *)key->mv_data, checkpoint.position, head);
    }
}

/* `ret_is_done`: there was none left. */
static result rows_walk(struct verification *verification, MDB_cursor *cursor, uint64_t head, bool *ret_is_done) {
    const struct bytes name = bytes_of(verification->name, verification->name_bytes);
    MDB_val key = {.mv_size = name.size, .mv_data = verification->name};
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, name.size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    const bool is_same = code == MDB_SUCCESS && name.size > 0 && bytes_equal(bytes_of(key.mv_data, key.mv_size), name);
    if (is_same) code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    for (uint32_t count = 0; code == MDB_SUCCESS && count < STEP_ROWS_COUNT_MAX; count++) {
        row_check(verification, &key, &value, head);
        if (key.mv_size == 0 ||
            key.mv_size > NAME_BYTES_MAX) { /* told already; nothing behind it is found by its name */
            code = MDB_CORRUPTED;
            break;
        }
        verification->name_bytes = key.mv_size;
        memcpy(verification->name, key.mv_data, key.mv_size);
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    *ret_is_done = code != MDB_SUCCESS;
    if (code == MDB_SUCCESS || code == MDB_NOTFOUND) return RESULT_OK;
    return environment_result(code, "list rows");
}

static result rows_check(struct verification *verification, enum table table, uint64_t head) {
    const struct store_reader *reader = verification->reader;
    MDB_cursor *cursor;
    bool is_done = false;
    if (verification->reading != NULL) atomic_store(verification->reading, VERIFICATION_READS_ROWS);
    TRY(environment_result(mdb_cursor_open(reader->transaction, reader->log->tables.handles[table], &cursor),
                           "list rows"));
    const result walked = rows_walk(verification, cursor, head, &is_done);
    mdb_cursor_close(cursor);
    if (walked.failure == FAILURE_CORRUPT) {
        tell(verification, 0, "the table of %s cannot be read to its end",
             table == TABLE_STREAMS ? "streams" : "checkpoints");
        is_done = true;
    } else {
        TRY(walked);
    }
    if (!is_done) return RESULT_OK;
    verification->stage++;
    verification->name_bytes = 0;
    return RESULT_OK;
}

/* --- The index. ----------------------------------------------------------------------------------------------------------- */

static void index_found(void *context, uint64_t position, const char *text) {
    tell(context, position, "%s", text);
}

static result index_step(struct verification *verification) {
    bool is_done = false;
    if (verification->reading != NULL) atomic_store(verification->reading, VERIFICATION_READS_INDEX);
    if (verification->index_comparison == NULL) {
        const struct index_verification_options options = {
            .store = verification->store, .index = verification->index, .found = index_found, .context = verification};
        TRY(index_verification_begin(&options, &verification->index_comparison));
    }
    TRY(index_verification_step(verification->index_comparison, &is_done));
    if (is_done) verification->stage = STAGE_DONE;
    return RESULT_OK;
}

static result stage_step(struct verification *verification, uint64_t position_last) {
    switch (verification->stage) {
    case STAGE_WHOLE:
        return whole_check(verification, position_last);
    case STAGE_EVENTS:
        return events_check(verification);
    case STAGE_STREAMS:
        return rows_check(verification, TABLE_STREAMS, position_last);
    default:
        return rows_check(verification, TABLE_CHECKPOINTS, position_last);
    }
}

result verification_step(struct verification *verification, bool *ret_is_done) {
    uint64_t position_last = 0;
    assert(verification->stage != STAGE_DONE);
    if (verification->stage == STAGE_INDEX) {
        TRY(index_step(verification)); /* with snapshots of its own */
    } else {
        TRY(store_reader_begin(verification->reader, &position_last));
        const result outcome = stage_step(verification, position_last);
        store_reader_end(verification->reader);
        TRY(outcome);
    }
    if (verification->stage == STAGE_INDEX && verification->index == NULL) verification->stage = STAGE_DONE;
    *ret_is_done = verification->stage == STAGE_DONE;
    return RESULT_OK;
}
