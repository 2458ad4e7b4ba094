/* names.h: which streams, types and tags there are, and how often; derived from the log, for lists.
 *
 * Shape. The names of up to INDEX_RUN_EVENTS_COUNT consecutive events are aggregated in memory (names_table.h) and written,
 * sorted, as a names run, a table of DIR/index (names_run.h has its bytes); INDEX_RUNS_MERGED_COUNT runs of a level become one
 * of the next, in which each name is once (names_merge.h). The table `names` lists them (names_catalog.h). It all is work of
 * the index thread, after everything else that it has to do (names_work.c), so appends never wait for it: the runs follow the
 * index and may lag behind. A query adds what the log has after the last run, aggregated when it is asked for and kept for
 * the next query (the tail, names_query.c), so it sees every event that was committed before it began.
 *
 * When the runs are so far behind that the tail would be larger than its bounds (NAMES_TAIL_TABLES_COUNT_MAX), after an
 * upgrade or an hour of appends without a pause, a query fails with FAILURE_NOT_READY and the index thread catches up first.
 * A run that is not what was written is never believed: queries fail with FAILURE_NOT_READY, and the catalogue is begun anew.
 *
 * A removed or erased event counts for the names that it still has when it is read; a name that was counted stays counted
 * until the catalogue is begun anew.
 * Ownership: part of the index, and lives as long. Threads: list, find, count and begin_anew any, lists one after the other. */
#ifndef SERVICE_STORE_NAMES_H
#define SERVICE_STORE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/checksum.h"
#include "service/base/result.h"

struct names;

struct name_figures {
    uint64_t events_count;
    uint64_t bytes_count; /* of the events' encoded records */
    uint64_t position_first;
    uint64_t position_last;
};

/* Called for each name, in the order of bytes; false: no more. Must not call names again. The name is valid during the call. */
typedef bool names_visit(void *context, struct bytes name, const struct name_figures *figures);

/* The streams, types or tags that begin with `prefix` and come after `after` (empty: from the first on). FAILURE_NOT_READY,
 * FAILURE_MEMORY, FAILURE_CORRUPT (the log itself is damaged) and the storage failures. */
MUST_USE result names_list(struct names *names, enum term_kind kind, struct bytes prefix, struct bytes after,
                           names_visit *visit, void *context);

/* One name. FAILURE_NOT_FOUND, and as above. */
MUST_USE result names_find(struct names *names, enum term_kind kind, struct bytes name,
                           struct name_figures *ret_figures);

/* Several names of a kind at one moment; `events_count` is 0 of one that is not there. Failures as above. */
MUST_USE result names_find_all(struct names *names, enum term_kind kind, const struct bytes *asked, uint32_t count,
                               struct name_figures *ret_figures);

/* Throws the catalogue away and has it made again from the log, in the background: the log's records are others now. */
void names_begin_anew(struct names *names);

/* To be called now and then, with clock_monotonic_ns: frees what is kept for the next query when there was none for
 * NAMES_TAIL_KEPT_SECONDS. */
void names_rest(struct names *names, int64_t now_ns);

struct names_counts {
    uint64_t position;   /* everything up to here is in runs */
    uint64_t runs_count; /* that are listed */
    uint64_t kept_count; /* names that are kept in memory for the next query */
};
struct names_counts names_count(const struct names *names);

#endif
