/* allocation_faults.h: memory that runs out on purpose, for our own code alone.
 *
 * gRPC's core ends the process when it has no memory, so only what is linked statically may fail: the runtime, generated code,
 * the test, and the arenas of upb that they make (the linker's --wrap).
 * Ownership: none. Threads: set by one thread; every thread of the process is hit, unless a function says otherwise. Errors:
 * none. */
#ifndef TESTS_SUPPORT_ALLOCATION_FAULTS_H
#define TESTS_SUPPORT_ALLOCATION_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the allocation of this number fails, counted from 1; with `and_all_after`, so does every later one. */
void allocation_faults_begin(uint32_t number, bool and_all_after);

/* The same for allocations of the calling thread alone. */
void allocation_faults_begin_here(uint32_t number, bool and_all_after);

/* From now on nothing fails. Returns how many allocations have failed. */
uint32_t allocation_faults_end(void);

/* Calls `fail` with the numbers from 1 on, until it says that so many allocations were not made. Returns that number. */
uint32_t allocation_faults_each(bool (*fail)(uint32_t number, bool and_all_after), bool and_all_after);

/* Blocks that are allocated at this moment, so that a test can find what was forgotten. */
int64_t allocation_faults_live_count(void);

#endif
