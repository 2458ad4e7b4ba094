#include "tests/bench/stall_watch.h"

#include "tests/bench/measure.h"

#include <stdlib.h>

#define INTERVAL_NS UINT64_C(1000000)

static void *watch_main(void *context) {
    struct stall_watch *watch = context;
    while (!atomic_load(&watch->stopping)) {
        const uint64_t end_ns = measure_now_ns() + INTERVAL_NS;
        measure_wait_until_ns(end_ns);
        const uint64_t late_us = (measure_now_ns() - end_ns) / 1000;
        uint64_t longest_us = atomic_load(&watch->longest_us);
        while (late_us > longest_us && !atomic_compare_exchange_weak(&watch->longest_us, &longest_us, late_us)) {
        }
    }
    return NULL;
}

void stall_watch_start(struct stall_watch *watch) {
    atomic_init(&watch->stopping, false);
    atomic_init(&watch->longest_us, 0);
    if (pthread_create(&watch->thread, NULL, watch_main, watch) != 0) abort();
}

uint64_t stall_watch_take(struct stall_watch *watch) {
    return atomic_exchange(&watch->longest_us, 0);
}

void stall_watch_stop(struct stall_watch *watch) {
    atomic_store(&watch->stopping, true);
    (void)pthread_join(watch->thread, NULL);
}
