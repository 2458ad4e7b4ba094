#include "tests/support/wall_clock.h"

#include <stdatomic.h>

static _Atomic int64_t set_ns;

int64_t __real_clock_wall_ns(void);
int64_t __wrap_clock_wall_ns(void);

int64_t __wrap_clock_wall_ns(void) {
    const int64_t now_ns = atomic_load(&set_ns);
    return now_ns != 0 ? now_ns : __real_clock_wall_ns();
}

void wall_clock_set(int64_t now_ns) {
    atomic_store(&set_ns, now_ns);
}
