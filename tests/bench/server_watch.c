#include "tests/bench/server_watch.h"

#include "tests/bench/measure.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define PERIOD_NS     UINT64_C(100000000)
/* How often it looks what the server has used. */
#define LOOK_NS UINT64_C(250000)

uint64_t server_anonymous_kib(pid_t server_pid) {
    char path[64];
    char line[256];
    uint64_t kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)server_pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL) (void)sscanf(line, "RssAnon: %" SCNu64, &kib);
    (void)fclose(file);
    return kib;
}

uint64_t server_descriptors_count(pid_t server_pid) {
    char path[64];
    uint64_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)server_pid);
    DIR *directory = opendir(path);
    if (directory == NULL) return 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') count++;
    }
    (void)closedir(directory);
    return count;
}

static void look(struct server_watch *watch) {
    const uint64_t kib = server_anonymous_kib(watch->server_pid);
    uint64_t most = atomic_load(&watch->anonymous_kib_most);
    while (kib > most && !atomic_compare_exchange_weak(&watch->anonymous_kib_most, &most, kib)) {
    }
}

/* The processor time that the server has used since it began. */
static uint64_t server_time_ns(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) != 0) return 0;
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

static void *watch_main(void *context) {
    struct server_watch *watch = context;
    clockid_t clock;
    const bool is_limited = watch->share_percent < 100 && clock_getcpuclockid(watch->server_pid, &clock) == 0;
    const uint64_t cores_count = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t budget_ns = PERIOD_NS * cores_count * watch->share_percent / 100;
    /* What was used above the budget, for a look is only so often, is taken from the next period. */
    uint64_t limit_ns = is_limited ? server_time_ns(clock) : 0;
    while (!atomic_load(&watch->ends)) {
        const uint64_t period_end_ns = measure_now_ns() + PERIOD_NS;
        if (is_limited) {
            const uint64_t used_ns = server_time_ns(clock);
            /* What was not used is not kept. */
            limit_ns = (used_ns > limit_ns ? limit_ns : used_ns) + budget_ns;
            while (server_time_ns(clock) < limit_ns && measure_now_ns() + LOOK_NS < period_end_ns) {
                measure_wait_until_ns(measure_now_ns() + LOOK_NS);
            }
            if (server_time_ns(clock) >= limit_ns) (void)kill(watch->server_pid, SIGSTOP);
        }
        look(watch);
        measure_wait_until_ns(period_end_ns);
        if (is_limited) (void)kill(watch->server_pid, SIGCONT);
    }
    return NULL;
}

void server_watch_begin(struct server_watch *watch, pid_t server_pid, uint32_t share_percent) {
    *watch = (struct server_watch){.server_pid = server_pid, .share_percent = share_percent};
    if (server_pid != 0 && pthread_create(&watch->thread, NULL, watch_main, watch) != 0) abort();
}

uint64_t server_watch_peak_take(struct server_watch *watch) {
    return atomic_exchange(&watch->anonymous_kib_most, 0);
}

void server_watch_end(struct server_watch *watch) {
    if (watch->server_pid == 0) return;
    atomic_store(&watch->ends, true);
    (void)pthread_join(watch->thread, NULL);
}
