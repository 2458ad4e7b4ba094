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

static uint64_t server_cpu_us(pid_t pid) {
    clockid_t clock;
    if (pid == 0 || clock_getcpuclockid(pid, &clock) != 0) return 0;
    return clock_ns(clock) / 1000;
}

static uint64_t machine_cpu_us(void) {
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) return 0;
    /* user nice system (idle iowait) irq softirq steal */
    unsigned long long ticks[6] = {0};
    int fields_count = fscanf(file, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
                              &ticks[3], &ticks[4], &ticks[5]);
    (void)fclose(file);
    if (fields_count != 6) return 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < 6; i++) sum += ticks[i];
    return sum * (US_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK));
}

struct measure_times measure_times_now(pid_t server_pid) {
    return (struct measure_times){
        .server_us = server_cpu_us(server_pid),
        .client_us = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000,
        .machine_us = machine_cpu_us(),
    };
}

struct measure_times measure_times_since(const struct measure_times *begin, pid_t server_pid) {
    struct measure_times now = measure_times_now(server_pid);
    return (struct measure_times){
        .server_us = now.server_us - begin->server_us,
        .client_us = now.client_us - begin->client_us,
        .machine_us = now.machine_us - begin->machine_us,
    };
}

double measure_others_cores(const struct measure_times *times, uint64_t elapsed_ns) {
    double others_us = (double)times->machine_us - (double)times->server_us - (double)times->client_us;
    return others_us * 1000.0 / (double)elapsed_ns;
}
