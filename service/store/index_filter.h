/* index_filter.h: tells for most terms that a run does not have them, for one look at memory instead of a search.
 *
 * A new stream or event id is in no run, and every run has to be asked; so a run has a blocked Bloom filter of its terms.
 * A term belongs to one block of 64 bytes, a line of the processor's cache, chosen by its first 8 bytes so that blocks are
 * in the order of terms: the filter of a run of any size is written from start to end as the run is, with one chunk in
 * memory. The last 8 bytes choose 7 of the block's 480 bits. With 12 bits a term 0.8 % of the absent terms are taken for
 * present.
 *   block   480 bits (60 bytes), then their checksum (4 bytes, little-endian): their CRC32C, mixed with the run's positions
 *           and the number of the block. A lost bit would hide an entry, and so would a block from another place.
 *   chunk   511 blocks, always whole: larger than half of LMDB's largest page, so that it has pages of its own
 * Table `filters` has the chunks of all runs:
 *   key     number of the run's table (4 bytes, big-endian), number of the chunk (4 bytes, big-endian)
 *
 * Why no transaction to look. LMDB never moves or changes pages that belong to one value alone; it frees them when the value
 * is removed, and a run's filter is removed only once no view shows the run. So a filter notes once where its chunks are in
 * the map (8 bytes each, 0.03 %), and whoever holds a view looks there.
 *
 * Ownership: a filter's list of chunks belongs to the run; writers belong to the caller.
 * Threads: look and prefetch belong to any that holds a view of the run, the rest to the index thread.
 * Errors: FAILURE_CORRUPT (a chunk is not what was written), and what environment_result says. */
#ifndef SERVICE_STORE_INDEX_FILTER_H
#define SERVICE_STORE_INDEX_FILTER_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/base/checksum.h"
#include "service/base/result.h"

#define INDEX_FILTER_BLOCK_BYTES        64
#define INDEX_FILTER_CHUNK_BLOCKS_COUNT 511
#define INDEX_FILTER_CHUNK_PAGES_COUNT  8  /* of 4 KiB, the smallest */
#define INDEX_FILTER_BLOCK_TERMS_COUNT  40 /* 12 bits a term */

/* Which filter: of which run, and how long. */
struct index_filter {
    MDB_dbi table;          /* `filters` */
    uint32_t number;        /* of the run's table */
    uint32_t blocks_count;  /* index_filter_blocks_count of at least the terms it has */
    uint32_t seed;          /* index_filter_seed of the run */
    const uint8_t **chunks; /* where they are in the map, once it is mapped; NULL: not reserved */
};

uint32_t index_filter_blocks_count(uint64_t terms_count);
uint32_t index_filter_seed(uint64_t position_first, uint64_t position_last);

/* Memory for the list of chunks, so that mapping cannot lack it. FAILURE_MEMORY. */
MUST_USE result index_filter_reserve(struct index_filter *filter);
/* Frees it. One that is not reserved is allowed. */
void index_filter_release(struct index_filter *filter);
/* Notes where the chunks are. `reader` began after they were committed; what is noted outlives it. FAILURE_CORRUPT: they
 * are not all there. */
MUST_USE result index_filter_map(struct index_filter *filter, MDB_txn *reader);

struct index_filter_writer {
    struct index_filter filter;
    uint64_t bytes_written; /* counts up; what environment_commit wants to know */
    uint32_t block;         /* that terms are added to */
    uint8_t chunk[INDEX_FILTER_CHUNK_BLOCKS_COUNT * INDEX_FILTER_BLOCK_BYTES];
};

void index_filter_writer_init(struct index_filter_writer *writer, const struct index_filter *filter);
/* `term` is not before those added already. */
MUST_USE result index_filter_writer_add(struct index_filter_writer *writer, MDB_txn *transaction, struct term term);
/* Writes what is left. */
MUST_USE result index_filter_writer_end(struct index_filter_writer *writer, MDB_txn *transaction);

/* Whether the run may have the term; `ret_may_have` false: it has not. The filter is mapped. */
MUST_USE result index_filter_look(const struct index_filter *filter, struct term term, bool *ret_may_have);
/* Asks the processor for what look reads. */
void index_filter_prefetch(const struct index_filter *filter, struct term term);

/* Removes what there is of the filter. `ret_chunks_count`: how much that was. */
MUST_USE result index_filter_remove(const struct index_filter *filter, MDB_txn *transaction,
                                    uint64_t *ret_chunks_count);

#endif
