/* temporary_directory.h: a directory of its own for each test.
 *
 * Ownership: the caller removes it. Threads: any. Errors: what fails is an assertion. */
#ifndef TESTS_SUPPORT_TEMPORARY_DIRECTORY_H
#define TESTS_SUPPORT_TEMPORARY_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

struct temporary_directory {
    char path[512];
};

/* Makes an empty directory under TEST_TMPDIR, TMPDIR or /tmp. */
struct temporary_directory temporary_directory_make(void);

/* Removes the directory and everything in it. */
void temporary_directory_remove(const struct temporary_directory *directory);

/* Writes "<directory>/<name>" to `ret_path`. */
struct temporary_path {
    char text[1024];
};
struct temporary_path temporary_path(const struct temporary_directory *directory, const char *name);

/* Reads a whole file into fresh memory (the caller frees it); writes a whole file. */
uint8_t *temporary_file_read(const char *path, size_t *ret_size);
void temporary_file_write(const char *path, const void *data, size_t size);

#endif
