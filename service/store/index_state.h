/* index_state.h: the index from the inside; for index.c, index_add.c, index_query.c and index_thread.c alone.
 *
 * Who owns what: the thread that adds has `active` and `position_last`; the index thread has the catalog, the merges and
 * all writing to disk; `mutex` guards what both and the queries share.
 * Threads: as said at each field. */
#ifndef SERVICE_STORE_INDEX_STATE_H
#define SERVICE_STORE_INDEX_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "service/store/environment.h"
#include "service/store/index.h"
#include "service/store/index_catalog.h"
#include "service/store/index_merge.h"
#include "service/store/index_segment.h"
#include "service/store/index_view.h"
#include "service/store/names_state.h"

/* A read transaction of LMDB that queries take turns with: beginning a new one takes a lock of LMDB's. */
struct index_reader {
    struct index_reader *next;
    MDB_txn *transaction; /* reset, when no query has it */
};

struct index {
    char *directory;
    uint32_t run_events_count;
    struct environment environment;

    /* The thread that adds. */
    struct index_segment *active; /* being filled, also in the view; NULL: the next add begins one */
    uint64_t position_last;
    uint32_t terms_count_expected;

    /* Any thread. */
    _Atomic uint64_t position; /* everything up to here is in listed runs */
    atomic_int failure;        /* enum failure: why the index thread has ended */

    pthread_mutex_t mutex;
    pthread_cond_t work; /* for the index thread: a segment is full, a view has gone, the index closes */
    pthread_cond_t room; /* for add: a segment has become a run, or the index thread has failed */
    /* Guarded by mutex. */
    struct index_view *view;
    struct index_reader *readers; /* free ones */
    uint32_t segments_waiting_count;
    uint64_t waits_count;
    bool is_closing;

    /* The index thread. */
    pthread_t thread;
    struct index_catalog catalog;
    struct index_merge *merges[INDEX_LEVELS_COUNT]; /* of runs of this level; NULL: none is going on */
    MDB_txn *reader;                                /* reset between steps */

    struct names *names; /* NULL: without a store */
};

/* Starts and stops the index thread. FAILURE_MEMORY. */
MUST_USE result index_thread_start(struct index *index);
void index_thread_stop(struct index *index);

/* Has the index thread look for work; not under the mutex. */
void index_thread_wake(void *index);

/* Lets go of a view, not under the mutex; wakes the index thread when a run may have become free to be emptied. */
void index_view_release(struct index *index, struct index_view *view);

/* Notes on disk that the index is damaged, so that the next open begins it anew. */
void index_mark_damaged(struct index *index);

/* Ends the read transactions of the queries. */
void index_readers_close(struct index *index);

#endif
