/* names_state.h: the names from the inside; for names_work.c, names_query.c, and the index, which opens and works them.
 *
 * Who owns what: the index thread has the catalog, the table that is filled and the merges; `mutex` guards what queries use.
 * Threads: as said at each field and function. */
#ifndef SERVICE_STORE_NAMES_STATE_H
#define SERVICE_STORE_NAMES_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "service/store/names_catalog.h"
#include "service/store/names_merge.h"
#include "service/store/names_table.h"
#include "service/store/store.h"

/* Events of one snapshot of the log, and so of one step: an old snapshot keeps pages from being reused. */
#define NAMES_STEP_EVENTS_COUNT_MAX 4096

struct names {
    struct environment *environment; /* the index's */
    uint32_t events_count_max;       /* of a table */
    void (*wake)(void *context);     /* called by queries when there is work, see names_is_wanted */
    void *context;

    /* Any thread. */
    _Atomic uint64_t position;
    _Atomic uint32_t runs_count;
    _Atomic uint64_t kept_count;
    atomic_bool is_wanted; /* a query failed because the runs lag behind */
    atomic_bool is_to_begin_anew;
    atomic_bool is_log_damaged; /* an event could not be read: the runs end before it for good */

    /* The index thread. */
    struct names_catalog catalog;
    struct store_reader *log;
    MDB_txn *reader;            /* reset between steps */
    struct names_table *table;  /* being filled, or written; NULL: the next step begins one */
    struct names_writer writer; /* of the table, once it is full; `run` is NULL before */
    uint32_t written_count;
    struct names_merge *merges[NAMES_LEVELS_COUNT]; /* of runs of this level; NULL: none is going on */
    bool merged_last;                               /* the last step was one of a merge */

    pthread_mutex_t mutex;
    /* Guarded by mutex: what queries use. */
    struct store_reader *query_log;
    MDB_txn *query_reader; /* reset between queries */
    struct names_table *tail[NAMES_TAIL_TABLES_COUNT_MAX];
    uint32_t tail_count;
    int64_t queried_ns; /* the last query, by clock_monotonic_ns */
};

struct names_options {
    struct environment *environment; /* opened for NAMES_ENVIRONMENT_TABLES_COUNT more tables */
    struct store *store;
    uint32_t events_count_max;
    void (*wake)(void *context);
    void *context;
};

/* A catalogue that is not sound is begun anew. Nothing may write to the environment meanwhile. */
MUST_USE result names_open(const struct names_options *options, struct names **ret_names);
/* After the index thread has ended and every query has returned. NULL is allowed. Returns NULL. */
struct names *names_close(struct names *names);

/* --- The index thread's. `position_end`: names are taken of the events up to it, which the log has. ------------------ */

/* Whether there is something to do, and whether queries cannot be answered before it is done. */
bool names_has_work(struct names *names, uint64_t position_end);
bool names_is_wanted(struct names *names, uint64_t position_end);

/* Does one short step: at most one write transaction. FAILURE_STORAGE_FULL, FAILURE_MEMORY: it can be tried again. Damage is no
 * failure, because nobody but lists needs names: runs are begun anew, and behind a damaged event of the log there is no more
 * work. */
MUST_USE result names_step(struct names *names, uint64_t position_end);

/* --- What both sides use. ----------------------------------------------------------------------------------------- */

/* Adds events to a table, at most NAMES_STEP_EVENTS_COUNT_MAX, not beyond `position_end`, and not more than it takes. */
MUST_USE result names_table_fill(struct names_table *table, struct store_reader *log, uint64_t position_end);

/* What begin_anew does, under the mutex. */
void names_begin_anew_locked(struct names *names);

/* Frees the tables of the tail whose events are in runs. Under the mutex. */
void names_tail_trim(struct names *names, uint64_t position);

#endif
