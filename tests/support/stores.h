/* stores.h: a store in a temporary directory, with records that can be told from their positions.
 *
 * Ownership: the caller closes and removes. Threads: one. Errors: what fails is an assertion. */
#ifndef TESTS_SUPPORT_STORES_H
#define TESTS_SUPPORT_STORES_H

#include "service/base/bytes.h"
#include "service/store/store.h"

/* Small enough for sanitizers, whose own maps leave little address space. */
#define STORES_MAP_BYTES (256u << 20)

/* Opens the store in a directory. */
struct store *stores_open(const char *directory);

/* The record that the tests expect at a position: stream "stream-<position % 7>", a payload of `payload_bytes` that
 * follows from the position. The caller frees it. */
struct bytes stores_record(uint64_t position, size_t payload_bytes);
void stores_record_free(struct bytes record);

/* Appends and commits records [first, last], each with a payload of `payload_bytes`, in one transaction. */
result stores_append(struct store *store, uint64_t first, uint64_t last, size_t payload_bytes);

#endif
