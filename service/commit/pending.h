/* pending.h: what the group that is being applied has decided about names, and nobody may see yet.
 *
 * A small hash table from a name to a number: a stream to its last revision, an event id to its position. The term finds
 * the slot, the name itself decides.
 * Ownership: names are views of the group's requests, which live until the group is answered. Threads: the sequencer's. */
#ifndef SERVICE_COMMIT_PENDING_H
#define SERVICE_COMMIT_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/checksum.h"
#include "service/base/limits.h"

/* At most one name an event: a group is closed by the request that fills it. */
#define PENDING_COUNT_MAX (GROUP_EVENTS_COUNT_MAX + REQUEST_EVENTS_COUNT_MAX)
/* Half full at the most, so that probing stays short. */
#define PENDING_SLOTS_COUNT 32768

_Static_assert(PENDING_SLOTS_COUNT >= 2 * PENDING_COUNT_MAX, "the table is at most half full");
_Static_assert((PENDING_SLOTS_COUNT & (PENDING_SLOTS_COUNT - 1)) == 0, "a slot is found by a mask");
_Static_assert(PENDING_COUNT_MAX < UINT16_MAX, "a slot holds an index in 16 bits");

struct pending_name {
    struct term term;
    struct bytes name;
    uint64_t number;
    uint32_t slot; /* where it is in the table */
};

/* Zero-initialised, it is empty. Memory is touched as it is used. */
struct pending {
    uint32_t count;
    struct pending_name names[PENDING_COUNT_MAX];
    uint16_t slots[PENDING_SLOTS_COUNT]; /* index into names + 1; 0: free */
};

bool pending_get(const struct pending *pending, struct term term, struct bytes name, uint64_t *ret_number);
/* At most PENDING_COUNT_MAX different names. */
void pending_set(struct pending *pending, struct term term, struct bytes name, uint64_t number);
void pending_clear(struct pending *pending);

#endif
