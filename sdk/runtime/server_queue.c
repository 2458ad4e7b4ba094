/* server_queue.c: see server_queue.h. */
#include "sdk/runtime/server_queue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/runtime/server.h"

#define QUEUE_OF(wake_operation)                                                                                       \
    ((struct server_queue *)(void *)((char *)(wake_operation)-offsetof(struct server_queue, wake)))

/* The stack holds the newest command first; they must run oldest first. */
static struct server_command *reverse(struct server_command *newest) {
    struct server_command *oldest = NULL;
    while (newest != NULL) {
        struct server_command *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* Takes all commands at once. Whoever posts from now on finds the stack empty and sends the next wake-up; thus at most
 * one is on its way, and no call ends between its command and the wake-up that was posted on it. */
static void run_commands(struct loop_operation *operation, bool ok) {
    assert(ok);
    struct server_queue *queue = QUEUE_OF(operation);
    struct server_command *command = reverse(atomic_exchange_explicit(&queue->commands, NULL, memory_order_acquire));
    assert(command != NULL);
    while (command != NULL) {
        struct server_command *next = command->next;
        command->run(command);
        command = next;
    }
}

bool daybook__server_queue_open(struct server_queue *queue, struct daybook_server *server, uint32_t index,
                                daybook_status *ret_status) {
    char name[16];
    snprintf(name, sizeof name, "grpc-server-%u", index);
    queue->server = server;
    queue->loop = &server->loops[index];
    queue->wake.complete = run_commands;
    if (!daybook__loop_open(queue->loop, name, ret_status)) return false;
    daybook__loop_hold(queue->loop); /* Calls may arrive at any time. */
    return true;
}

void daybook__server_queue_close(struct server_queue *queue) {
    assert(atomic_load(&queue->commands) == NULL && queue->requests_armed == 0);
    while (queue->slots != NULL) {
        struct server_slot *slot = queue->slots;
        queue->slots = slot->next;
        free(slot);
    }
}

bool daybook__server_queue_is_inside(const struct server_queue *queue) {
    return daybook__loop_is_current(queue->loop);
}

void daybook__server_queue_post(struct server_queue *queue, grpc_call *call, struct server_command *command) {
    struct server_command *newest = atomic_load_explicit(&queue->commands, memory_order_relaxed);
    do {
        command->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&queue->commands, &newest, command, memory_order_release,
                                                    memory_order_relaxed));
    if (newest != NULL) return;
    /* A batch of no operations is gRPC's way to put a tag of one's own on a call's queue, from any thread. */
    daybook__loop_start(call, NULL, 0, &queue->wake);
}

void *daybook__server_queue_take_slot(struct server_queue *queue) {
    struct server_slot *slot = queue->slots;
    if (slot == NULL) return aligned_alloc(64, DAYBOOK__SLOT_BYTES);
    queue->slots = slot->next;
    queue->slots_count--;
    return slot;
}

void daybook__server_queue_give_slot(struct server_queue *queue, void *memory) {
    if (queue->slots_count == DAYBOOK__SLOTS_POOLED_MAX) {
        free(memory);
        return;
    }
    struct server_slot *slot = memory;
    slot->next = queue->slots;
    queue->slots = slot;
    queue->slots_count++;
}

/* Only the queue's thread writes its counts, so that a store after a load loses nothing. Who reads an end reads its start. */
static void increment(_Atomic uint64_t *count) {
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_release);
}

void daybook__server_queue_count_start(struct server_queue *queue) {
    increment(&queue->calls_started);
}

void daybook__server_queue_count_end(struct server_queue *queue, bool failed) {
    if (failed) increment(&queue->calls_failed);
    increment(&queue->calls_ended);
    daybook__server_queue_check_idle(queue);
}

void daybook__server_queue_check_idle(struct server_queue *queue) {
    if (queue->idle || queue->requests_armed > 0) return;
    if (atomic_load_explicit(&queue->calls_started, memory_order_relaxed) !=
        atomic_load_explicit(&queue->calls_ended, memory_order_relaxed)) {
        return;
    }
    queue->idle = true;
    daybook__server_queue_has_become_idle(queue->server);
}
