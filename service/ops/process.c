#include "service/ops/process.h"

#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>

/* gRPC keeps a table by descriptor number; there is no use in more than this. */
#define DESCRIPTORS_COUNT_MAX 1048576

uint64_t process_descriptors_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const rlim_t wanted = limit.rlim_max < DESCRIPTORS_COUNT_MAX ? limit.rlim_max : DESCRIPTORS_COUNT_MAX;
    if (limit.rlim_cur < wanted) {
        const struct rlimit raised = {.rlim_cur = wanted, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return limit.rlim_cur;
}

uint32_t process_cores_count(void) {
    cpu_set_t cores;
    /* It fails where there are more cores than the set can name: many, then. */
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) return CPU_SETSIZE;
    return (uint32_t)CPU_COUNT(&cores);
}

/* Blocks from MMAP_THRESHOLD_BYTES on are mapped, and their pages are fresh each time: more than a group of some thousand
 * small appends takes, which would pay for them with every commit. An arena keeps TRIM_THRESHOLD_BYTES at its end, and there
 * are eight arenas for each core, through which threads that come and go pass one after the other. */
#define MMAP_THRESHOLD_BYTES (4 << 20)
#define TRIM_THRESHOLD_BYTES (512 << 10)

void process_memory_configure(void) {
    /* They fail where another allocator has taken malloc's place, which needs no such advice. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
}

void process_memory_trim(void) {
    (void)malloc_trim(0);
}
