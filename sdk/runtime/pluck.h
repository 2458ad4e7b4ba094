/* pluck.h: completions that the calling thread waits for itself, on a queue that no loop runs.
 *
 * Who blocks anyway does the network's work meanwhile: no other thread has to be woken for him, which costs more than the call
 * itself. Operations are started with daybook__loop_start; their `complete` is not used.
 * Ownership: a queue belongs to whoever opens it; everything that was started on it must have been plucked before it is closed.
 * Threads: any number of threads pluck from one queue, each another operation; at most six of them at once, as gRPC has it.
 * Errors: none. */
#ifndef DAYBOOK_SDK_RUNTIME_PLUCK_H
#define DAYBOOK_SDK_RUNTIME_PLUCK_H

#include "sdk/runtime/loop.h"

/* The moment `wait_ms` from now, DAYBOOK_TIMEOUT_NONE is never. */
gpr_timespec daybook__pluck_deadline(uint32_t wait_ms);

grpc_completion_queue *daybook__pluck_open(void);

/* NULL is allowed. */
void daybook__pluck_close(grpc_completion_queue *queue);

/* Waits until an operation that was started has completed. False: not before the deadline. */
DAYBOOK_MUST_USE bool daybook__pluck(grpc_completion_queue *queue, struct loop_operation *operation,
                                     gpr_timespec deadline, bool *ret_ok);

#endif
