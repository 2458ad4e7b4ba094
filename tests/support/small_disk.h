/* small_disk.h: a file system of a few megabytes, to be filled.
 *
 * A tmpfs in a mount namespace of this process: nobody else sees it, and it goes with the process. It needs root (or a
 * user namespace with it); a test that cannot have one is skipped.
 * Ownership: none. Threads: before others are started. Errors: small_disk_mount says no. */
#ifndef TESTS_SUPPORT_SMALL_DISK_H
#define TESTS_SUPPORT_SMALL_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* Mounts a new file system over the directory. False, with a line on standard error, when this process may not. */
bool small_disk_mount(const char *directory, uint64_t size_bytes);

/* Takes away the free space of the file system but `free_bytes`, by a file of this path; removing it gives it back. */
void small_disk_fill(const char *path, uint64_t free_bytes);

#endif
