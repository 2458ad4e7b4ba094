#include "service/store/backup_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/store/log_check.h"

#define READ_BYTES KIB(256)

struct backup_reader {
    int descriptor;
    const char *name;
    struct digest *digest;
    struct log_check *check;
    struct backup_header header;
    struct backup_counts counts;
    enum backup_kind kind; /* of the last frame */
    size_t row_name_bytes; /* of the last frame of this kind; 0: it is the first */
    uint8_t row_name[NAME_BYTES_MAX];
    uint64_t offset; /* in the backup, of `begin` */
    size_t begin;    /* what was read and not used, in the buffer */
    size_t end;
    size_t capacity;
    uint8_t *buffer; /* grows to the largest frame */
};

/* --- Bytes. --------------------------------------------------------------------------------------------------------------- */

static result wrong(const struct backup_reader *reader, const char *what, struct problem *ret_problem) {
    problem_set(ret_problem, "%s is damaged: at byte %" PRIu64 " %s; use another backup", reader->name, reader->offset,
                what);
    return failure_result(FAILURE_CORRUPT);
}

/* Makes room for so many bytes from `begin` on, and for a reading. */
static result buffer_make_room(struct backup_reader *reader, size_t size) {
    if (reader->begin + size + READ_BYTES <= reader->capacity) return RESULT_OK;
    if (reader->end > reader->begin) {
        memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    }
    reader->end -= reader->begin;
    reader->begin = 0;
    if (size + READ_BYTES <= reader->capacity) return RESULT_OK;
    const size_t capacity = size + 2 * READ_BYTES;
    uint8_t *buffer = realloc(reader->buffer, capacity);
    if (buffer == NULL) return failure_result(FAILURE_MEMORY);
    reader->buffer = buffer;
    reader->capacity = capacity;
    return RESULT_OK;
}

/* Reads until `size` bytes are there or the file ends; returns how many are. */
static result bytes_fill(struct backup_reader *reader, size_t size, size_t *ret_size, struct problem *ret_problem) {
    if (reader->end - reader->begin < size) {
        const result made = buffer_make_room(reader, size);
        if (failed(made)) problem_set(ret_problem, "out of memory while reading %s", reader->name);
        TRY(made);
    }
    while (reader->end - reader->begin < size) {
        const ssize_t got = read(reader->descriptor, reader->buffer + reader->end, READ_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            problem_set(ret_problem, "cannot read %s: %s", reader->name, strerror(errno));
            return failure_result(FAILURE_STORAGE);
        }
        if (got == 0) break;
        reader->end += (size_t)got;
    }
    *ret_size = reader->end - reader->begin;
    return RESULT_OK;
}

/* The next bytes, which must be there. They stay where they are until the next call. */
static result bytes_need(struct backup_reader *reader, size_t size, const uint8_t **ret_bytes,
                         struct problem *ret_problem) {
    size_t found = 0;
    TRY(bytes_fill(reader, size, &found, ret_problem));
    if (found < size) {
        reader->offset += found;
        return wrong(reader, "it is cut off", ret_problem);
    }
    *ret_bytes = reader->buffer + reader->begin;
    return RESULT_OK;
}

static void bytes_use(struct backup_reader *reader, size_t size) {
    reader->begin += size;
    reader->offset += size;
}

/* --- The header. ---------------------------------------------------------------------------------------------------------- */

static result header_read(struct backup_reader *reader, struct problem *ret_problem) {
    const uint8_t *bytes;
    size_t size = 0;
    TRY(bytes_fill(reader, BACKUP_HEADER_BYTES, &size, ret_problem));
    bytes = reader->buffer + reader->begin;
    if (size < BACKUP_MAGIC_BYTES || memcmp(bytes, BACKUP_MAGIC, BACKUP_MAGIC_BYTES) != 0) {
        problem_set(ret_problem, "%s is no backup of Daybook", reader->name);
        return failure_result(FAILURE_FORMAT);
    }
    TRY(bytes_need(reader, BACKUP_HEADER_BYTES, &bytes, ret_problem));
    const size_t covered = BACKUP_HEADER_BYTES - sizeof(uint32_t);
    if (checksum_crc32c(bytes_of(bytes, covered)) != stored_checksum_read(bytes + covered)) {
        return wrong(reader, "the checksum of the header is wrong", ret_problem);
    }
    const uint8_t *at = bytes + BACKUP_MAGIC_BYTES;
    const uint64_t version = backup_number_read(at, 4);
    struct uuid uuid;
    if (version != BACKUP_VERSION) {
        problem_set(ret_problem,
                    "%s was made by a newer daybookd (format %" PRIu64 ", this one knows %d); use that one",
                    reader->name, version, BACKUP_VERSION);
        return failure_result(FAILURE_FORMAT);
    }
    memcpy(reader->header.store_id, at + 4, UUID_TEXT_BYTES);
    reader->header.head = backup_number_read(at + 4 + UUID_TEXT_BYTES, 8);
    reader->header.made_ns = (int64_t)backup_number_read(at + 4 + UUID_TEXT_BYTES + 8, 8);
    if (failed(uuid_parse(bytes_of(reader->header.store_id, UUID_TEXT_BYTES), &uuid))) {
        return wrong(reader, "the store's id is none", ret_problem);
    }
    digest_add(reader->digest, bytes_of(bytes, BACKUP_HEADER_BYTES));
    bytes_use(reader, BACKUP_HEADER_BYTES);
    return RESULT_OK;
}

result backup_reader_open(int descriptor, const char *name, struct backup_reader **ret_reader,
                          struct problem *ret_problem) {
    problem_set(ret_problem, "out of memory while opening %s", name);
    struct backup_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) return failure_result(FAILURE_MEMORY);
    reader->descriptor = descriptor;
    reader->name = name;
    result outcome = digest_new(&reader->digest);
    if (!failed(outcome)) outcome = log_check_new(&reader->check);
    if (!failed(outcome)) outcome = header_read(reader, ret_problem);
    if (failed(outcome)) {
        backup_reader_close(reader);
        return outcome;
    }
    *ret_reader = reader;
    return RESULT_OK;
}

struct backup_reader *backup_reader_close(struct backup_reader *reader) {
    if (reader == NULL) return NULL;
    log_check_free(reader->check);
    digest_free(reader->digest);
    free(reader->buffer);
    free(reader);
    return NULL;
}

const struct backup_header *backup_reader_header(const struct backup_reader *reader) {
    return &reader->header;
}

struct backup_counts backup_reader_counts(const struct backup_reader *reader) {
    return reader->counts;
}

/* --- Frames. -------------------------------------------------------------------------------------------------------------- */

/* Takes name and value of a row apart and sees that names ascend. */
static result row_parts(struct backup_reader *reader, struct bytes body, MDB_val *ret_key, MDB_val *ret_value,
                        struct problem *ret_problem) {
    const size_t name_bytes = body.size == 0 ? 0 : body.data[0];
    if (name_bytes == 0 || body.size < 1 + name_bytes) return wrong(reader, "a row has no name", ret_problem);
    const uint8_t *name = body.data + 1;
    const size_t shorter = name_bytes < reader->row_name_bytes ? name_bytes : reader->row_name_bytes;
    const int order = memcmp(name, reader->row_name, shorter);
    if (order < 0 || (order == 0 && name_bytes <= reader->row_name_bytes)) {
        return wrong(reader, "the names of rows are out of order", ret_problem);
    }
    memcpy(reader->row_name, name, name_bytes);
    reader->row_name_bytes = name_bytes;
    *ret_key = (MDB_val){.mv_size = name_bytes, .mv_data = (void *)(uintptr_t)name};
    *ret_value = (MDB_val){.mv_size = body.size - 1 - name_bytes, .mv_data = (void *)(uintptr_t)(name + name_bytes)};
    return RESULT_OK;
}

static result row_take(struct backup_reader *reader, struct bytes body, struct backup_entry *ret_entry,
                       struct problem *ret_problem) {
    MDB_val key;
    MDB_val value;
    TRY(row_parts(reader, body, &key, &value, ret_problem));
    if (ret_entry->kind == BACKUP_STREAM) {
        ret_entry->stream = bytes_of(key.mv_data, key.mv_size);
        reader->counts.streams_count++;
        if (!failed(stream_row_read(&key, &value, &ret_entry->row))) return RESULT_OK;
        return wrong(reader, "the row of a stream is damaged", ret_problem);
    }
    reader->counts.checkpoints_count++;
    if (failed(checkpoint_read(&key, &value, &ret_entry->checkpoint))) {
        return wrong(reader, "a checkpoint is damaged", ret_problem);
    }
    const uint64_t position = ret_entry->checkpoint.position;
    if (position > 0 && position <= reader->header.head) return RESULT_OK;
    return wrong(reader, "a checkpoint is beyond the head", ret_problem);
}

static result event_take(struct backup_reader *reader, struct bytes body, struct backup_entry *ret_entry,
                         struct problem *ret_problem) {
    if (body.size <= RECORD_CHECKSUM_BYTES) return wrong(reader, "an event is empty", ret_problem);
    if (reader->counts.events_count == reader->header.head) {
        return wrong(reader, "an event is beyond the head", ret_problem);
    }
    const struct bytes record = bytes_of(body.data, body.size - RECORD_CHECKSUM_BYTES);
    if (checksum_crc32c(record) != stored_checksum_read(record.data + record.size)) {
        return wrong(reader, "the checksum of an event is wrong", ret_problem);
    }
    ret_entry->position = ++reader->counts.events_count;
    ret_entry->record = record;
    const char *what = log_check_record(reader->check, ret_entry->position, record);
    if (what == NULL) return RESULT_OK;
    char text[PROBLEM_BYTES / 2];
    (void)snprintf(text, sizeof text, "the event at position %" PRIu64 " %s", ret_entry->position, what);
    return wrong(reader, text, ret_problem);
}

static result end_take(struct backup_reader *reader, struct bytes body, struct problem *ret_problem) {
    uint8_t digest[DIGEST_BYTES];
    const struct backup_counts *counts = &reader->counts;
    digest_value(reader->digest, digest);
    if (body.size != BACKUP_END_BODY_BYTES) return wrong(reader, "the end has another size", ret_problem);
    if (backup_number_read(body.data, 8) != counts->streams_count ||
        backup_number_read(body.data + 8, 8) != counts->checkpoints_count ||
        backup_number_read(body.data + 16, 8) != counts->events_count || counts->events_count != reader->header.head) {
        return wrong(reader, "the end counts other rows and events than there are", ret_problem);
    }
    if (memcmp(digest, body.data + 24, DIGEST_BYTES) != 0) {
        return wrong(reader, "the end has another checksum than everything before it", ret_problem);
    }
    return RESULT_OK;
}

/* Kinds come in this order. */
static int kind_rank(enum backup_kind kind) {
    switch (kind) {
    case BACKUP_STREAM:
        return 1;
    case BACKUP_CHECKPOINT:
        return 2;
    case BACKUP_EVENT:
        return 3;
    case BACKUP_END:
        return 4;
    default:
        return 0;
    }
}

/* The next frame, its checksum verified; not used yet. */
static result frame_read(struct backup_reader *reader, enum backup_kind *ret_kind, struct bytes *ret_body,
                         struct problem *ret_problem) {
    const uint8_t *frame;
    TRY(bytes_need(reader, BACKUP_FRAME_HEAD_BYTES, &frame, ret_problem));
    const uint64_t body_bytes = backup_number_read(frame + 1, 4);
    if (body_bytes > BACKUP_BODY_BYTES_MAX) return wrong(reader, "a length is too large", ret_problem);
    TRY(bytes_need(reader, (size_t)body_bytes + BACKUP_FRAME_OVERHEAD_BYTES, &frame, ret_problem));
    const size_t covered = BACKUP_FRAME_HEAD_BYTES + (size_t)body_bytes;
    if (checksum_crc32c(bytes_of(frame, covered)) != stored_checksum_read(frame + covered)) {
        return wrong(reader, "a checksum is wrong", ret_problem);
    }
    const enum backup_kind kind = (enum backup_kind)frame[0];
    const int rank = kind_rank(kind);
    if (rank == 0 || rank < kind_rank(reader->kind)) return wrong(reader, "a frame is out of order", ret_problem);
    if (kind != reader->kind) reader->row_name_bytes = 0;
    reader->kind = kind;
    *ret_kind = kind;
    *ret_body = bytes_of(frame + BACKUP_FRAME_HEAD_BYTES, (size_t)body_bytes);
    return RESULT_OK;
}

static result nothing_follows(struct backup_reader *reader, struct problem *ret_problem) {
    size_t size = 0;
    TRY(bytes_fill(reader, 1, &size, ret_problem));
    return size == 0 ? RESULT_OK : wrong(reader, "something follows the end", ret_problem);
}

result backup_reader_next(struct backup_reader *reader, struct backup_entry *ret_entry, struct problem *ret_problem) {
    struct backup_entry entry = {0};
    struct bytes body;
    assert(reader->kind != BACKUP_END);
    TRY(frame_read(reader, &entry.kind, &body, ret_problem));
    switch (entry.kind) {
    case BACKUP_EVENT:
        TRY(event_take(reader, body, &entry, ret_problem));
        break;
    case BACKUP_END:
        TRY(end_take(reader, body, ret_problem));
        break;
    default:
        TRY(row_take(reader, body, &entry, ret_problem));
        break;
    }
    const size_t frame_bytes = body.size + BACKUP_FRAME_OVERHEAD_BYTES;
    digest_add(reader->digest, bytes_of(reader->buffer + reader->begin, frame_bytes));
    bytes_use(reader, frame_bytes);
    if (entry.kind == BACKUP_END) TRY(nothing_follows(reader, ret_problem));
    *ret_entry = entry;
    return RESULT_OK;
}
