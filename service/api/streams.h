/* streams.h: how a stream is described to clients.
 *
 * Ownership: borrows everything. Threads: any, each with its own reader. */
#ifndef SERVICE_API_STREAMS_H
#define SERVICE_API_STREAMS_H

#include "service/api/lists.h"
#include "service/store/names.h"
#include "service/store/store.h"

/* Fills the description of a stream from what the catalogue says and from its first and last record; the one place that does.
 * `name` is the call's. `reader` has a snapshot that is at least as new as the figures. FAILURE_CORRUPT, FAILURE_MEMORY and the
 * storage failures. */
MUST_USE result fill_stream(struct store_reader *reader, upb_StringView name, const struct name_figures *figures,
                            daybook_v1_Stream *stream, upb_Arena *arena);

/* Answers a ListStreams in the order of last change. */
void streams_changed_answer(const struct api *api, daybook_server_call *call, const void *request);

#endif
