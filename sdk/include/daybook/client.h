/** @file client.h
 * A connection to a server, shared by all calls.
 *
 * Ownership: the caller owns the client and closes it. Calls and streams hold a reference of their own; they may be
 * freed after the client is closed.
 * Threads: every function may be called from any thread at any time; a client serves any number of threads.
 * Fork: a child process must not use a client that its parent opened. */
#ifndef DAYBOOK_CLIENT_H
#define DAYBOOK_CLIENT_H

#include "daybook/method.h"
#include "daybook/options.h"
#include "daybook/status.h"

DAYBOOK_BEGIN_DECLARATIONS

/** A connection to a server. */
typedef struct daybook_client daybook_client;

/** Opens a client. It connects with the first call and again whenever the connection is lost.
 * NULL on failure: INVALID_ARGUMENT for a missing target or an option out of range, RESOURCE_EXHAUSTED without memory
 * or threads. */
DAYBOOK_MUST_USE daybook_client *daybook_client_open(const daybook_client_options *options, daybook_status *ret_status);

/** Takes another token for the calls that begin from now on; NULL: none. False: INVALID_ARGUMENT for one that cannot be a
 * header or that the connection would show (daybook_client_options.bearer_token); the one before stays. */
DAYBOOK_MUST_USE bool daybook_client_set_bearer_token(daybook_client *client, const char *token,
                                                      daybook_status *ret_status);

/** Cancels what is in flight, waits until every completion of a future has run, frees the client. Blocking calls on other
 * threads return CANCELLED; streams report it, and are closed by their owners, before or after this. NULL is allowed. Returns
 * NULL. Must not be called from a completion. */
daybook_client *daybook_client_close(daybook_client *client);

DAYBOOK_END_DECLARATIONS

#endif
