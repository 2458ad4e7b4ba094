/* memory_faults.c: preloaded into the daemon (LD_PRELOAD), makes the n-th allocation of the program's own code fail.
 *
 * DAYBOOK_MEMORY_FAULT is "NUMBER once" or "NUMBER ever": the allocation of this number, counted from 1 over all threads, fails
 * with ENOMEM, alone or with every later one. Counted is what the program itself asks for, told by the address that the call
 * returns to: gRPC's core ends the process when it has no memory, and so does OpenSSL. What threads, maps and upb's arenas take
 * counts too, when the program makes them. What failed first is written to the file DAYBOOK_MEMORY_REPORT: without it, the
 * program has asked fewer times. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The C library's own, by other names: dlsym would allocate before it could be asked for them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static uint64_t fault_number; /* 0: nothing fails */
static bool fails_for_ever;
static uintptr_t program_first, program_end; /* where the program's code is */
static atomic_uint_fast64_t calls_count;

/* The first mapping of code that belongs to the program. */
static void program_find(void) {
    char path[4096];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4096 + 128];
    if (size <= 0 || maps == NULL) _exit(64);
    path[size] = '\0';
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long first = 0;
        unsigned long end = 0;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &first, &end, rights) != 3 || strstr(line, path) == NULL) continue;
        if (rights[2] != 'x') continue;
        program_first = first;
        program_end = end;
    }
    (void)fclose(maps);
}

__attribute__((constructor)) static void fault_read(void) {
    const char *text = getenv("DAYBOOK_MEMORY_FAULT");
    unsigned long long number = 0;
    char duration[8];
    if (text == NULL) return;
    if (sscanf(text, "%llu %7s", &number, duration) != 2) _exit(64);
    program_find();
    fails_for_ever = strcmp(duration, "ever") == 0;
    fault_number = number;
}

/* Without memory. */
static void report(const char *call, uintptr_t caller) {
    const char *path = getenv("DAYBOOK_MEMORY_REPORT");
    const int file = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (file < 0) return;
    char text[128];
    const int size = snprintf(text, sizeof text, "%s %#lx\n", call, (unsigned long)(caller - program_first));
    (void)!write(file, text, (size_t)size);
    close(file);
}

/* Counts the call; whether it fails. */
static bool fails(const char *call, const void *caller_address) {
    const uintptr_t caller = (uintptr_t)caller_address;
    if (fault_number == 0 || caller < program_first || caller >= program_end) return false;
    const uint64_t number = atomic_fetch_add(&calls_count, 1) + 1;
    if (number < fault_number || (number > fault_number && !fails_for_ever)) return false;
    if (number == fault_number) report(call, caller);
    errno = ENOMEM;
    return true;
}

#define FAILS(call) fails(call, __builtin_return_address(0))

EXPORT void *malloc(size_t size) {
    return FAILS("malloc") ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size) {
    return FAILS("calloc") ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *memory, size_t size) {
    return FAILS("realloc") ? NULL : __libc_realloc(memory, size);
}

EXPORT void *reallocarray(void *memory, size_t count, size_t size) {
    size_t bytes;
    if (FAILS("reallocarray") || __builtin_mul_overflow(count, size, &bytes)) return NULL;
    return __libc_realloc(memory, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return FAILS("aligned_alloc") ? NULL : __libc_memalign(alignment, size);
}

static char *copy_of(const char *text, size_t size) {
    char *copy = __libc_malloc(size + 1);
    if (copy == NULL) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

EXPORT char *strdup(const char *text) {
    return FAILS("strdup") ? NULL : copy_of(text, strlen(text));
}

EXPORT char *strndup(const char *text, size_t size) {
    return FAILS("strndup") ? NULL : copy_of(text, strnlen(text, size));
}

/* What the compiler makes of asprintf. */
EXPORT int __asprintf_chk(char **ret_text, int flag, const char *format, ...) {
    (void)flag;
    if (FAILS("asprintf")) return -1;
    va_list arguments;
    va_start(arguments, format);
    const int size = vasprintf(ret_text, format, arguments);
    va_end(arguments);
    return size;
}

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (FAILS("mmap")) return MAP_FAILED;
    if (real == NULL) real = (__typeof__(real))dlsym(RTLD_NEXT, "mmap");
    return real(address, size, protection, flags, descriptor, offset);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *context) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (FAILS("pthread_create")) return EAGAIN;
    if (real == NULL) real = (__typeof__(real))dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, start, context);
}

/* --- upb's arenas, whose blocks upb asks for: those that the program makes have an allocator that may fail. --------------- */

/* upb's names (upb/upb.h), which are not at hand where the program's shared libraries are not linked. */
struct upb_alloc;
typedef void *upb_alloc_func(struct upb_alloc *allocator, void *memory, size_t old_size, size_t size);
struct upb_alloc {
    upb_alloc_func *func;
};
struct upb_Arena *upb_Arena_Init(void *memory, size_t size, struct upb_alloc *allocator);

static void *upb_allocate(struct upb_alloc *allocator, void *memory, size_t old_size, size_t size) {
    (void)allocator;
    (void)old_size;
    if (size == 0) {
        free(memory);
        return NULL;
    }
    return fails("upb", (const void *)program_first) ? NULL : __libc_realloc(memory, size);
}

EXPORT struct upb_Arena *upb_Arena_Init(void *memory, size_t size, struct upb_alloc *allocator) {
    static struct upb_alloc failing = {.func = upb_allocate};
    static struct upb_Arena *(*real)(void *, size_t, struct upb_alloc *);
    const uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    const bool is_own = fault_number != 0 && caller >= program_first && caller < program_end;
    if (real == NULL) real = (__typeof__(real))dlsym(RTLD_NEXT, "upb_Arena_Init");
    return real(memory, size, is_own && allocator != NULL ? &failing : allocator);
}
