/* revision_cache.h: the last revisions of the streams that were used last, in memory.
 *
 * A cache of sets: a stream's term names its set, a set has REVISION_CACHE_WAYS places, the next place of a full set is
 * taken over in turn. Each entry keeps the stream's name, so that two names with one term are never taken for one another.
 * Memory: STREAM_CACHE_COUNT_MAX entries of 48 bytes (24 MiB, touched only as it is used: 9 MiB for 200,000 streams), with
 * the name in the entry, or beside it when it is long.
 * Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_REVISION_CACHE_H
#define SERVICE_COMMIT_REVISION_CACHE_H

#include "service/base/bytes.h"
#include "service/base/checksum.h"
#include "service/base/result.h"

struct revision_cache;

MUST_USE result revision_cache_new(struct revision_cache **ret_cache);
struct revision_cache *revision_cache_free(struct revision_cache *cache);

/* FAILURE_NOT_FOUND: not in the cache, which says nothing about the stream. */
MUST_USE result revision_cache_get(const struct revision_cache *cache, struct term term, struct bytes stream,
                                   uint64_t *ret_revision);

/* Remembers a revision. Without memory for the name the stream is not remembered: that costs a look into the index. */
void revision_cache_put(struct revision_cache *cache, struct term term, struct bytes stream, uint64_t revision);

/* Asks the processor for the part of the cache that the term leads to: it is asked for soon. */
void revision_cache_prefetch(const struct revision_cache *cache, struct term term);

#endif
