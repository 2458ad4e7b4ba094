#include "tests/bench/measure.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define US_PER_SECOND UINT64_C(1000000)

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t measure_now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t measure_wall_us(void) {
    return clock_ns(CLOCK_REALTIME) / 1000;
}

void measure_wait_until_ns(uint64_t end_ns) {
    struct timespec end = {
        .tv_sec = (time_t)(end_ns / NS_PER_SECOND),
        .tv_nsec = (long)(end_ns % NS_PER_SECOND),
    };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR) {
    }
}

uint64_t measure_own_cpu_us(void) {
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

bool measure_cpu_us(pid_t pid, uint64_t *ret_cpu_us) {
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0) return false;
    *ret_cpu_us = clock_ns(clock) / 1000;
    return true;
}

bool measure_machine_cpu_us(uint64_t *ret_cpu_us) {
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) return false;
    /* user nice system (idle iowait) irq softirq steal */
    unsigned long long ticks[6] = {0};
    int fields_count = fscanf(file, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
                              &ticks[3], &ticks[4], &ticks[5]);
    (void)fclose(file);
    if (fields_count != 6) return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < 6; i++) sum += ticks[i];
    *ret_cpu_us = sum * (US_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
    return true;
}
