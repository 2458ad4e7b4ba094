/* held_sequencer.h: in the place of the sequencer, one that decides what the test says when the test says.
 *
 * Ownership: it keeps pointers to what was submitted, which belongs to its submitter until it is decided.
 * Threads: the server's submit; everything else is the test's, which is the sequencer's thread to them.
 * Errors: asserted; waiting has no end but the test's own. */
#ifndef TESTS_UNIT_SERVICE_API_HELD_SEQUENCER_H
#define TESTS_UNIT_SERVICE_API_HELD_SEQUENCER_H

#include "service/base/result.h"
#include "service/commit/request.h"

#define HELD_COUNT_MAX 65536

void held_open(void);

/* What submissions return from now on. FAILURE_LIMIT keeps the waiter. */
void held_refuse(enum failure failure);

/* Waits until so many requests were taken, or turned away, since the start. */
void held_wait_taken(uint32_t count);
void held_wait_refused(uint32_t count);

/* Requests that are taken and not decided, now and at the most. */
uint32_t held_count(void);
uint32_t held_count_most(void);

/* The request of this number in the order of their submission, from 0. */
struct append_request *held_request(uint32_t number);

/* Decides a request. When it is committed, each of its writes went to revision and position number + 1. */
void held_decide(uint32_t number, enum append_outcome outcome);

/* Tells the one that waits for room. False: nobody waits. */
bool held_tell_room(void);

#endif
