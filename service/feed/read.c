/* read.c: one step of a read that ends: the whole store by position, one stream by revision through the index, or what a
 * filter names by the index.
 *
 * A read is of the moment it was opened: nothing beyond its head is delivered, however long it takes. */
#include <string.h>

#include "service/feed/reading.h"
#include "service/record/filter.h"
#include "service/store/postings.h"

void read_begin(struct read *read, const struct read_options *options, uint64_t head) {
    memset(read, 0, READ_CLEARED_BYTES);
    read->head = head;
    read->remaining = options->limit == 0 ? UINT64_MAX : options->limit;
    read->backward = options->direction == READING_BACKWARD;
    read->from_time_is_due = options->has_from_time;
    read->from_time_ns = options->from_time_ns;
    read->has_stream = options->stream.size > 0;
    read->stream_size = options->stream.size;
    if (read->has_stream) {
        memcpy(read->stream, options->stream.data, options->stream.size);
        read->term = term_of(TERM_STREAM, options->stream);
        read->stream_is_due = true;
        read->next = options->from != 0 ? options->from : read->backward ? UINT64_MAX : 1;
        return;
    }
    read->next = options->from;
    if (read->next == 0) read->next = read->backward ? head : 1;
    if (read->backward && read->next > head) read->next = head;
    if (read->next > head) read->next = 0;
}

/* The next number in the direction of the read; 0 past the end. */
static uint64_t number_after(const struct read *read, uint64_t number) {
    if (read->backward) return number - 1;
    return number == UINT64_MAX ? 0 : number + 1;
}

/* The next position of the whole store, or where the index leads to when the filter is one for it; 0 at the end. */
static result position_take(struct read *read, struct postings *postings, uint64_t *ret_position) {
    uint64_t position = read->next;
    if (postings != NULL && position != 0) TRY(postings_seek(postings, position, &position));
    if (position > read->head) position = 0;
    read->next = position == 0 ? 0 : number_after(read, position);
    if (read->next > read->head) read->next = 0;
    *ret_position = position;
    return RESULT_OK;
}

static result hits_fetch(struct reading *reading) {
    struct read *read = &reading->read;
    read->hits_first = 0;
    read->hits_count = 0;
    if (read->next == 0) return RESULT_OK;
    TRY(index_range(reading->feed->index, read->term, read->next, read->backward ? INDEX_BACKWARD : INDEX_FORWARD,
                    READ_HITS_COUNT_MAX, read->hits, &read->hits_count));
    read->next =
        read->hits_count < READ_HITS_COUNT_MAX ? 0 : number_after(read, read->hits[read->hits_count - 1].number);
    return RESULT_OK;
}

/* The position of the stream's next event; 0 at the end. Events that were indexed after the read was opened are passed
 * over. */
static result stream_position_take(struct reading *reading, uint64_t *ret_position) {
    struct read *read = &reading->read;
    for (;;) {
        if (read->hits_first == read->hits_count) TRY(hits_fetch(reading));
        if (read->hits_first == read->hits_count) {
            *ret_position = 0;
            return RESULT_OK;
        }
        const struct index_entry *hit = &read->hits[read->hits_first++];
        const uint64_t position = hit->position;
        if (position > read->head || (!read->backward && hit->number < read->first_revision)) continue;
        if (hit->number < read->first_revision) {
            read->next = 0;
            read->hits_first = read->hits_count;
            continue;
        }
        *ret_position = position;
        return RESULT_OK;
    }
}

/* Two names may share a term: what counts is the record. */
static result is_of_stream(const struct read *read, struct bytes encoded, bool *ret_is) {
    struct record record;
    TRY(record_read(encoded, &record));
    *ret_is = bytes_equal(record.stream, bytes_of(read->stream, read->stream_size));
    return RESULT_OK;
}

static result record_take(struct reading *reading, struct source *source, uint64_t position, struct message *message) {
    struct read *read = &reading->read;
    struct bytes record;
    TRY(source_get(source, position, &record));
    bool matches = true;
    if (read->has_stream) TRY(is_of_stream(read, record, &matches));
    if (matches) read->stream_found = true;
    if (matches && reading->filter != NULL) TRY(filter_match(reading->filter, record, &matches));
    if (matches) TRY(source_shows(source, record, &matches));
    if (!matches) return RESULT_OK;
    TRY(message_add_record(message, record));
    read->remaining--;
    return RESULT_OK;
}

/* Takes records until the message is full (more is to come) or the read is at its end. `postings` may be NULL. */
static result collect(struct reading *reading, struct source *source, struct postings *postings,
                      struct message *message, bool *ret_end) {
    struct read *read = &reading->read;
    for (uint64_t scanned = 0; read->remaining > 0; scanned++) {
        if (message->size >= reading->chunk_bytes || scanned >= STEP_EVENTS_COUNT_MAX) {
            *ret_end = false;
            return RESULT_OK;
        }
        uint64_t position;
        if (read->has_stream) {
            TRY(stream_position_take(reading, &position));
        } else {
            TRY(position_take(read, postings, &position));
        }
        if (position == 0) break;
        TRY(record_take(reading, source, position, message));
    }
    *ret_end = true;
    return RESULT_OK;
}

/* The postings live for a step: what they hold for a large filter must not stay with a slow reader. */
static result collect_step(struct reading *reading, struct source *source, struct message *message, bool *ret_end) {
    const struct read *read = &reading->read;
    if (read->has_stream || !postings_serve(reading->filter)) {
        return collect(reading, source, NULL, message, ret_end);
    }
    struct postings *postings;
    const enum index_direction direction = read->backward ? INDEX_BACKWARD : INDEX_FORWARD;
    TRY(postings_new(reading->feed->index, reading->filter, direction, &postings));
    const result outcome = collect(reading, source, postings, message, ret_end);
    postings_free(postings);
    return outcome;
}

/* A read that found nothing asks whether there is such a stream at all: it may have begun beyond the stream's end. */
static result stream_exists(struct reading *reading, struct source *source, bool *ret_exists) {
    struct read *read = &reading->read;
    read->next = read->backward ? UINT64_MAX : 1;
    read->first_revision = 1;
    read->hits_first = read->hits_count;
    result outcome = RESULT_OK;
    while (!failed(outcome) && !read->stream_found) {
        uint64_t position;
        struct bytes record;
        outcome = stream_position_take(reading, &position);
        if (failed(outcome) || position == 0) break;
        outcome = source_get(source, position, &record);
        if (!failed(outcome)) outcome = is_of_stream(read, record, &read->stream_found);
    }
    read->next = 0;
    read->hits_first = read->hits_count;
    if (!failed(outcome)) *ret_exists = read->stream_found;
    return outcome;
}

/* A stream begins where deletion, truncation and max_count have left it. */
static result stream_begin(struct read *read, struct source *source) {
    TRY(source_first_revision(source, bytes_of(read->stream, read->stream_size), &read->first_revision));
    if (!read->backward && read->next != 0 && read->next < read->first_revision) read->next = read->first_revision;
    read->stream_is_due = false;
    return RESULT_OK;
}

static result step_take(struct reading *reading, struct source *source, struct message *message,
                        enum step_kind *ret_kind, bool *ret_is_last) {
    struct read *read = &reading->read;
    bool end;
    if (read->from_time_is_due) TRY(read_time_resolve(reading, source));
    if (read->stream_is_due) TRY(stream_begin(read, source));
    TRY(collect_step(reading, source, message, &end));
    *ret_kind = STEP_AGAIN;
    if (!end && message->events_count == 0) return RESULT_OK;
    if (end) {
        read->next = 0;
        read->hits_first = read->hits_count;
    }
    if (end && read->has_stream && !read->stream_found) {
        bool exists;
        TRY(stream_exists(reading, source, &exists));
        if (!exists) return failure_result(FAILURE_NOT_FOUND);
    }
    /* The first message always goes, even without events: it tells the head. */
    *ret_kind = STEP_END;
    if (message->events_count == 0 && read->message_sent) return RESULT_OK;
    *ret_kind = STEP_MESSAGE;
    read->message_sent = true;
    *ret_is_last = end;
    return message_end_read(message, read->head);
}

struct step read_step(struct reading *reading, struct source *source) {
    struct message message;
    message_init(&message, reading->feed->buffers);
    enum step_kind kind = STEP_END;
    bool is_last = false;
    const result outcome = step_take(reading, source, &message, &kind, &is_last);
    if (!failed(outcome) && kind == STEP_MESSAGE) {
        return (struct step){.kind = kind, .is_last = is_last, .message = message_take(&message)};
    }
    message_deinit(&message);
    if (failed(outcome)) return step_end(outcome.failure);
    return (struct step){.kind = kind};
}
