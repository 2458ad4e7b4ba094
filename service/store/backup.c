#include "service/store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/base/clock.h"
#include "service/base/logging.h"
#include "service/store/backup_format.h"
#include "service/store/log_check.h"

/* One snapshot reads at most so many events, or about as many bytes as a part has. */
#define STEP_EVENTS_COUNT_MAX 16384
/* The largest frame on top of a part that is nearly full. Memory that is not touched costs nothing. */
#define BUFFER_BYTES (BACKUP_PART_BYTES_MAX + BACKUP_BODY_BYTES_MAX + BACKUP_FRAME_OVERHEAD_BYTES)
/* How many bytes of rows are put aside between two looks at the space that is left. */
#define ROWS_BYTES_BETWEEN_LOOKS MIB(1)

enum stage { STAGE_ROWS, STAGE_EVENTS, STAGE_ENDED };

struct backup {
    struct store *store;
    struct store_reader *reader;
    struct digest *digest;
    struct log_check *check;
    enum stage stage;
    int rows_file;
    uint64_t rows_bytes; /* in it */
    uint64_t rows_read;  /* of them */
    uint64_t head;
    uint64_t position;
    struct backup_counts counts;
    size_t handed_bytes; /* of the buffer: the part that the caller has */
    size_t filled_bytes;
    size_t digested_bytes;
    uint8_t *buffer;
};

/* --- Rows, put aside. ----------------------------------------------------------------------------------------------------- */

static result rows_file_make(struct backup *backup) {
    const int directory = backup->store->directory.descriptor;
    const char *name = "backup.rows";
    backup->rows_file = openat(directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (backup->rows_file < 0) return failure_result(errno == ENOSPC ? FAILURE_STORAGE_FULL : FAILURE_STORAGE);
    /* From here on it ends with its descriptor. */
    return unlinkat(directory, name, 0) == 0 ? RESULT_OK : failure_result(FAILURE_STORAGE);
}

/* Empties the buffer into the file, as long as that leaves the log its room. */
static result rows_flush(struct backup *backup) {
    const uint64_t reserve_bytes = 2 * backup->reader->log->environment.reserve_bytes;
    if (backup->rows_bytes + backup->filled_bytes > ROWS_BYTES_BETWEEN_LOOKS &&
        environment_free_bytes(backup->rows_file) < reserve_bytes + backup->filled_bytes) {
        return failure_result(FAILURE_STORAGE_FULL);
    }
    const uint8_t *at = backup->buffer;
    size_t left = backup->filled_bytes;
    while (left > 0) {
        const ssize_t written = write(backup->rows_file, at, left);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            const bool is_full = written == 0 || errno == ENOSPC || errno == EDQUOT;
            return failure_result(is_full ? FAILURE_STORAGE_FULL : FAILURE_STORAGE);
        }
        at += written;
        left -= (size_t)written;
    }
    backup->rows_bytes += backup->filled_bytes;
    backup->filled_bytes = 0;
    return RESULT_OK;
}

static result row_put(struct backup *backup, enum backup_kind kind, const MDB_val *key, const MDB_val *value) {
    struct stream_row row;
    struct checkpoint checkpoint;
    if (kind == BACKUP_STREAM) {
        TRY(stream_row_read(key, value, &row));
        backup->counts.streams_count++;
    } else {
        TRY(checkpoint_read(key, value, &checkpoint));
        backup->counts.checkpoints_count++;
    }
    if (backup->filled_bytes >= ROWS_BYTES_BETWEEN_LOOKS) TRY(rows_flush(backup));
    uint8_t *frame = backup->buffer + backup->filled_bytes;
    uint8_t *body = frame + BACKUP_FRAME_HEAD_BYTES;
    body[0] = (uint8_t)key->mv_size;
    memcpy(body + 1, key->mv_data, key->mv_size);
    memcpy(body + 1 + key->mv_size, value->mv_data, value->mv_size);
    const uint8_t *end = backup_frame_close(kind, 1 + key->mv_size + value->mv_size, frame);
    backup->filled_bytes += (size_t)(end - frame);
    return RESULT_OK;
}

static result table_put(struct backup *backup, enum table table, enum backup_kind kind) {
    const struct store_reader *reader = backup->reader;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    TRY(environment_result(mdb_cursor_open(reader->transaction, reader->log->tables.handles[table], &cursor),
                           "copy rows"));
    result outcome = RESULT_OK;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (code == MDB_SUCCESS && !failed(outcome)) {
        outcome = row_put(backup, kind, &key, &value);
        if (!failed(outcome)) code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    TRY(outcome);
    return code == MDB_NOTFOUND ? RESULT_OK : environment_result(code, "copy rows");
}

static void header_put(struct backup *backup) {
    struct backup_header header = {.head = backup->head, .made_ns = clock_wall_ns()};
    memcpy(header.store_id, store_id(backup->store), UUID_TEXT_BYTES);
    backup_header_write(&header, backup->buffer);
    backup->filled_bytes = BACKUP_HEADER_BYTES;
}

/* Header and rows, all of one snapshot. */
static result snapshot_put(struct backup *backup) {
    TRY(store_reader_begin(backup->reader, &backup->head));
    header_put(backup);
    result outcome = table_put(backup, TABLE_STREAMS, BACKUP_STREAM);
    if (!failed(outcome)) outcome = table_put(backup, TABLE_CHECKPOINTS, BACKUP_CHECKPOINT);
    if (!failed(outcome)) outcome = rows_flush(backup);
    store_reader_end(backup->reader);
    return outcome;
}

result backup_begin(struct store *store, struct backup **ret_backup) {
    if (atomic_exchange(&store->has_backup, true)) return failure_result(FAILURE_BUSY);
    struct backup *backup = calloc(1, sizeof *backup);
    if (backup == NULL) {
        atomic_store(&store->has_backup, false);
        return failure_result(FAILURE_MEMORY);
    }
    backup->store = store;
    backup->rows_file = -1;
    backup->buffer = malloc(BUFFER_BYTES);
    result outcome = backup->buffer != NULL ? digest_new(&backup->digest) : failure_result(FAILURE_MEMORY);
    if (!failed(outcome)) outcome = log_check_new(&backup->check);
    if (!failed(outcome)) outcome = store_reader_open(store, &backup->reader);
    if (!failed(outcome)) outcome = rows_file_make(backup);
    if (!failed(outcome)) outcome = snapshot_put(backup);
    if (failed(outcome)) {
        backup_end(backup);
        return outcome;
    }
    *ret_backup = backup;
    return RESULT_OK;
}

/* --- Parts. --------------------------------------------------------------------------------------------------------------- */

static result rows_take(struct backup *backup) {
    const uint64_t left = backup->rows_bytes - backup->rows_read;
    size_t wanted = (size_t)(BACKUP_PART_BYTES_MAX - backup->filled_bytes);
    if (wanted > left) wanted = (size_t)left;
    if (left == 0) {
        backup->stage = STAGE_EVENTS;
        return RESULT_OK;
    }
    const ssize_t size =
        pread(backup->rows_file, backup->buffer + backup->filled_bytes, wanted, (off_t)backup->rows_read);
    if (size <= 0) return failure_result(FAILURE_STORAGE);
    backup->rows_read += (uint64_t)size;
    backup->filled_bytes += (size_t)size;
    return RESULT_OK;
}

static result event_take(struct backup *backup) {
    struct bytes record;
    const result found = store_reader_get(backup->reader, backup->position + 1, &record);
    if (found.failure == FAILURE_NOT_FOUND) {
        log_error("an event is missing in the log", "position", log_number(backup->position + 1));
        return failure_result(FAILURE_CORRUPT);
    }
    TRY(found);
    /* So that whatever was backed up can be restored. */
    const char *wrong = log_check_record(backup->check, backup->position + 1, record);
    if (wrong != NULL) {
        log_error("a stored event is damaged", "position", log_number(backup->position + 1), "it", wrong);
        return failure_result(FAILURE_CORRUPT);
    }
    /* With its checksum, which is behind it and has just been verified. */
    const size_t size = record.size + RECORD_CHECKSUM_BYTES;
    uint8_t *frame = backup->buffer + backup->filled_bytes;
    memcpy(frame + BACKUP_FRAME_HEAD_BYTES, record.data, size);
    const uint8_t *end = backup_frame_close(BACKUP_EVENT, size, frame);
    backup->filled_bytes += (size_t)(end - frame);
    backup->position++;
    backup->counts.events_count++;
    return RESULT_OK;
}

static result events_take(struct backup *backup) {
    result outcome = RESULT_OK;
    TRY(store_reader_begin(backup->reader, NULL));
    for (uint32_t count = 0; count < STEP_EVENTS_COUNT_MAX && !failed(outcome); count++) {
        if (backup->filled_bytes >= BACKUP_PART_BYTES_MAX || backup->position == backup->head) break;
        outcome = event_take(backup);
    }
    store_reader_end(backup->reader);
    return outcome;
}

/* Adds what the buffer has got since the last time. */
static void buffer_digest(struct backup *backup) {
    digest_add(backup->digest,
               bytes_of(backup->buffer + backup->digested_bytes, backup->filled_bytes - backup->digested_bytes));
    backup->digested_bytes = backup->filled_bytes;
}

static void end_take(struct backup *backup) {
    buffer_digest(backup);
    uint8_t *frame = backup->buffer + backup->filled_bytes;
    uint8_t *at = backup_number_write(frame + BACKUP_FRAME_HEAD_BYTES, backup->counts.streams_count, 8);
    at = backup_number_write(at, backup->counts.checkpoints_count, 8);
    at = backup_number_write(at, backup->counts.events_count, 8);
    digest_value(backup->digest, at);
    const uint8_t *end = backup_frame_close(BACKUP_END, BACKUP_END_BODY_BYTES, frame);
    backup->filled_bytes += (size_t)(end - frame);
    backup->stage = STAGE_ENDED;
}

static result buffer_fill(struct backup *backup) {
    while (backup->filled_bytes < BACKUP_PART_BYTES_MAX && backup->stage != STAGE_ENDED) {
        if (backup->stage == STAGE_ROWS) {
            TRY(rows_take(backup));
        } else if (backup->position < backup->head) {
            TRY(events_take(backup));
        } else {
            end_take(backup);
        }
    }
    buffer_digest(backup);
    return RESULT_OK;
}

result backup_next(struct backup *backup, struct bytes *ret_part) {
    const size_t left = backup->filled_bytes - backup->handed_bytes;
    memmove(backup->buffer, backup->buffer + backup->handed_bytes, left);
    backup->digested_bytes -= backup->handed_bytes;
    backup->filled_bytes = left;
    backup->handed_bytes = 0;
    TRY(buffer_fill(backup));
    backup->handed_bytes =
        backup->filled_bytes < BACKUP_PART_BYTES_MAX ? backup->filled_bytes : (size_t)BACKUP_PART_BYTES_MAX;
    *ret_part = bytes_of(backup->buffer, backup->handed_bytes);
    return RESULT_OK;
}

uint64_t backup_head(const struct backup *backup) {
    return backup->head;
}

uint64_t backup_position(const struct backup *backup) {
    return backup->position;
}

bool backup_is_last(const struct backup *backup) {
    return backup->stage == STAGE_ENDED && backup->handed_bytes == backup->filled_bytes;
}

void backup_checksum(const struct backup *backup, char ret_text[DIGEST_TEXT_BYTES + 1]) {
    digest_text(backup->digest, ret_text);
}

struct backup *backup_end(struct backup *backup) {
    if (backup == NULL) return NULL;
    store_reader_close(backup->reader);
    if (backup->rows_file >= 0) close(backup->rows_file);
    log_check_free(backup->check);
    digest_free(backup->digest);
    free(backup->buffer);
    atomic_store(&backup->store->has_backup, false);
    free(backup);
    return NULL;
}
