/* failpoint.h: places at which a test kills, holds or misleads the daemon. They are compiled into test builds alone
 * (-DDAYBOOK_FAILPOINTS, //tests/torture:daybookd_failpoints); in any other build they are nothing.
 *
 * The variable DAYBOOK_FAILPOINTS has what happens where, separated by commas:
 *   name=kill[:N]        SIGKILL at the N-th time (the first)
 *   name=pause:MS[:N]    waits so long, from the N-th time on
 *   wall_clock=shift:MS[:N]   the wall clock jumps by so much at the N-th look at it
 *   index_run_events=limit:N  a limit is N
 *   break_name=on        the daemon breaks one of its promises: proves that the tests notice
 *   list                 prints all names, one a line, and ends the process with 0
 * A name that nobody knows ends the process with 64, so that no test believes in a fault that never was.
 *
 * Ownership: none. Threads: any. Errors: none. */
#ifndef SERVICE_BASE_FAILPOINT_H
#define SERVICE_BASE_FAILPOINT_H

#include <stdbool.h>
#include <stdint.h>

enum failpoint {
    /* The first start. */
    FAILPOINT_LOG_FILLED,
    FAILPOINT_LOG_RENAMED,
    FAILPOINT_LOG_CREATED,
    FAILPOINT_FORMAT_WRITTEN,
    FAILPOINT_FORMAT_RENAMED,
    FAILPOINT_FORMAT_SYNCED,
    /* An append, in the order of its way. */
    FAILPOINT_GROUP_TAKEN,
    FAILPOINT_TRANSACTION_BEGUN,
    FAILPOINT_PUT_BEFORE,
    FAILPOINT_PUT_AFTER,
    FAILPOINT_GROUP_APPLIED,
    FAILPOINT_FILE_GROWN,
    FAILPOINT_COMMIT_BEFORE,
    FAILPOINT_COMMIT_AFTER,
    FAILPOINT_INDEX_ADDED,
    FAILPOINT_TAIL_PUBLISHED,
    FAILPOINT_HEAD_ADVANCED,
    FAILPOINT_READERS_WOKEN,
    FAILPOINT_ANSWER_BEFORE,
    FAILPOINT_ANSWER_AFTER,
    FAILPOINT_GROUP_ANSWERED,
    /* The index. */
    FAILPOINT_RUN_BEFORE,
    FAILPOINT_RUN_COMMITTED,
    FAILPOINT_RUN_PUBLISHED,
    /* A compaction. */
    FAILPOINT_COPY_STEPPED,
    FAILPOINT_SWITCH_BEFORE,
    FAILPOINT_SWITCH_EXCHANGED,
    FAILPOINT_SWITCH_SYNCED,
    FAILPOINT_SWITCH_PUBLISHED,
    FAILPOINT_LEFTOVERS_REMOVED,
    /* Not places but values. */
    FAILPOINT_WALL_CLOCK,
    FAILPOINT_INDEX_RUN_EVENTS,
    /* Promises that are broken on purpose. */
    FAILPOINT_BREAK_ACK_EARLY,
    FAILPOINT_BREAK_TAIL_PUBLISH,
    FAILPOINT_BREAK_CHECKSUM,
    FAILPOINT_BREAK_META_SYNC,
    FAILPOINT_BREAK_VISIBILITY,
    FAILPOINT_BREAK_ERASURE,
    FAILPOINTS_COUNT
};

#ifdef DAYBOOK_FAILPOINTS

void failpoint_reach(enum failpoint failpoint);
/* What a value is to be shifted by. */
int64_t failpoint_shift_ms(enum failpoint failpoint);
/* What a limit is, when it is `limit` in every other build. */
uint32_t failpoint_limit(enum failpoint failpoint, uint32_t limit);
bool failpoint_is_on(enum failpoint failpoint);

#define DAYBOOK_FAILPOINT(name)    failpoint_reach(FAILPOINT_##name)
#define DAYBOOK_SHIFT_MS(name)     failpoint_shift_ms(FAILPOINT_##name)
#define DAYBOOK_LIMIT(name, limit) failpoint_limit(FAILPOINT_##name, limit)
#define DAYBOOK_IS_BROKEN(name)    failpoint_is_on(FAILPOINT_BREAK_##name)

#else

#define DAYBOOK_FAILPOINT(name)    ((void)0)
#define DAYBOOK_SHIFT_MS(name)     INT64_C(0)
#define DAYBOOK_LIMIT(name, limit) (limit)
#define DAYBOOK_IS_BROKEN(name)    false

#endif

#endif
