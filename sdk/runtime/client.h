/* client.h: the client as its calls and streams see it; see daybook/client.h.
 *
 * Ownership: an entry is embedded in what is in flight and belongs to the client's list from enter to leave.
 * Threads: any. `cancel` of an entry runs while the client is locked: it may lock what the entry is part of, which in
 * turn must not be locked when enter or leave is called.
 * Errors: none. */
#ifndef DAYBOOK_SDK_RUNTIME_CLIENT_H
#define DAYBOOK_SDK_RUNTIME_CLIENT_H

#include <grpc/grpc.h>

#include "daybook/client.h"
#include "sdk/runtime/loop.h"

/* One call or stream in flight. */
struct client_entry {
    struct client_entry *previous;
    struct client_entry *next;
    void (*cancel)(struct client_entry *entry);
    bool is_plucked; /* a thread of the program drives it, and the client's close does not wait for that */
};

/* One of the client's loops, by turns, which is held: daybook__loop_release. */
struct loop *daybook__client_hold_loop(daybook_client *client);

/* A queue to pluck from, and back again when everything on it has been plucked. */
grpc_completion_queue *daybook__client_take_queue(daybook_client *client);
void daybook__client_give_queue(daybook_client *client, grpc_completion_queue *queue);

/* Creates gRPC's call for a method; the caller releases it with grpc_call_unref, before it leaves. It completes on `queue`. */
grpc_call *daybook__client_create_call(daybook_client *client, const daybook_method *method, gpr_timespec deadline,
                                       grpc_completion_queue *queue);

/* How calls are retried that say nothing of it. */
const daybook_retry_options *daybook__client_retry(const daybook_client *client);

/* Adds what is about to start something, with a reference to the client. False: it is being closed, and nothing may start.
 * `ret_authorization` is the value of the header "authorization", empty without a token; the caller unrefs it. */
DAYBOOK_MUST_USE bool daybook__client_enter(daybook_client *client, struct client_entry *entry,
                                            grpc_slice *ret_authorization);

/* Removes what has nothing left to complete: from here on the client's close does not cancel it. */
void daybook__client_leave(daybook_client *client, struct client_entry *entry);

/* Gives the reference back that was taken by entering. The client may be gone afterwards. */
void daybook__client_unref(daybook_client *client);

#endif
