#include "service/store/terms.h"

#include <assert.h>

#include "service/store/store.h"

result terms_of_record(const struct record *record, struct index_entry ret_entries[TERMS_COUNT_MAX],
                       uint32_t *ret_count) {
    struct event_fields fields;
    TRY(record_event_fields(record->event, &fields));
    const uint64_t position = record->position;
    uint32_t count = 0;
    ret_entries[count++] = (struct index_entry){
        .term = term_of(TERM_STREAM, record->stream), .number = record->revision, .position = position};
    /* A removed event has no type, and an erased one no tags: remains.h. */
    if (fields.type.size > 0) {
        ret_entries[count++] =
            (struct index_entry){.term = term_of(TERM_TYPE, fields.type), .number = position, .position = position};
    }
    if (fields.id.size > 0) {
        ret_entries[count++] = (struct index_entry){
            .term = term_of(TERM_EVENT_ID, fields.id), .number = INDEX_ID_NUMBER, .position = position};
    }
    for (uint32_t index = 0; index < fields.tags_count; index++) {
        ret_entries[count++] = (struct index_entry){
            .term = term_of(TERM_TAG, fields.tags[index]), .number = position, .position = position};
    }
    *ret_count = count;
    return RESULT_OK;
}

result terms_read(struct store_reader *reader, uint64_t position, struct index_entry ret_entries[TERMS_COUNT_MAX],
                  uint32_t *ret_count) {
    struct bytes encoded;
    struct record record;
    const result found = store_reader_get(reader, position, &encoded);
    /* The log has no gaps. */
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    TRY(record_read(encoded, &record));
    return terms_of_record(&record, ret_entries, ret_count);
}

static result event_add(struct store_reader *reader, struct index *index, uint64_t position) {
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count;
    TRY(terms_read(reader, position, entries, &count));
    return index_add(index, position, entries, count);
}

/* Adds what one snapshot has after `*position`, up to a limit. `ret_done`: it was the rest. */
static result snapshot_add(struct store_reader *reader, struct index *index, uint64_t *position, bool *ret_done) {
    uint64_t position_last = 0;
    TRY(store_reader_begin(reader, &position_last));
    result outcome = RESULT_OK;
    uint64_t end = position_last;
    if (end > *position + TERMS_SNAPSHOT_EVENTS_COUNT_MAX) end = *position + TERMS_SNAPSHOT_EVENTS_COUNT_MAX;
    while (*position < end && !failed(outcome)) {
        outcome = event_add(reader, index, *position + 1);
        if (!failed(outcome)) (*position)++;
    }
    store_reader_end(reader);
    if (!failed(outcome)) *ret_done = *position >= position_last;
    return outcome;
}

result terms_catch_up(struct store *store, struct index *index) {
    struct store_reader *reader = NULL;
    uint64_t position = index_position(index);
    bool done = false;
    assert(position <= store_position_last(store));
    TRY(store_reader_open(store, &reader));
    result outcome = RESULT_OK;
    while (!done && !failed(outcome)) outcome = snapshot_add(reader, index, &position, &done);
    store_reader_close(reader);
    return outcome;
}
