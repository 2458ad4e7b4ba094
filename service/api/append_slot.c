#include "service/api/append_slot.h"

#include <assert.h>
#include <stdlib.h>

#include "service/api/append_outcome.h"
#include "service/base/limits.h"

#define SLOT_OF(member, name) ((struct append_slot *)(void *)((char *)(member)-offsetof(struct append_slot, name)))

#define BLOCK_BYTES (APPEND_SLOT_BYTES - sizeof(struct append_slot))

static void *allocate(upb_alloc *alloc, void *memory, size_t size_before, size_t size) {
    if (size == 0) {
        free(memory);
        return NULL;
    }
    struct append_slot *slot = SLOT_OF(alloc, alloc);
    if (slot->size_bytes + size - size_before > APPEND_MEMORY_BYTES_MAX) return NULL;
    void *allocated = realloc(memory, size);
    if (allocated != NULL) slot->size_bytes += size - size_before;
    return allocated;
}

void append_slot_begin(struct append_slot *slot) {
    slot->size_bytes = APPEND_SLOT_BYTES;
    slot->arena = upb_Arena_Init(slot->block, BLOCK_BYTES, &slot->alloc);
    assert(slot->arena != NULL);
    slot->state = SLOT_OPEN;
    slot->append.filter = NULL;
}

struct append_slot *append_slot_new(struct append_many *many) {
    struct append_slot *slot = malloc(APPEND_SLOT_BYTES);
    if (slot == NULL) return NULL;
    slot->many = many;
    slot->alloc.func = allocate;
    append_slot_begin(slot);
    return slot;
}

void append_slot_end(struct append_slot *slot) {
    append_deinit(&slot->append);
    upb_Arena_Free(slot->arena);
}

struct append_slot *append_slot_free(struct append_slot *slot) {
    free(slot);
    return NULL;
}

/* The error's texts are its own. */
static void refuse(struct append_slot *slot, const struct error *error) {
    assert(slot->state == SLOT_OPEN && error->conflicts == NULL);
    append_slot_end(slot);
    append_slot_begin(slot);
    slot->state = SLOT_SETTLED;
    slot->outcome = append_outcome_of_error(error, slot->arena);
}

void append_slot_fill(struct append_slot *slot, const struct api *api, const daybook_v1_AppendRequest *message) {
    struct error error __attribute__((uninitialized)); /* 3 KiB, filled by a refusal */
    if (!append_init(&slot->append, api, message, slot->arena, &error)) {
        refuse(slot, &error);
        return;
    }
    slot->size_bytes += filter_size_bytes(slot->append.filter);
    /* Better known here than by an estimate. */
    struct append_request *request = &slot->append.request;
    if (request->memory_bytes < slot->size_bytes) request->memory_bytes = slot->size_bytes;
}

void append_slot_refuse(struct append_slot *slot, enum failure failure) {
    struct error error;
    error_of_failure(&error, failure);
    refuse(slot, &error);
}

void append_slot_refuse_full(struct append_slot *slot) {
    struct error error;
    error_of_full_streams(&error);
    refuse(slot, &error);
}

/* The outcome is made in an arena of its own, because the block still holds the request then. */
void append_slot_settle(struct append_slot *slot) {
    assert(slot->state == SLOT_DECIDED);
    const uint64_t size_bytes = slot->size_bytes;
    if (size_bytes == APPEND_SLOT_BYTES) return;
    slot->size_bytes = APPEND_SLOT_BYTES;
    upb_Arena *arena = upb_Arena_Init(NULL, 0, &slot->alloc);
    const struct bytes outcome = arena == NULL ? bytes_of(NULL, 0) : append_outcome(&slot->append.request, arena);
    if (outcome.size == 0) {
        if (arena != NULL) upb_Arena_Free(arena);
        slot->size_bytes = size_bytes;
        return;
    }
    append_slot_end(slot);
    slot->arena = arena;
    slot->outcome = outcome;
    slot->state = SLOT_SETTLED;
}

struct bytes append_slot_outcome(const struct append_slot *slot) {
    assert(slot->state != SLOT_OPEN);
    return slot->state == SLOT_SETTLED ? slot->outcome : append_outcome(&slot->append.request, slot->arena);
}
