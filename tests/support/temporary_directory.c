#include "tests/support/temporary_directory.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS_COUNT_MAX 16

struct temporary_directory temporary_directory_make(void) {
    const char *parent = getenv("TEST_TMPDIR");
    if (parent == NULL) parent = getenv("TMPDIR");
    if (parent == NULL) parent = "/tmp";
    struct temporary_directory directory;
    const int size = snprintf(directory.path, sizeof directory.path, "%s/daybook-XXXXXX", parent);
    assert(size > 0 && (size_t)size < sizeof directory.path);
    const char *made = mkdtemp(directory.path);
    assert(made != NULL);
    return directory;
}

static int entry_remove(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void temporary_directory_remove(const struct temporary_directory *directory) {
    const int code = nftw(directory->path, entry_remove, DESCRIPTORS_COUNT_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    assert(code == 0);
}

struct temporary_path temporary_path(const struct temporary_directory *directory, const char *name) {
    struct temporary_path path;
    const int size = snprintf(path.text, sizeof path.text, "%s/%s", directory->path, name);
    assert(size > 0 && (size_t)size < sizeof path.text);
    return path;
}

uint8_t *temporary_file_read(const char *path, size_t *ret_size) {
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    assert(descriptor >= 0);
    struct stat status;
    int code = fstat(descriptor, &status);
    assert(code == 0);
    const size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size + 1);
    assert(bytes != NULL);
    const ssize_t count = read(descriptor, bytes, size);
    assert(count == (ssize_t)size);
    code = close(descriptor);
    assert(code == 0);
    *ret_size = size;
    return bytes;
}

void temporary_file_write(const char *path, const void *data, size_t size) {
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert(descriptor >= 0);
    const ssize_t count = write(descriptor, data, size);
    assert(count == (ssize_t)size);
    const int code = close(descriptor);
    assert(code == 0);
}
