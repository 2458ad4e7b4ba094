/* allocation_faults.c: see allocation_faults.h. The linker sends what asks for `malloc` to `__wrap_malloc`, and what asks for
 * `__real_malloc` to the C library, or to the sanitizer that stands before it. */
#include "tests/support/allocation_faults.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include "upb/arena.h"

#define NUMBERS_MAX 2000

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void __real_free(void *memory);
upb_Arena *__real_upb_Arena_Init(void *memory, size_t size, upb_alloc *allocator);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));
void __wrap_free(void *memory);
upb_Arena *__wrap_upb_Arena_Init(void *memory, size_t size, upb_alloc *allocator);

static atomic_bool armed;
static atomic_bool all_after;
static atomic_bool here_alone;
static _Thread_local bool is_here;
static atomic_uint left_count; /* until the first failure */
static atomic_uint failed_count;
static atomic_llong live_count;

/* Whether this allocation fails. */
static bool fails(void) {
    if (!atomic_load(&armed) || (atomic_load(&here_alone) && !is_here)) return false;
    unsigned left = atomic_load(&left_count);
    while (left > 0 && !atomic_compare_exchange_weak(&left_count, &left, left - 1)) {
    }
    /* Of number 1, one is left and none is after it. */
    const bool hit = left == 1 || (left == 0 && atomic_load(&all_after));
    if (hit) atomic_fetch_add(&failed_count, 1);
    return hit;
}

static void *counted(void *memory) {
    if (memory != NULL) atomic_fetch_add(&live_count, 1);
    return memory;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size) {
    if (memory == NULL) return __wrap_malloc(size);
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

char *__wrap_strdup(const char *text) {
    return fails() ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t size) {
    return fails() ? NULL : counted(__real_strndup(text, size));
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size) {
    if (fails()) return NULL;
    void *moved = __real_reallocarray(memory, count, size);
    return memory == NULL ? counted(moved) : moved;
}

static int text_made(char **ret_text, const char *format, va_list arguments) {
    const int size = fails() ? -1 : vasprintf(ret_text, format, arguments);
    if (size >= 0) (void)counted(*ret_text);
    return size;
}

int __wrap_asprintf(char **ret_text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int size = text_made(ret_text, format, arguments);
    va_end(arguments);
    return size;
}

/* What the compiler makes of asprintf. */
int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...) {
    va_list arguments;
    (void)flag;
    va_start(arguments, format);
    const int size = text_made(ret_text, format, arguments);
    va_end(arguments);
    return size;
}

void __wrap_free(void *memory) {
    if (memory != NULL) atomic_fetch_sub(&live_count, 1);
    __real_free(memory);
}

/* In the place of upb's own: size 0 frees. */
static void *upb_allocate(upb_alloc *allocator, void *memory, size_t old_size, size_t size) {
    (void)allocator;
    (void)old_size;
    if (size > 0) return __wrap_realloc(memory, size);
    __wrap_free(memory);
    return NULL;
}

/* The arenas of gRPC's core, which ends the process without them, are made elsewhere. */
upb_Arena *__wrap_upb_Arena_Init(void *memory, size_t size, upb_alloc *allocator) {
    static upb_alloc failing = {.func = upb_allocate};
    return __real_upb_Arena_Init(memory, size, allocator == NULL ? NULL : &failing);
}

static void begin(uint32_t number, bool and_all_after, bool here) {
    atomic_store(&left_count, number);
    atomic_store(&failed_count, 0);
    atomic_store(&all_after, and_all_after);
    atomic_store(&here_alone, here);
    is_here = here;
    atomic_store(&armed, true);
}

void allocation_faults_begin(uint32_t number, bool and_all_after) {
    begin(number, and_all_after, false);
}

void allocation_faults_begin_here(uint32_t number, bool and_all_after) {
    begin(number, and_all_after, true);
}

uint32_t allocation_faults_end(void) {
    atomic_store(&armed, false);
    return atomic_load(&failed_count);
}

uint32_t allocation_faults_each(bool (*fail)(uint32_t number, bool and_all_after), bool and_all_after) {
    uint32_t number = 1;
    while (fail(number, and_all_after)) {
        assert(number < NUMBERS_MAX);
        number++;
    }
    return number;
}

int64_t allocation_faults_live_count(void) {
    return atomic_load(&live_count);
}
