/* lists.h: one thread that answers calls which look at much: lists, and what is summed up for them.
 *
 * A list may read a hundred thousand events (store/names.h). On a thread of the server it would hold up every append that
 * shares the thread; here lists hold up each other alone. As many as LISTS_WAITING_COUNT_MAX wait, a further one is refused.
 * Ownership: borrows the api, which outlives it; jobs live in their calls.
 * Threads: submit any; open and close nobody else's. */
#ifndef SERVICE_API_LISTS_H
#define SERVICE_API_LISTS_H

#include "service/api/api.h"
#include "service/base/result.h"

struct lists;

/* Answers the call, with a response or an error, before it returns. `request` is the call's. */
typedef void lists_answer(const struct api *api, daybook_server_call *call, const void *request);

/* FAILURE_MEMORY. */
MUST_USE result lists_open(struct lists **ret_lists);
/* After the server has closed, which waits for its calls: all have been answered. NULL is allowed. Returns NULL. */
struct lists *lists_close(struct lists *lists);

/* Has the call answered by the thread; one that cannot wait ends with an error. */
void lists_submit(const struct api *api, lists_answer *answer, daybook_server_call *call, const void *request);

#endif
