/* disk_faults.c: preloaded into the daemon (LD_PRELOAD), makes its disk fail, slow or silent.
 *
 * DAYBOOK_DISK_FAULTS has rules, separated by commas, on files whose path contains DAYBOOK_DISK_FILES ("data.mdb"):
 *   call=fail:N        EIO from the N-th call on
 *   call=fail_once:N   EIO at the N-th call alone
 *   call=short:N       writes half of the bytes at the N-th call, then EIO: a torn write
 *   call=delay:MS:N    waits so long, from the N-th call on
 * `call` is sync (fsync, fdatasync), write (write, pwrite, writev, pwritev) or read (pread). The time of the first failure, in
 * nanoseconds of CLOCK_MONOTONIC, is written to the file DAYBOOK_DISK_FAULT_TIME. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum call { CALL_SYNC, CALL_WRITE, CALL_READ, CALLS_COUNT };
enum fault { FAULT_NONE, FAULT_FAIL, FAULT_FAIL_ONCE, FAULT_SHORT, FAULT_DELAY };

struct rule {
    enum fault fault;
    int delay_ms;
    uint64_t first_time;
};

static const char *const call_names[CALLS_COUNT] = {"sync=", "write=", "read="};
static struct rule rules[CALLS_COUNT];
static const char *files = "data.mdb";
static atomic_uint_fast64_t times[CALLS_COUNT];
static atomic_bool has_failed;

static _Noreturn void usage(const char *text) {
    (void)fprintf(stderr, "DAYBOOK_DISK_FAULTS: \"%s\" is not understood\n", text);
    _exit(64);
}

static struct rule rule_of(const char *text) {
    int delay_ms = 0;
    unsigned long long first = 1;
    if (sscanf(text, "fail:%llu", &first) == 1) return (struct rule){FAULT_FAIL, 0, first};
    if (sscanf(text, "fail_once:%llu", &first) == 1) return (struct rule){FAULT_FAIL_ONCE, 0, first};
    if (sscanf(text, "short:%llu", &first) == 1) return (struct rule){FAULT_SHORT, 0, first};
    if (sscanf(text, "delay:%d:%llu", &delay_ms, &first) == 2) return (struct rule){FAULT_DELAY, delay_ms, first};
    usage(text);
}

__attribute__((constructor)) static void rules_read(void) {
    const char *variable = getenv("DAYBOOK_DISK_FAULTS");
    if (getenv("DAYBOOK_DISK_FILES") != NULL) files = getenv("DAYBOOK_DISK_FILES");
    char *copy = variable == NULL ? NULL : strdup(variable);
    char *rest = copy;
    for (char *text = strsep(&rest, ","); text != NULL; text = strsep(&rest, ",")) {
        uint32_t call = 0;
        while (call < CALLS_COUNT && strncmp(text, call_names[call], strlen(call_names[call])) != 0) call++;
        if (call == CALLS_COUNT) usage(text);
        rules[call] = rule_of(text + strlen(call_names[call]));
    }
    free(copy);
}

static bool is_of_store(int descriptor) {
    char link[64];
    char path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return false;
    path[size] = '\0';
    return strstr(path, files) != NULL;
}

/* When it was is for the test: what begins later must not be acknowledged. */
static void failure_note(void) {
    if (atomic_exchange(&has_failed, true)) return;
    const char *path = getenv("DAYBOOK_DISK_FAULT_TIME");
    const int descriptor = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (descriptor < 0) return;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)dprintf(descriptor, "%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    close(descriptor);
}

/* Counts the call, waits if it is to be slow, and says what becomes of it. */
static enum fault fault_of(enum call call, int descriptor) {
    const struct rule *rule = &rules[call];
    if (rule->fault == FAULT_NONE || !is_of_store(descriptor)) return FAULT_NONE;
    const uint64_t time = atomic_fetch_add(&times[call], 1) + 1;
    if (time < rule->first_time ||
        (rule->fault != FAULT_FAIL && rule->fault != FAULT_DELAY && time > rule->first_time)) {
        return FAULT_NONE;
    }
    if (rule->fault == FAULT_DELAY) {
        (void)poll(NULL, 0, rule->delay_ms);
        return FAULT_NONE;
    }
    failure_note();
    return rule->fault;
}

static ssize_t failure(void) {
    errno = EIO;
    return -1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

EXPORT int fdatasync(int descriptor) {
    REAL(fdatasync);
    return fault_of(CALL_SYNC, descriptor) != FAULT_NONE ? (int)failure() : real(descriptor);
}

EXPORT int fsync(int descriptor) {
    REAL(fsync);
    return fault_of(CALL_SYNC, descriptor) != FAULT_NONE ? (int)failure() : real(descriptor);
}

EXPORT ssize_t write(int descriptor, const void *bytes, size_t size) {
    REAL(write);
    const enum fault fault = fault_of(CALL_WRITE, descriptor);
    if (fault == FAULT_NONE) return real(descriptor, bytes, size);
    if (fault == FAULT_SHORT) (void)!real(descriptor, bytes, size / 2);
    return failure();
}

EXPORT ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    REAL(pwrite);
    const enum fault fault = fault_of(CALL_WRITE, descriptor);
    if (fault == FAULT_NONE) return real(descriptor, bytes, size, offset);
    if (fault == FAULT_SHORT) (void)!real(descriptor, bytes, size / 2, offset);
    return failure();
}

EXPORT ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset) {
    REAL(pwrite64);
    const enum fault fault = fault_of(CALL_WRITE, descriptor);
    if (fault == FAULT_NONE) return real(descriptor, bytes, size, offset);
    if (fault == FAULT_SHORT) (void)!real(descriptor, bytes, size / 2, offset);
    return failure();
}

EXPORT ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    REAL(writev);
    const enum fault fault = fault_of(CALL_WRITE, descriptor);
    if (fault == FAULT_NONE) return real(descriptor, pieces, count);
    if (fault == FAULT_SHORT && count > 1) (void)!real(descriptor, pieces, count / 2);
    return failure();
}

EXPORT ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset) {
    REAL(pwritev);
    const enum fault fault = fault_of(CALL_WRITE, descriptor);
    if (fault == FAULT_NONE) return real(descriptor, pieces, count, offset);
    if (fault == FAULT_SHORT && count > 1) (void)!real(descriptor, pieces, count / 2, offset);
    return failure();
}

EXPORT ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset) {
    REAL(pread);
    return fault_of(CALL_READ, descriptor) != FAULT_NONE ? failure() : real(descriptor, bytes, size, offset);
}

EXPORT ssize_t pread64(int descriptor, void *bytes, size_t size, off64_t offset) {
    REAL(pread64);
    return fault_of(CALL_READ, descriptor) != FAULT_NONE ? failure() : real(descriptor, bytes, size, offset);
}
