/* stalling_disk.so: with LD_PRELOAD, a disk that does not answer for as long as a test holds the lock of a file
 * (DAYBOOK_TEST_STALL); that somebody waits for it is said by another file, with ".reached" behind its name. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static void say_reached(const char *path) {
    char reached[PATH_MAX];
    (void)snprintf(reached, sizeof reached, "%s.reached", path);
    const int descriptor = open(reached, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (descriptor >= 0) (void)close(descriptor);
}

static void wait_for_lock(const char *path) {
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    if (flock(descriptor, LOCK_SH | LOCK_NB) != 0) {
        say_reached(path);
        while (flock(descriptor, LOCK_SH) != 0) {
        }
    }
    (void)close(descriptor);
}

__attribute__((visibility("default"))) int fdatasync(int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("DAYBOOK_TEST_STALL");
    if (path != NULL) wait_for_lock(path);
    return real(descriptor);
}
