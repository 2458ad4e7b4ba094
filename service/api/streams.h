/* streams.h: how a stream is described to clients.
 *
 * Ownership: borrows everything. Threads: any, each with its own reader. */
#ifndef SERVICE_API_STREAMS_H
#define SERVICE_API_STREAMS_H

#include "service/api/lists.h"
#include "service/store/index_names.h"
#include "service/store/store.h"

/* What a description is made from. */
struct stream_source {
    struct index *index;
    struct store_reader *reader; /* has a snapshot that is at least as new as the figures */
    int64_t now_ns;              /* what is too old by this time has disappeared */
};

/* Fills the description of a stream from what the catalogue says, from its row, and from its first and last record; the one
 * place that does. `name` is the call's. Figures without events: a stream that has settings and no event yet;
 * FAILURE_NOT_FOUND when it has none either. FAILURE_CORRUPT, FAILURE_MEMORY and the storage failures. */
MUST_USE result stream_fill(const struct stream_source *source, upb_StringView name, const struct name_figures *figures,
                            daybook_v1_Stream *stream, upb_Arena *arena);

/* Answers a ListStreams in the order of last change. */
void streams_changed_answer(const struct api *api, daybook_server_call *call, const void *request);

#endif
