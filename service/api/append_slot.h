/* append_slot.h: one request of AppendMany with its memory, from before it is received until its outcome is in a response.
 *
 * The first block of its arena is a part of the slot, which holds a small request whole: such a one costs no other
 * allocation. Slots are used again.
 * Ownership: whoever takes a slot frees it. Threads: the stream's; the sequencer's has the request between submission and
 * `done`, and the note after that until it is taken. */
#ifndef SERVICE_API_APPEND_SLOT_H
#define SERVICE_API_APPEND_SLOT_H

#include "service/api/append.h"
#include "service/api/notes.h"

struct append_many;

enum append_slot_state {
    SLOT_OPEN,    /* it is on its way to the sequencer, or there */
    SLOT_DECIDED, /* by the sequencer; the request is still there */
    SLOT_SETTLED, /* only the outcome is left, of a decision or of a refusal before that */
};

struct append_slot {
    struct note decided; /* left by `done` */
    struct append_slot *next;
    struct append_many *many;
    upb_Arena *arena;
    upb_alloc alloc;           /* of the arena: counts what it takes from the heap */
    uint64_t size_bytes;       /* what the slot holds, all in all */
    uint64_t size_bytes_taken; /* what the stream counts of it */
    enum append_slot_state state;
    struct bytes outcome; /* of one that is settled, in the arena; empty without memory */
    struct append append;
    _Alignas(16) unsigned char block[];
};

/* NULL without memory. */
struct append_slot *append_slot_new(struct append_many *many);

/* Releases what its last request held; and makes it as new, when it is to be used again. */
void append_slot_end(struct append_slot *slot);
void append_slot_begin(struct append_slot *slot);

/* After the end. Returns NULL. */
struct append_slot *append_slot_free(struct append_slot *slot);

/* Makes a request of the message, which was received into the slot's arena, or refuses it. A refusal gives back what the slot
 * holds, the message too, but for the outcome. */
void append_slot_fill(struct append_slot *slot, const struct api *api, const daybook_v1_AppendRequest *message);

/* For a request that is not taken by the sequencer, and for one that all streams together have no room for. */
void append_slot_refuse(struct append_slot *slot, enum failure failure);
void append_slot_refuse_full(struct append_slot *slot);

/* Keeps of a decided request nothing but the outcome, if it holds more than the slot's own block. Without memory for that it
 * stays as it is. */
void append_slot_settle(struct append_slot *slot);

/* The AppendOutcome of a slot that is not open any more, in its arena; empty without memory. */
struct bytes append_slot_outcome(const struct append_slot *slot);

#endif
