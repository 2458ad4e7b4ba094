/* stalling_disk.so: with LD_PRELOAD, a disk that does not answer for as long as a file exists (DAYBOOK_TEST_STALL); that somebody
 * waits for it is said by another file, with ".reached" behind its name. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void say_reached(const char *path) {
    char reached[PATH_MAX];
    (void)snprintf(reached, sizeof reached, "%s.reached", path);
    const int descriptor = open(reached, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (descriptor >= 0) (void)close(descriptor);
}

__attribute__((visibility("default"))) int fdatasync(int descriptor) {
    const struct timespec moment = {.tv_nsec = 5000000};
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *path = getenv("DAYBOOK_TEST_STALL");
    while (path != NULL && access(path, F_OK) == 0) {
        say_reached(path);
        (void)nanosleep(&moment, NULL);
    }
    return real(descriptor);
}
