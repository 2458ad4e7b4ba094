/* append_outcome.h: a decided append as the bytes of a daybook.v1.AppendOutcome.
 *
 * Ownership: the bytes are in the arena they were asked for in. Threads: any; an arena serves one at a time.
 * Errors: empty bytes without memory. */
#ifndef SERVICE_API_APPEND_OUTCOME_H
#define SERVICE_API_APPEND_OUTCOME_H

#include "service/api/append.h"

/* Of a request that the sequencer has decided. */
struct bytes append_outcome(const struct append_request *request, upb_Arena *arena);

/* Of one that was refused before that. */
struct bytes append_outcome_of_error(const struct error *error, upb_Arena *arena);

#endif
