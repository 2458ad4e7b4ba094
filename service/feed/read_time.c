/* read_time.c: where a read begins that begins at a time.
 *
 * recorded_at never decreases from position to position, so bisection finds the place with a handful of records. */
#include "service/feed/reading.h"

static result recorded_ns_of(struct source *source, uint64_t position, int64_t *ret_recorded_ns) {
    struct bytes encoded;
    struct record record;
    TRY(source_get(source, position, &encoded));
    TRY(record_read(encoded, &record));
    *ret_recorded_ns = record.recorded_ns;
    return RESULT_OK;
}

/* How many of the events up to the head were recorded before the time, or at it when `at_too` is set. */
static result events_count_before(struct source *source, uint64_t head, int64_t time_ns, bool at_too,
                                  uint64_t *ret_count) {
    uint64_t low = 0; /* so many are */
    uint64_t high = head;
    while (low < high) {
        const uint64_t middle = low + (high - low + 1) / 2;
        int64_t recorded_ns;
        TRY(recorded_ns_of(source, middle, &recorded_ns));
        if (recorded_ns < time_ns || (at_too && recorded_ns == time_ns)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *ret_count = low;
    return RESULT_OK;
}

result read_time_resolve(struct reading *reading, struct source *source) {
    struct read *read = &reading->read;
    uint64_t count;
    TRY(events_count_before(source, read->head, read->from_time_ns, read->backward, &count));
    uint64_t position = read->backward ? count : count + 1;
    if (position > read->head) position = 0;
    if (read->has_stream && position != 0) {
        const enum index_direction direction = read->backward ? INDEX_BACKWARD : INDEX_FORWARD;
        TRY(index_number_at(reading->feed->index, read->term, position, direction, &position));
    }
    read->next = position;
    read->from_time_is_due = false;
    return RESULT_OK;
}
