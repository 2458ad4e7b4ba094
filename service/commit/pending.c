#include "service/commit/pending.h"

#include <assert.h>
#include <string.h>

/* The slot of a name, or the free one where it belongs. */
static uint32_t slot_of(const struct pending *pending, struct term term, struct bytes name) {
    uint32_t slot;
    memcpy(&slot, term.bytes, sizeof slot);
    for (slot &= PENDING_SLOTS_COUNT - 1; pending->slots[slot] != 0; slot = (slot + 1) & (PENDING_SLOTS_COUNT - 1)) {
        const struct pending_name *found = &pending->names[pending->slots[slot] - 1];
        if (term_equal(found->term, term) && bytes_equal(found->name, name)) return slot;
    }
    return slot;
}

bool pending_get(const struct pending *pending, struct term term, struct bytes name, uint64_t *ret_number) {
    const uint16_t index = pending->slots[slot_of(pending, term, name)];
    if (index != 0) *ret_number = pending->names[index - 1].number;
    return index != 0;
}

void pending_set(struct pending *pending, struct term term, struct bytes name, uint64_t number) {
    const uint32_t slot = slot_of(pending, term, name);
    if (pending->slots[slot] == 0) {
        assert(pending->count < PENDING_COUNT_MAX);
        pending->names[pending->count++] = (struct pending_name){.term = term, .name = name, .slot = slot};
        pending->slots[slot] = (uint16_t)pending->count;
    }
    pending->names[pending->slots[slot] - 1].number = number;
}

/* Frees the slots of this group alone: clearing the whole table for a group of one event would cost more than the event. */
void pending_clear(struct pending *pending) {
    for (uint32_t index = 0; index < pending->count; index++) pending->slots[pending->names[index].slot] = 0;
    pending->count = 0;
}
