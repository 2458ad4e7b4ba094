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

void process_memory_trim(void) {
    (void)malloc_trim(0);
}
