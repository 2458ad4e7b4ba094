/* system_faults.h: system calls that fail on purpose, by a seccomp filter.
 *
 * A fault stays until its process ends, so it belongs into a test of its own (Criterion forks one for each).
 * Ownership: none. Threads: the calling one and those it starts. Errors: assertions. */
#ifndef TESTS_SUPPORT_SYSTEM_FAULTS_H
#define TESTS_SUPPORT_SYSTEM_FAULTS_H

/* From now on the system call (SYS_fdatasync) returns this error. */
void system_fault(long system_call, int error);

/* The same for every descriptor, the first argument, but one. */
void system_fault_except(long system_call, int error, int descriptor);

/* From now on the system call ends the process at once, before it has done anything: a crash at this point. */
void system_fault_kill(long system_call);

#endif
