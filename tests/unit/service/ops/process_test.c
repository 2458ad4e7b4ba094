/* What the daemon asks of the kernel for itself. */
#include "service/ops/process.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

Test(process, descriptors_are_raised_to_what_the_system_allows) {
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t expected = limit.rlim_max < 1048576 ? limit.rlim_max : 1048576;
    limit.rlim_cur = 64;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(process_descriptors_raise(), expected);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(limit.rlim_cur, expected);
}

Test(process, descriptors_are_never_lowered) {
    struct rlimit limit = {.rlim_cur = 200, .rlim_max = 200};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(process_descriptors_raise(), 200);
    cr_assert_eq(process_descriptors_raise(), 200);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(limit.rlim_cur, 200);
    cr_assert_eq(limit.rlim_max, 200);
}

Test(process, cores_are_those_that_it_may_run_on) {
    cpu_set_t allowed;
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    cr_assert_eq(process_cores_count(), (uint32_t)CPU_COUNT(&allowed));
    size_t first = 0;
    while (!CPU_ISSET(first, &allowed)) first++;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_assert_eq(process_cores_count(), 1);
}

/* A sanitizer's allocator keeps what is freed. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static size_t resident_bytes(void) {
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%*u %lu", &pages), 1);
    (void)fclose(file);
    return pages * 4096;
}

/* A burst: many small pieces, the last of which stays, so that malloc keeps everything below it. */
Test(process, memory_that_is_free_goes_back_to_the_system) {
    enum { PIECES_COUNT = 16384, PIECE_BYTES = 2048 };
    static void *pieces[PIECES_COUNT];
    for (size_t index = 0; index < PIECES_COUNT; index++) {
        pieces[index] = malloc(PIECE_BYTES);
        cr_assert_not_null(pieces[index]);
        memset(pieces[index], 1, PIECE_BYTES);
    }
    for (size_t index = 0; index + 1 < PIECES_COUNT; index++) free(pieces[index]);
    const size_t before = resident_bytes();
    process_memory_trim();
    const size_t after = resident_bytes();
    cr_assert_lt(after + PIECES_COUNT * PIECE_BYTES / 2, before, "%zu bytes before, %zu after", before, after);
    free(pieces[PIECES_COUNT - 1]);
}

/* A thread's arena, after a large block has taught malloc to keep much. */
static void *burst(void *context) {
    enum { PIECES_COUNT = 8192, PIECE_BYTES = 4096 };
    static void *pieces[PIECES_COUNT];
    (void)context;
    for (size_t index = 0; index < PIECES_COUNT; index++) {
        pieces[index] = malloc(PIECE_BYTES);
        cr_assert_not_null(pieces[index]);
        memset(pieces[index], 1, PIECE_BYTES);
    }
    for (size_t index = 0; index < PIECES_COUNT; index++) free(pieces[index]);
    return NULL;
}

Test(process, what_a_thread_has_used_goes_back_by_itself) {
    process_memory_configure();
    void *volatile large = malloc((size_t)24 << 20); /* which a compiler would leave out */
    free(large);
    const size_t before_bytes = resident_bytes();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, burst, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_lt(resident_bytes(), before_bytes + ((size_t)8 << 20), "of 32 MiB");
}
#endif
