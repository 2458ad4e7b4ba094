/* readers.c: which log a reader belongs to, and how it comes to another while others use theirs.
 *
 * A reader keeps a transaction and with it a slot of its log. When a compaction replaces the log, whoever is not in use is
 * moved at once, so that an idle reader does not keep the old file; whoever has a snapshot moves itself at its end. One
 * exchange of `use` decides between the two threads:
 *
 *     reader's thread                           writing thread (readers_switch)
 *     take: idle -> taken; then the log?        log = new
 *     give: taken -> idle; then the log?        idle -> taken, move, taken -> idle; or leave it
 *
 * Both orders are total (sequentially consistent), so either the giver sees the new log or the switch sees an idle reader. */
#include <assert.h>
#include <stdlib.h>

#include "service/base/logging.h"
#include "service/store/store_private.h"

/* A transaction, reset, and a cursor in a log. */
static result transaction_make(struct log_environment *log, MDB_txn **ret_transaction, MDB_cursor **ret_cursor) {
    MDB_txn *transaction;
    MDB_cursor *cursor;
    TRY(environment_result(mdb_txn_begin(log->environment.handle, NULL, MDB_RDONLY, &transaction), "open a reader"));
    const int code = mdb_cursor_open(transaction, log->tables.handles[TABLE_EVENTS], &cursor);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(transaction);
        return environment_result(code, "open a reader");
    }
    mdb_txn_reset(transaction);
    *ret_transaction = transaction;
    *ret_cursor = cursor;
    return RESULT_OK;
}

/* The reader is the caller's alone, and has no snapshot. Gives its reference to its old log to the caller, who lets go of it
 * without the mutex: closing takes its time. */
static result reader_move_locked(struct store_reader *reader, struct log_environment **ret_before) {
    struct log_environment *log = store_log(reader->store);
    MDB_txn *transaction;
    MDB_cursor *cursor;
    TRY(transaction_make(log, &transaction, &cursor));
    mdb_cursor_close(reader->cursor);
    mdb_txn_abort(reader->transaction);
    *ret_before = reader->log;
    reader->log = log_environment_ref(log);
    reader->transaction = transaction;
    reader->cursor = cursor;
    reader->cursor_position = 0;
    return RESULT_OK;
}

static result reader_move(struct store_reader *reader) {
    struct log_environment *before = NULL;
    result outcome = RESULT_OK;
    pthread_mutex_lock(&reader->store->mutex);
    if (reader->log != store_log(reader->store)) outcome = reader_move_locked(reader, &before);
    pthread_mutex_unlock(&reader->store->mutex);
    log_environment_unref(before);
    return outcome;
}

static bool reader_try_take(struct store_reader *reader) {
    int idle = READER_IS_IDLE;
    return atomic_compare_exchange_strong(&reader->use, &idle, READER_IS_TAKEN);
}

result store_reader_take(struct store_reader *reader) {
    while (!reader_try_take(reader)) {
        /* It is being moved; its mover holds the mutex. */
        pthread_mutex_lock(&reader->store->mutex);
        pthread_mutex_unlock(&reader->store->mutex);
    }
    if (reader->log == store_log(reader->store)) return RESULT_OK;
    const result moved = reader_move(reader);
    if (failed(moved)) atomic_store(&reader->use, READER_IS_IDLE);
    return moved;
}

void store_reader_give(struct store_reader *reader) {
    const struct log_environment *log = reader->log;
    atomic_store(&reader->use, READER_IS_IDLE);
    if (log == store_log(reader->store)) return;
    /* With the mutex an idle reader is its own thread's alone, which is this one. */
    const result moved = reader_move(reader);
    if (failed(moved))
        log_warn("a reader keeps a replaced log until its next use", "failure", failure_name(moved.failure));
}

void readers_switch(struct store *store, struct log_environment *log) {
    assert(store->transaction == NULL);
    pthread_mutex_lock(&store->mutex);
    struct log_environment *before = store_log(store);
    atomic_store(&store->log, log_environment_ref(log));
    for (struct store_reader *reader = store->readers_first; reader != NULL; reader = reader->next) {
        if (!reader_try_take(reader)) continue;
        struct log_environment *left = NULL;
        /* One that cannot be moved now tries again itself at its next use. */
        const result moved = reader_move_locked(reader, &left);
        if (failed(moved)) log_warn("a reader keeps a replaced log", "failure", failure_name(moved.failure));
        atomic_store(&reader->use, READER_IS_IDLE);
        log_environment_unref(left);
    }
    pthread_mutex_unlock(&store->mutex);
    log_environment_unref(before);
}

result store_reader_open(struct store *store, struct store_reader **ret_reader) {
    struct store_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) return failure_result(FAILURE_MEMORY);
    reader->store = store;
    atomic_init(&reader->use, READER_IS_IDLE);
    pthread_mutex_lock(&store->mutex);
    /* Counted here, so that there is a slot in the next log for every reader of this one. */
    result outcome = store->readers_count < STORE_READERS_COUNT_MAX ? RESULT_OK : failure_result(FAILURE_LIMIT);
    if (!failed(outcome)) outcome = transaction_make(store_log(store), &reader->transaction, &reader->cursor);
    if (!failed(outcome)) {
        reader->log = log_environment_ref(store_log(store));
        reader->next = store->readers_first;
        reader->link = &store->readers_first;
        if (reader->next != NULL) reader->next->link = &reader->next;
        store->readers_first = reader;
        store->readers_count++;
    }
    pthread_mutex_unlock(&store->mutex);
    if (failed(outcome)) {
        free(reader);
        return outcome;
    }
    *ret_reader = reader;
    return RESULT_OK;
}

struct store_reader *store_reader_close(struct store_reader *reader) {
    if (reader == NULL) return NULL;
    assert(!reader->has_snapshot);
    struct store *store = reader->store;
    pthread_mutex_lock(&store->mutex);
    *reader->link = reader->next;
    if (reader->next != NULL) reader->next->link = reader->link;
    store->readers_count--;
    pthread_mutex_unlock(&store->mutex);
    mdb_cursor_close(reader->cursor);
    mdb_txn_abort(reader->transaction);
    log_environment_unref(reader->log);
    free(reader);
    return NULL;
}
