/* recording_server.h: an EventStore that keeps what it is sent and answers as if it had stored it.
 *
 * Appends get positions and revisions from 1; Head is the last position; Read answers with two events of "order-1".
 * Ownership: one server at a time, between open and close, which are a test's init and fini, and take care of `said`, too.
 * Threads: the test's, which reads `recorded` between calls. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_CLI_RECORDING_SERVER_H
#define TESTS_UNIT_SDK_CLI_RECORDING_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "daybook/daybook.h"
#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"

#define RECORDED_MAX 16

struct recorded {
    upb_Arena *arena; /* of the requests */
    const daybook_v1_AppendRequest *appends[RECORDED_MAX];
    size_t appends_count;
    const daybook_v1_ReadRequest *read; /* the last one */
    uint64_t head;
    daybook_code refusal;     /* of every call, unless it is OK */
    size_t appends_count_max; /* further ones are refused; 0: none is */
    char server[32];          /* where it listens */
};
extern struct recorded recorded;

void recording_open(void);
void recording_close(void);

/* The only write of an append, and its events. */
const daybook_v1_Write *recorded_write(size_t append);
const daybook_v1_Event *recorded_event(size_t append, size_t event);
size_t recorded_events_count(size_t append);

/* Says NOT_SERVING from now on. */
void recording_unwell(void);

#endif
