#include "tests/support/small_disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool small_disk_mount(const char *directory, uint64_t size_bytes) {
    char options[64];
    const int size = snprintf(options, sizeof options, "size=%" PRIu64 ",mode=0755", size_bytes);
    assert(size > 0 && (size_t)size < sizeof options);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("small_disk", directory, "tmpfs", 0, options) != 0) {
        (void)fprintf(stderr, "SKIPPED: a small disk needs the right to mount (root): %s\n", strerror(errno));
        return false;
    }
    return true;
}

void small_disk_fill(const char *path, uint64_t free_bytes) {
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    assert(descriptor >= 0);
    struct statvfs figures;
    int code = fstatvfs(descriptor, &figures);
    assert(code == 0);
    const uint64_t available_bytes = (uint64_t)figures.f_bavail * figures.f_frsize;
    assert(available_bytes > free_bytes);
    /* Not fallocate, which a test may have taken away. */
    static const char zeros[65536];
    uint64_t rest = available_bytes - free_bytes;
    while (rest > 0) {
        const size_t part = rest < sizeof zeros ? (size_t)rest : sizeof zeros;
        const ssize_t written = write(descriptor, zeros, part);
        assert(written > 0);
        rest -= (uint64_t)written;
    }
    code = close(descriptor);
    assert(code == 0);
}
