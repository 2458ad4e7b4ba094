/* tls_stamp.c: see tls_stamp.h. */
#include "sdk/runtime/tls_stamp.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int64_t nanoseconds(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct tls_file_stamp file_stamp(const char *path) {
    struct stat found;
    if (path == NULL) return (struct tls_file_stamp){0};
    if (stat(path, &found) != 0) return (struct tls_file_stamp){.error = errno};
    return (struct tls_file_stamp){.device = found.st_dev,
                                   .inode = found.st_ino,
                                   .size = found.st_size,
                                   .modified_ns = nanoseconds(found.st_mtim),
                                   .changed_ns = nanoseconds(found.st_ctim)};
}

struct tls_stamp daybook__tls_stamp(const daybook_tls_options *options) {
    return (struct tls_stamp){.files = {file_stamp(options->authorities_file), file_stamp(options->certificate_file),
                                        file_stamp(options->key_file)}};
}

bool daybook__tls_stamp_equal(const struct tls_stamp *one, const struct tls_stamp *other) {
    for (int i = 0; i < DAYBOOK__TLS_FILES_COUNT; i++) {
        const struct tls_file_stamp *left = &one->files[i];
        const struct tls_file_stamp *right = &other->files[i];
        if (left->error != right->error || left->device != right->device || left->inode != right->inode ||
            left->size != right->size || left->modified_ns != right->modified_ns ||
            left->changed_ns != right->changed_ns) {
            return false;
        }
    }
    return true;
}
