/* io_faults.c: preloaded into the daemon (LD_PRELOAD), makes the n-th of its calls on files fail, whichever call that is.
 *
 * DAYBOOK_IO_FAULT is "NUMBER ERROR once" or "NUMBER ERROR ever": the call of this number, counted from 1 over all calls and
 * threads, fails with EIO or ENOSPC, alone or with every later one. Counted are calls on files whose absolute path begins with
 * DAYBOOK_IO_FILES; with ENOSPC only those that may need space. What failed first is written to the file DAYBOOK_IO_REPORT:
 * without it, the program has made fewer calls. A write that fails once has written a half: a torn one. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define PATH_BYTES 4096

static uint64_t fault_number; /* 0: nothing fails */
static int fault_error;
static bool fails_for_ever;
static const char *files;
static atomic_uint_fast64_t calls_count;

__attribute__((constructor)) static void fault_read(void) {
    const char *text = getenv("DAYBOOK_IO_FAULT");
    unsigned long long number = 0;
    char error[8];
    char duration[8];
    if (text == NULL) return;
    files = getenv("DAYBOOK_IO_FILES");
    if (files == NULL || sscanf(text, "%llu %7s %7s", &number, error, duration) != 3) {
        (void)fprintf(stderr, "DAYBOOK_IO_FAULT: \"%s\" is not understood\n", text);
        _exit(64);
    }
    fault_error = strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
    fails_for_ever = strcmp(duration, "ever") == 0;
    fault_number = number;
}

static void report(const char *call, const char *path) {
    const char *name = getenv("DAYBOOK_IO_REPORT");
    FILE *file = name == NULL ? NULL : fopen(name, "we");
    if (file == NULL) return;
    (void)fprintf(file, "%s %s\n", call, path + strlen(files));
    (void)fclose(file);
}

/* Counts the call; whether it fails. */
static bool fails(const char *call, const char *path, bool needs_space) {
    if (fault_number == 0 || strncmp(path, files, strlen(files)) != 0) return false;
    if (fault_error == ENOSPC && !needs_space) return false;
    const uint64_t number = atomic_fetch_add(&calls_count, 1) + 1;
    if (number < fault_number || (number > fault_number && !fails_for_ever)) return false;
    if (number == fault_number) report(call, path);
    errno = fault_error;
    return true;
}

/* The path of an open file; "" when it has none. */
static const char *path_of(int descriptor, char path[PATH_BYTES]) {
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t size = readlink(link, path, PATH_BYTES - 1);
    path[size < 0 ? 0 : size] = '\0';
    return path;
}

static bool fails_open_file(const char *call, int descriptor, bool needs_space) {
    char path[PATH_BYTES];
    const int error = errno;
    if (fault_number == 0) return false;
    if (fails(call, path_of(descriptor, path), needs_space)) return true;
    errno = error;
    return false;
}

static bool fails_at(const char *call, int directory, const char *name, bool needs_space) {
    char path[2 * PATH_BYTES];
    const int error = errno;
    if (fault_number == 0) return false;
    if (name[0] == '/' || directory == AT_FDCWD) return fails(call, name, needs_space);
    (void)path_of(directory, path);
    const size_t size = strlen(path);
    (void)snprintf(path + size, sizeof path - size, "/%s", name);
    if (fails(call, path, needs_space)) return true;
    errno = error;
    return false;
}

/* --- Opening. ------------------------------------------------------------------------------------------------------------- */

#define MODE_OF(flags, ret_mode)                                                                                       \
    mode_t ret_mode = 0;                                                                                               \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                                      \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        ret_mode = va_arg(arguments, mode_t);                                                                          \
        va_end(arguments);                                                                                             \
    }

EXPORT int open(const char *path, int flags, ...) {
    REAL(open);
    MODE_OF(flags, mode)
    return fails_at("open", AT_FDCWD, path, (flags & O_CREAT) != 0) ? -1 : real(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) {
    REAL(open64);
    MODE_OF(flags, mode)
    return fails_at("open", AT_FDCWD, path, (flags & O_CREAT) != 0) ? -1 : real(path, flags, mode);
}

EXPORT int openat(int directory, const char *path, int flags, ...) {
    REAL(openat);
    MODE_OF(flags, mode)
    return fails_at("openat", directory, path, (flags & O_CREAT) != 0) ? -1 : real(directory, path, flags, mode);
}

EXPORT int openat64(int directory, const char *path, int flags, ...) {
    REAL(openat64);
    MODE_OF(flags, mode)
    return fails_at("openat", directory, path, (flags & O_CREAT) != 0) ? -1 : real(directory, path, flags, mode);
}

EXPORT DIR *opendir(const char *path) {
    REAL(opendir);
    return fails_at("opendir", AT_FDCWD, path, false) ? NULL : real(path);
}

/* --- Reading. ------------------------------------------------------------------------------------------------------------- */

EXPORT ssize_t read(int descriptor, void *bytes, size_t size) {
    REAL(read);
    return fails_open_file("read", descriptor, false) ? -1 : real(descriptor, bytes, size);
}

/* What the compiler makes of read. */
EXPORT ssize_t __read_chk(int descriptor, void *bytes, size_t size, size_t room) {
    if (size > room) abort();
    return read(descriptor, bytes, size);
}

EXPORT ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset) {
    REAL(pread);
    return fails_open_file("pread", descriptor, false) ? -1 : real(descriptor, bytes, size, offset);
}

EXPORT ssize_t pread64(int descriptor, void *bytes, size_t size, off64_t offset) {
    REAL(pread64);
    return fails_open_file("pread", descriptor, false) ? -1 : real(descriptor, bytes, size, offset);
}

EXPORT int fstat(int descriptor, struct stat *ret_status) {
    REAL(fstat);
    return fails_open_file("fstat", descriptor, false) ? -1 : real(descriptor, ret_status);
}

EXPORT int stat(const char *path, struct stat *ret_status) {
    REAL(stat);
    return fails_at("stat", AT_FDCWD, path, false) ? -1 : real(path, ret_status);
}

EXPORT int fstatat(int directory, const char *path, struct stat *ret_status, int flags) {
    REAL(fstatat);
    return fails_at("fstatat", directory, path, false) ? -1 : real(directory, path, ret_status, flags);
}

EXPORT int fstatfs(int descriptor, struct statfs *ret_figures) {
    REAL(fstatfs);
    return fails_open_file("fstatfs", descriptor, false) ? -1 : real(descriptor, ret_figures);
}

EXPORT int fstatvfs(int descriptor, struct statvfs *ret_figures) {
    REAL(fstatvfs);
    return fails_open_file("fstatvfs", descriptor, false) ? -1 : real(descriptor, ret_figures);
}

/* --- Writing. ------------------------------------------------------------------------------------------------------------- */

EXPORT ssize_t write(int descriptor, const void *bytes, size_t size) {
    REAL(write);
    if (!fails_open_file("write", descriptor, true)) return real(descriptor, bytes, size);
    if (!fails_for_ever) (void)!real(descriptor, bytes, size / 2);
    errno = fault_error;
    return -1;
}

EXPORT ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    REAL(pwrite);
    if (!fails_open_file("pwrite", descriptor, true)) return real(descriptor, bytes, size, offset);
    if (!fails_for_ever) (void)!real(descriptor, bytes, size / 2, offset);
    errno = fault_error;
    return -1;
}

EXPORT ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset) {
    REAL(pwrite64);
    if (!fails_open_file("pwrite", descriptor, true)) return real(descriptor, bytes, size, offset);
    if (!fails_for_ever) (void)!real(descriptor, bytes, size / 2, offset);
    errno = fault_error;
    return -1;
}

EXPORT ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    REAL(writev);
    if (!fails_open_file("writev", descriptor, true)) return real(descriptor, pieces, count);
    if (!fails_for_ever && count > 1) (void)!real(descriptor, pieces, count / 2);
    errno = fault_error;
    return -1;
}

EXPORT ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset) {
    REAL(pwritev);
    if (!fails_open_file("pwritev", descriptor, true)) return real(descriptor, pieces, count, offset);
    if (!fails_for_ever && count > 1) (void)!real(descriptor, pieces, count / 2, offset);
    errno = fault_error;
    return -1;
}

EXPORT int fsync(int descriptor) {
    REAL(fsync);
    return fails_open_file("fsync", descriptor, true) ? -1 : real(descriptor);
}

EXPORT int fdatasync(int descriptor) {
    REAL(fdatasync);
    return fails_open_file("fdatasync", descriptor, true) ? -1 : real(descriptor);
}

EXPORT int ftruncate(int descriptor, off_t size) {
    REAL(ftruncate);
    return fails_open_file("ftruncate", descriptor, true) ? -1 : real(descriptor, size);
}

EXPORT int ftruncate64(int descriptor, off64_t size) {
    REAL(ftruncate64);
    return fails_open_file("ftruncate", descriptor, true) ? -1 : real(descriptor, size);
}

EXPORT int fallocate(int descriptor, int mode, off_t offset, off_t size) {
    REAL(fallocate);
    return fails_open_file("fallocate", descriptor, true) ? -1 : real(descriptor, mode, offset, size);
}

EXPORT int fallocate64(int descriptor, int mode, off64_t offset, off64_t size) {
    REAL(fallocate64);
    return fails_open_file("fallocate", descriptor, true) ? -1 : real(descriptor, mode, offset, size);
}

/* --- Names. --------------------------------------------------------------------------------------------------------------- */

EXPORT int rename(const char *from, const char *to) {
    REAL(rename);
    return fails_at("rename", AT_FDCWD, from, true) ? -1 : real(from, to);
}

EXPORT int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    REAL(renameat);
    return fails_at("renameat", from_directory, from, true) ? -1 : real(from_directory, from, to_directory, to);
}

EXPORT int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    REAL(renameat2);
    return fails_at("renameat2", from_directory, from, true) ? -1 : real(from_directory, from, to_directory, to, flags);
}

EXPORT int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return fails_at("mkdir", AT_FDCWD, path, true) ? -1 : real(path, mode);
}

EXPORT int mkdirat(int directory, const char *path, mode_t mode) {
    REAL(mkdirat);
    return fails_at("mkdirat", directory, path, true) ? -1 : real(directory, path, mode);
}

EXPORT int unlink(const char *path) {
    REAL(unlink);
    return fails_at("unlink", AT_FDCWD, path, false) ? -1 : real(path);
}

EXPORT int unlinkat(int directory, const char *path, int flags) {
    REAL(unlinkat);
    return fails_at("unlinkat", directory, path, false) ? -1 : real(directory, path, flags);
}

EXPORT int rmdir(const char *path) {
    REAL(rmdir);
    return fails_at("rmdir", AT_FDCWD, path, false) ? -1 : real(path);
}

/* --- Locks. --------------------------------------------------------------------------------------------------------------- */

EXPORT int flock(int descriptor, int operation) {
    REAL(flock);
    return fails_open_file("flock", descriptor, false) ? -1 : real(descriptor, operation);
}
