#include "service/store/index_verification.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/record/remains.h"
#include "service/store/index_cursor.h"
#include "service/store/index_state.h"
#include "service/store/store.h"
#include "service/store/terms.h"

/* One snapshot looks at so much. */
#define COMPARED_EVENTS_COUNT_MAX  4096
#define COMPARED_ENTRIES_COUNT_MAX 16384
/* More entries with one term and one number than this are not searched: two names share the term that often. */
#define HITS_COUNT_MAX 16
/* An index with so many faults is to be built anew, whatever else is wrong with it. */
#define FOUND_COUNT_MAX 1000

enum stage { STAGE_EVENTS, STAGE_RUNS, STAGE_DONE };

struct index_verification {
    struct index_verification_options options;
    struct store_reader *reader;
    struct index_part *part;
    struct index_view *view;
    enum stage stage;
    uint64_t position_end; /* the last that is compared */
    uint64_t position;     /* compared up to here */
    uint32_t run;          /* of the view */
    bool has_key;          /* in it, compared up to here */
    struct index_key key;
    uint32_t found_count;
};

static void tell(struct index_verification *verification, uint64_t position, const char *text) {
    verification->found_count++;
    verification->options.found(verification->options.context, position, text);
}

result index_verification_begin(const struct index_verification_options *options,
                                struct index_verification **ret_verification) {
    struct index_verification *verification = calloc(1, sizeof *verification);
    if (verification == NULL) return failure_result(FAILURE_MEMORY);
    verification->options = *options;
    const struct index_counts counts = index_count(options->index);
    struct index_part *part = index_hold(options->index);
    pthread_mutex_lock(&part->mutex);
    verification->view = index_view_ref(part->view);
    pthread_mutex_unlock(&part->mutex);
    verification->part = part;
    uint64_t head = 0;
    result outcome = store_reader_open(options->store, &verification->reader);
    if (!failed(outcome)) outcome = store_reader_begin(verification->reader, &head);
    if (failed(outcome)) {
        index_verification_end(verification);
        return outcome;
    }
    store_reader_end(verification->reader);
    /* An event is added once it is committed, so the index may be a moment behind; one that was just opened for a look has
     * nothing in memory. */
    const uint64_t added = counts.position + counts.tail_events_count;
    verification->position_end = head < added ? head : added;
    *ret_verification = verification;
    return RESULT_OK;
}

struct index_verification *index_verification_end(struct index_verification *verification) {
    if (verification == NULL) return NULL;
    store_reader_close(verification->reader);
    index_view_release(verification->part, verification->view);
    index_release(verification->options.index, verification->part);
    free(verification);
    return NULL;
}

/* --- There: from the log to the index. ---------------------------------------------------------------------------------- */

static const char *entry_kind(const struct index_entry *entry, bool is_first) {
    if (is_first) return "its stream";
    return entry->number == INDEX_ID_NUMBER ? "its id" : "its type or a tag";
}

static bool entry_is(const struct index_entry *left, const struct index_entry *right) {
    return term_equal(left->term, right->term) && left->number == right->number && left->position == right->position;
}

static result entry_search(struct index_verification *verification, const struct index_entry *entry,
                           bool *ret_is_there) {
    struct index_entry hits[HITS_COUNT_MAX];
    uint32_t count = 0;
    TRY(index_range(verification->options.index, entry->term, entry->number, INDEX_FORWARD, HITS_COUNT_MAX, hits,
                    &count));
    bool is_there = false;
    for (uint32_t index = 0; index < count && !is_there; index++) is_there = entry_is(&hits[index], entry);
    /* As many others with its number: it may be behind them. */
    *ret_is_there = is_there || (count == HITS_COUNT_MAX && hits[count - 1].number == entry->number);
    return RESULT_OK;
}

/* Whether --id-index has let the id go. */
static bool id_may_be_gone(const struct index_verification *verification, const struct index_entry *entry) {
    const uint64_t window = index_ids_window(verification->options.index);
    return entry->number == INDEX_ID_NUMBER && window > 0 && verification->position_end - entry->position >= window;
}

static result event_compare(struct index_verification *verification, uint64_t position) {
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count = 0;
    const result read = terms_read(verification->reader, position, entries, &count);
    if (read.failure == FAILURE_CORRUPT) return RESULT_OK;
    TRY(read);
    for (uint32_t index = 0; index < count; index++) {
        bool is_there = false;
        if (id_may_be_gone(verification, &entries[index])) continue;
        TRY(entry_search(verification, &entries[index], &is_there));
        if (is_there) continue;
        char text[PROBLEM_BYTES];
        (void)snprintf(text, sizeof text,
                       "the event at position %" PRIu64 " is not found in the index by %s; Reindex builds it anew",
                       position, entry_kind(&entries[index], index == 0));
        tell(verification, position, text);
    }
    return RESULT_OK;
}

static result events_compare(struct index_verification *verification) {
    TRY(store_reader_begin(verification->reader, NULL));
    result outcome = RESULT_OK;
    const uint64_t end = verification->position_end;
    for (uint32_t count = 0; count < COMPARED_EVENTS_COUNT_MAX && verification->position < end && !failed(outcome);
         count++) {
        outcome = event_compare(verification, ++verification->position);
    }
    store_reader_end(verification->reader);
    if (verification->position >= end) verification->stage = STAGE_RUNS;
    return outcome;
}

/* --- And back: from the runs to the log. -------------------------------------------------------------------------------- */

/* Whether the event has the entry. One of which only remains are left, or that cannot be read, says nothing against it. */
static result entry_is_of_event(struct index_verification *verification, const struct index_entry *entry,
                                bool *ret_is) {
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count = 0;
    struct bytes encoded;
    struct record record;
    *ret_is = true;
    const result found = store_reader_get(verification->reader, entry->position, &encoded);
    if (found.failure == FAILURE_CORRUPT || found.failure == FAILURE_NOT_FOUND) return RESULT_OK;
    TRY(found);
    if (remains_is_removed(encoded) || failed(record_read(encoded, &record)) || record.erasure.size > 0)
        return RESULT_OK;
    if (failed(terms_of_record(&record, entries, &count))) return RESULT_OK;
    *ret_is = false;
    for (uint32_t index = 0; index < count && !*ret_is; index++) *ret_is = entry_is(&entries[index], entry);
    return RESULT_OK;
}

static result entry_compare(struct index_verification *verification, const struct index_run *run,
                            const struct index_entry *entry) {
    char text[PROBLEM_BYTES];
    bool is_of_event = false;
    if (entry->position < run->position_first || entry->position > run->position_last) {
        (void)snprintf(text, sizeof text,
                       "the index has position %" PRIu64 " among those from %" PRIu64 " to %" PRIu64
                       "; Reindex builds it anew",
                       entry->position, run->position_first, run->position_last);
        tell(verification, 0, text);
        return RESULT_OK;
    }
    TRY(entry_is_of_event(verification, entry, &is_of_event));
    if (is_of_event) return RESULT_OK;
    (void)snprintf(text, sizeof text,
                   "the index leads to the event at position %" PRIu64
                   " by a name that it does not have; Reindex builds it anew",
                   entry->position);
    tell(verification, entry->position, text);
    return RESULT_OK;
}

/* Walks on in the run; FAILURE_NOT_FOUND behind its last entry. */
static result run_walk(struct index_verification *verification, struct index_cursor *cursor) {
    const struct index_key first = {{0}};
    TRY(index_cursor_seek_forward(cursor, verification->has_key ? &verification->key : &first));
    if (verification->has_key) TRY(index_cursor_next(cursor));
    for (uint32_t count = 0; count < COMPARED_ENTRIES_COUNT_MAX; count++) {
        const struct index_entry entry = index_key_entry(index_cursor_key(cursor));
        TRY(entry_compare(verification, cursor->run, &entry));
        memcpy(verification->key.bytes, index_cursor_key(cursor), sizeof verification->key.bytes);
        verification->has_key = true;
        TRY(index_cursor_next(cursor));
    }
    return RESULT_OK;
}

static result run_compare(struct index_verification *verification, const struct index_run *run) {
    MDB_txn *transaction;
    struct index_cursor cursor;
    const struct environment *environment = &verification->part->environment;
    TRY(environment_result(mdb_txn_begin(environment->handle, NULL, MDB_RDONLY, &transaction), "read the index"));
    result outcome = index_cursor_open(run, transaction, &cursor);
    if (!failed(outcome)) {
        outcome = store_reader_begin(verification->reader, NULL);
        if (!failed(outcome)) {
            outcome = run_walk(verification, &cursor);
            store_reader_end(verification->reader);
        }
        index_cursor_close(&cursor);
    }
    mdb_txn_abort(transaction);
    return outcome;
}

static result runs_compare(struct index_verification *verification) {
    if (verification->run == verification->view->runs_count) {
        verification->stage = STAGE_DONE;
        return RESULT_OK;
    }
    const result compared = run_compare(verification, verification->view->runs[verification->run]);
    if (compared.failure != FAILURE_NOT_FOUND) return compared;
    verification->run++;
    verification->has_key = false;
    return RESULT_OK;
}

result index_verification_step(struct index_verification *verification, bool *ret_is_done) {
    assert(verification->stage != STAGE_DONE);
    const result compared =
        verification->stage == STAGE_EVENTS ? events_compare(verification) : runs_compare(verification);
    if (compared.failure == FAILURE_CORRUPT) {
        index_mark_damaged(verification->part);
        tell(verification, 0, "the index is damaged: a part of it is not what was written; Reindex builds it anew");
        verification->stage = STAGE_DONE;
    } else {
        TRY(compared);
    }
    if (verification->found_count >= FOUND_COUNT_MAX) verification->stage = STAGE_DONE;
    *ret_is_done = verification->stage == STAGE_DONE;
    return RESULT_OK;
}
