/* stream_metadata.h: the owner's metadata of a stream, between messages and the row it is kept in.
 *
 * It is kept as an encoded StreamSettings that has nothing else, entries in the order of their keys: so the same metadata has
 * the same bytes. It is taken apart here, because upb 29 may abort on a map at the end of its input (sdk/runtime/codec.h).
 * Ownership: texts are the arena's. Threads: any. */
#ifndef SERVICE_API_STREAM_METADATA_H
#define SERVICE_API_STREAM_METADATA_H

#include "daybook/v1/event_store.upb.h"
#include "service/base/bytes.h"
#include "service/base/result.h"

/* FAILURE_MEMORY. */
MUST_USE result stream_metadata_encode(const daybook_v1_StreamSettings *settings, upb_Arena *arena,
                                       struct bytes *ret_encoded);

/* Adds what is kept to settings. FAILURE_MEMORY, and FAILURE_CORRUPT when the bytes are something else. */
MUST_USE result stream_metadata_decode(struct bytes encoded, daybook_v1_StreamSettings *settings, upb_Arena *arena);

#endif
