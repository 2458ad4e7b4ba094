/* filters.h: daybook.v1.Filter as the daemon's own filter.
 *
 * Threads: any. */
#ifndef SERVICE_API_FILTERS_H
#define SERVICE_API_FILTERS_H

#include "daybook/v1/event.upb.h"
#include "service/base/result.h"
#include "service/record/filter.h"

/* Compiles a validated filter. `*ret_filter` is NULL for one without clauses, or none: everything matches. FAILURE_MEMORY.
 * The caller frees it. `arena` is only used while this runs. */
MUST_USE result filter_compile(const daybook_v1_Filter *message, upb_Arena *arena, struct filter **ret_filter);

#endif
