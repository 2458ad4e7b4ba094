/* map_faults.h: a page that is damaged or cannot be read ends the process with a line that says so.
 *
 * LMDB maps its file and believes what is in it. A page of it may lead reads out of the file, and one that the disk cannot read,
 * or that a truncation took away, is not there at all: SIGSEGV or SIGBUS. Without this an operator would see a crash and suspect
 * the program. Here the address tells: a fault inside of a map, or in LMDB's own code, is the disk's, and the process writes
 * the file and the byte in one line and ends with an exit code. Any other fault goes where it went before. The same with
 * LMDB's own assertions, which pages that make no sense break.
 * A file that can be made anew names a note, which is left then, so that the next start does that (index.c).
 *
 * Ownership: texts are copied. Threads: install once, by the main thread, before the first environment is opened; the
 * exit code by the main thread; the rest by whoever opens and closes environments. Signals are as they were before install.
 * Errors: none; a map that is not found is not watched, which a log line tells. */
#ifndef SERVICE_STORE_MAP_FAULTS_H
#define SERVICE_STORE_MAP_FAULTS_H

#include <stdint.h>

/* From here on faults end the process with this code; with the next one of files that can be made anew. */
void map_faults_install(int exit_code, int exit_code_derived);
void map_faults_exit_code(int exit_code);

/* Watches the map of an open file; `note` may be NULL. Returns a handle for unwatch, 0 if it is not watched. */
uint32_t map_faults_watch(int descriptor, uint64_t map_bytes, const char *file, const char *note);
/* 0 is allowed. */
void map_faults_unwatch(uint32_t handle);

/* LMDB has found that a page of a watched map makes no sense, and goes on to abort. Does not return when faults are installed. */
void map_faults_assertion(uint32_t handle, const char *assertion);

#endif
