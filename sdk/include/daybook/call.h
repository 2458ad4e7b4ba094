/** @file call.h
 * One unary call as a future; the same primitive serves blocking, asynchronous and fan-out use.
 *
 * Programs use the typed skins that the generator writes (`shop_v1_Orders_Place`, `_start`, `_result`); these are the
 * functions below them, and the ones that need no type: wait, on_done, cancel, status, free.
 * Ownership: the call belongs to the caller until daybook_call_free; its response and status live as long as it does.
 * Requests are serialised before `start` returns: the caller may free its arena at once.
 * Threads: wait, cancel, status and result may be called from any thread; on_done and free from one. */
#ifndef DAYBOOK_CALL_H
#define DAYBOOK_CALL_H

#include "daybook/client.h"
#include "daybook/metadata.h"

DAYBOOK_BEGIN_DECLARATIONS

/** One unary call. */
typedef struct daybook_call daybook_call;

/** What runs when a call has ended; see daybook_call_on_done. */
typedef void daybook_call_done(daybook_call *call, void *context);

/** Starts a call. `options` may be NULL. NULL only when there is no memory; every other failure is the call's status. */
DAYBOOK_MUST_USE daybook_call *daybook_call_start(daybook_client *client, const daybook_method *method,
                                                  const void *request, const daybook_call_options *options);

/** Waits until the call has ended and its `done` has returned. False: not within `wait_ms` (DAYBOOK_TIMEOUT_NONE: wait for
 * ever). A completion may ask with 0 but must not wait. */
DAYBOOK_MUST_USE bool daybook_call_wait(daybook_call *call, uint32_t wait_ms);

/** Runs `done` exactly once: now, when the call has ended already, else on a thread of the client. At most once a call.
 * `done` may free the call and must not block. */
void daybook_call_on_done(daybook_call *call, daybook_call_done *done, void *context);

/** Asks the call to end with CANCELLED; it may still succeed. Any number of times. */
void daybook_call_cancel(daybook_call *call);

/** How the call ended; asserts that it has. Valid until daybook_call_free. */
const daybook_status *daybook_call_status(const daybook_call *call);

/** The response; asserts that the call has ended. NULL unless the status is OK. Valid until daybook_call_free. */
const void *daybook_call_result(const daybook_call *call);

/** What the server sent before its response; asserts that the call has ended. Of the last attempt. Valid until
 * daybook_call_free. */
const daybook_metadata *daybook_call_initial_metadata(const daybook_call *call);

/** What the server sent after its response; otherwise as daybook_call_initial_metadata. */
const daybook_metadata *daybook_call_trailing_metadata(const daybook_call *call);

/** How often the call was tried; asserts that it has ended. 0: nothing could be sent. */
uint32_t daybook_call_attempts_count(const daybook_call *call);

/** Frees the call; a running one is cancelled and its `done` will not run: one that runs already on another thread is
 * waited for. NULL is allowed. Returns NULL. */
daybook_call *daybook_call_free(daybook_call *call);

/** The blocking form: start, wait, decode the response into `arena`. False: `ret_status` says why and `ret_response` is
 * untouched. Must not be called from a completion. */
DAYBOOK_MUST_USE bool daybook_call_unary(daybook_client *client, const daybook_method *method, const void *request,
                                         const daybook_call_options *options, upb_Arena *arena,
                                         const void **ret_response, daybook_status *ret_status);

DAYBOOK_END_DECLARATIONS

#endif
