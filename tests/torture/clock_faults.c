/* clock_faults.so: preloaded into a program, moves the wall clock under it, for every library in it, while it runs.
 *
 * DAYBOOK_CLOCK_FILE names a file with one signed 64-bit number of the machine's byte order: how many milliseconds the wall
 * clock is off. It is mapped, so a write of the test is a jump at once. CLOCK_REALTIME, gettimeofday and time see it; so do
 * waits until a time of the wall clock (Abseil's, and with them gRPC's timers): one that is under way ends early or late, as it
 * does when somebody sets the clock. CLOCK_MONOTONIC stays what it is. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT                 __attribute__((visibility("default")))
#define NANOSECONDS_PER_SECOND INT64_C(1000000000)
/* A wait looks so often whether the clock has jumped. */
#define SLICE_NS (20 * INT64_C(1000000))

static const _Atomic int64_t *shift_ms;

__attribute__((constructor)) static void file_map(void) {
    const char *path = getenv("DAYBOOK_CLOCK_FILE");
    const int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        (void)fprintf(stderr, "DAYBOOK_CLOCK_FILE: \"%s\" cannot be mapped\n", path == NULL ? "" : path);
        _exit(64);
    }
    close(file);
    shift_ms = mapped;
}

static int64_t shift_ns(void) {
    return shift_ms == NULL ? 0 : atomic_load_explicit(shift_ms, memory_order_relaxed) * 1000000;
}

static int64_t ns_of(const struct timespec *time) {
    return time->tv_sec * NANOSECONDS_PER_SECOND + time->tv_nsec;
}

static struct timespec timespec_of(int64_t ns) {
    return (struct timespec){.tv_sec = ns / NANOSECONDS_PER_SECOND, .tv_nsec = ns % NANOSECONDS_PER_SECOND};
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int true_gettime(clockid_t clock, struct timespec *ret_time) {
    static int (*_Atomic known)(clockid_t, struct timespec *);
    int (*real)(clockid_t, struct timespec *) = atomic_load_explicit(&known, memory_order_relaxed);
    if (real == NULL) {
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
        atomic_store_explicit(&known, real, memory_order_relaxed);
    }
    return real(clock, ret_time);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ret_time) {
    const int outcome = true_gettime(clock, ret_time);
    if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        *ret_time = timespec_of(ns_of(ret_time) + shift_ns());
    }
    return outcome;
}

EXPORT int gettimeofday(struct timeval *restrict ret_time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    const int outcome = clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return outcome;
}

EXPORT time_t time(time_t *ret_time) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL) *ret_time = now.tv_sec;
    return now.tv_sec;
}

/* One slice of a wait until `until_ns` of the shifted clock. True: that time has come. */
static bool slice_of(int64_t until_ns, struct timespec *ret_until) {
    struct timespec now;
    (void)true_gettime(CLOCK_REALTIME, &now);
    const int64_t left_ns = until_ns - shift_ns() - ns_of(&now);
    *ret_until = timespec_of(ns_of(&now) + (left_ns < SLICE_NS ? left_ns : SLICE_NS));
    return left_ns <= 0;
}

/* futex(2) until a time of the wall clock, in slices. */
static long futex_wait(long arguments[6]) {
    REAL(syscall);
    const struct timespec *until = (const struct timespec *)arguments[3]; // NOLINT(performance-no-int-to-ptr)
    for (;;) {
        struct timespec slice;
        if (slice_of(ns_of(until), &slice)) {
            errno = ETIMEDOUT;
            return -1;
        }
        const long outcome =
            real(SYS_futex, arguments[0], arguments[1], arguments[2], &slice, arguments[4], arguments[5]);
        if (outcome == 0 || errno != ETIMEDOUT) return outcome;
    }
}

EXPORT long syscall(long number, ...) {
    REAL(syscall);
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int index = 0; index < 6; index++) arguments[index] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex && (arguments[1] & FUTEX_CLOCK_REALTIME) != 0 && arguments[3] != 0)
        return futex_wait(arguments);
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
