/* index_state.h: the index from the inside; for index*.c alone.
 *
 * The index that everybody has (struct index) is a name for the part that is current: a whole index in a directory, with an
 * environment, a thread and queries of its own. A rebuild (index_rebuild.h) fills another part and puts it in its place.
 * Who owns what: the thread that adds has `active` and `position_last` of the current part; the index thread of a part has
 * its catalog, the merges and all writing to disk; `mutex` of a part guards what both and the queries share.
 * Order of locks: `adding`, then a part's mutex, then the index's mutex.
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

struct index_part {
    struct index *owner;
    char *directory; /* where it was opened; a switch renames it */
    uint32_t run_events_count;
    struct environment environment;

    /* The thread that adds. */
    struct index_segment *active; /* being filled, also in the view; NULL: the next add begins one */
    uint64_t position_last;
    uint32_t terms_count_expected;

    /* Any thread. */
    atomic_uint references;    /* of the index, once it is current, and of queries */
    _Atomic uint64_t position; /* everything up to here is in listed runs */
    atomic_int failure;        /* enum failure: why the index thread has ended */

    pthread_mutex_t mutex;
    pthread_cond_t work; /* for the index thread: a segment is full, a view has gone, the index closes */
    pthread_cond_t room; /* for add: a segment has become a run, or the index thread has failed; for a rebuild: names */
    /* Guarded by mutex. */
    struct index_view *view;
    struct index_reader *readers; /* free ones */
    uint32_t segments_waiting_count;
    uint64_t waits_count;
    bool is_closing;
    bool gives_up; /* without space or memory the thread ends; not current yet */

    /* The index thread. */
    pthread_t thread;
    struct index_catalog catalog;
    struct index_merge *merges[INDEX_LEVELS_COUNT]; /* of runs of this level; NULL: none is going on */
    MDB_txn *reader;                                /* reset between steps */

    struct names *names;   /* NULL: without a store */
    int64_t flushed_ns;    /* the last flush, by clock_monotonic_ns */
    int64_t names_next_ns; /* when names may have their next step */
};

struct index {
    struct index_options options; /* with texts of its own */

    pthread_mutex_t adding;   /* whoever adds to the current part, or puts another in its place */
    pthread_cond_t caught_up; /* for add: the rebuild has come nearer, or has ended */
    /* Guarded by `adding`. */
    uint64_t rebuilt_position; /* how far the rebuild has come */
    uint64_t lag_max; /* add waits while it is more events ahead of the rebuild; UINT64_MAX: it does not wait */

    pthread_mutex_t mutex;
    pthread_cond_t released; /* for the rebuild: the last query has let go of a part that was replaced */
    /* Guarded by mutex. */
    struct index_part *current; /* changed with `adding` held, too */
    bool is_rebuilding;
    bool is_switching;           /* the directories are being exchanged */
    uint64_t waits_count_before; /* of parts that were replaced */
};

/* --- Parts: index.c. ------------------------------------------------------------------------------------------------ */

/* Opens the part in a directory, which is made when it is not there; one that is damaged is begun anew. Its thread does not
 * run yet. The failures of index_open. */
MUST_USE result index_part_open(struct index *owner, const char *directory, struct index_part **ret_part,
                                struct problem *ret_problem);
/* Stops its thread. Nobody holds it. NULL is allowed. Returns NULL. */
struct index_part *index_part_close(struct index_part *part);

/* Removes the files of a part that is not open, and the directory. */
MUST_USE result index_part_remove(const char *directory, struct problem *ret_problem);

/* As index_add; for the current part with `adding` held. Failures beyond it: what its thread has failed with. */
MUST_USE result index_part_add(struct index_part *part, uint64_t position, const struct index_entry *entries,
                               uint32_t count);
/* Waits until the thread has taken up all but one of the full segments, or has failed. */
void index_part_settle(struct index_part *part);
/* Waits until the thread has done something for names, or a tenth of a second. */
void index_part_await(struct index_part *part);

/* Notes on disk that the index is damaged, so that the next open begins it anew; nothing for a part that is not current. */
void index_mark_damaged(struct index_part *part);

/* --- The current part: index_current.c. ----------------------------------------------------------------------------- */

/* The current part, which stays open until it is released, also when it is replaced meanwhile. Any thread. */
struct index_part *index_hold(struct index *index);
void index_release(struct index *index, struct index_part *part);

/* --- The index thread of a part. ------------------------------------------------------------------------------------ */

/* Starts and stops it. FAILURE_MEMORY. */
MUST_USE result index_thread_start(struct index_part *index);
void index_thread_stop(struct index_part *index);

/* Has the index thread look for work; not under the mutex. */
void index_thread_wake(void *index);

/* Lets go of a view, not under the mutex; wakes the index thread when a run may have become free to be emptied. */
void index_view_release(struct index_part *index, struct index_view *view);

/* Ends the read transactions of the queries. */
void index_readers_close(struct index_part *index);

/* fsync of a directory; what fails costs no more than a rebuild. */
void index_directory_sync(const char *directory);

#endif
