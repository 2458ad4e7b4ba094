#include "tests/bench/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
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

/* A tick is the unit of /proc's processor times. */
static uint64_t ticks_to_us(uint64_t ticks) {
    return ticks * (US_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
}

bool measure_cpu_us(pid_t pid, uint64_t *ret_cpu_us) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    char line[1024];
    size_t size = fread(line, 1, sizeof line - 1, file);
    (void)fclose(file);
    line[size] = '\0';

    /* The name of the program stands in parentheses and may hold anything, so fields are counted from the last ')'. */
    const char *after_name = strrchr(line, ')');
    unsigned long long user_ticks = 0;
    unsigned long long system_ticks = 0;
    if (after_name == NULL) return false;
    if (sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user_ticks, &system_ticks) !=
        2)
        return false;
    *ret_cpu_us = ticks_to_us(user_ticks + system_ticks);
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
    *ret_cpu_us = ticks_to_us(sum);
    return true;
}
