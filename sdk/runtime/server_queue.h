/* server_queue.h: one completion queue of a server, and everything that only its thread touches.
 *
 * A call belongs to the queue it arrived on, and all that happens to it happens on that queue's thread: no call has a
 * lock. Other threads (a commit thread that acknowledges a whole group) leave a command with the queue instead of
 * entering gRPC, where they would pay for the writes to the sockets: one compare-and-swap, and one wake-up for all
 * commands that gather until the queue's thread takes them.
 *
 * Ownership: queues are part of their server; slots go back to the queue they came from.
 * Threads: `post`, `is_inside` and `count` any; everything else the queue's own, open and close the server's owner's.
 * Errors: RESOURCE_EXHAUSTED when a thread cannot be made; NULL for a slot without memory. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_QUEUE_H
#define DAYBOOK_SDK_RUNTIME_SERVER_QUEUE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "daybook/server.h"
#include "sdk/runtime/loop.h"
#include "sdk/runtime/server_answers.h"

/* A call or stream with its first arena block: one page, which holds a small request, its answer's message and what a
 * handler keeps for it, so that such a call allocates nothing of ours. */
#define DAYBOOK__SLOT_BYTES 4096u

/* Slots that wait for the next call, at most 1 MiB a queue. What comes in a larger burst is given back to the heap. The
 * address sanitizer must see a slot that is used after its end, so there none waits. */
#if defined(__SANITIZE_ADDRESS__)
#define DAYBOOK__SLOTS_POOLED_MAX 0u
#else
#define DAYBOOK__SLOTS_POOLED_MAX 256u
#endif

/* What another thread asks of a queue; embedded in what it is about. */
struct server_command {
    struct server_command *next;
    void (*run)(struct server_command *command);
};

struct server_slot {
    struct server_slot *next;
};

struct server_queue {
    struct loop *loop;
    struct daybook_server *server;

    /* The newest command first; NULL means that nothing is left there and no wake-up is on its way. */
    _Alignas(64) _Atomic(struct server_command *) commands;
    struct loop_operation wake;

    /* The queue's thread alone, but for the counts, which others read. */
    _Alignas(64) struct server_slot *slots;
    uint32_t slots_count;
    uint32_t requests_armed;
    struct server_answers answers;
    bool idle; /* nothing armed, nothing open: only after the server's shutdown, and then for ever */
    _Atomic uint64_t calls_started;
    _Atomic uint64_t calls_failed;
    _Atomic uint64_t calls_ended;
};

/* Opens the server's loop of this index for the queue, whose memory must be zero. */
DAYBOOK_MUST_USE bool daybook__server_queue_open(struct server_queue *queue, struct daybook_server *server,
                                                 uint32_t index, daybook_status *ret_status);

/* Frees the slots. The loop must be closed, and nothing open or armed. */
void daybook__server_queue_close(struct server_queue *queue);

/* Whether the caller runs on the queue's thread. */
bool daybook__server_queue_is_inside(const struct server_queue *queue);

/* Runs a command on the queue's thread, in the order of the posts. `call` is the open call that it is about; it may have
 * ended and be gone when this returns. */
void daybook__server_queue_post(struct server_queue *queue, grpc_call *call, struct server_command *command);

/* Memory of DAYBOOK__SLOT_BYTES that is not cleared; NULL without memory. */
void *daybook__server_queue_take_slot(struct server_queue *queue);
void daybook__server_queue_give_slot(struct server_queue *queue, void *slot);

/* Counts a call that has arrived, and one that has ended. */
void daybook__server_queue_count_start(struct server_queue *queue);
void daybook__server_queue_count_end(struct server_queue *queue, bool failed);

/* Tells the server once when the queue has nothing armed and nothing open any more. */
void daybook__server_queue_check_idle(struct server_queue *queue);

#endif
