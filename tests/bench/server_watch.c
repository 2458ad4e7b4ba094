#include "tests/bench/server_watch.h"

#include "tests/bench/measure.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_NS UINT64_C(20000000)

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

static void *watch_main(void *context) {
    struct server_watch *watch = context;
    const uint64_t run_ns = PERIOD_NS * watch->share_percent / 100;
    uint64_t begin_ns = measure_now_ns();
    while (!atomic_load(&watch->ends)) {
        measure_wait_until_ns(begin_ns + run_ns);
        if (run_ns < PERIOD_NS) (void)kill(watch->server_pid, SIGSTOP);
        look(watch);
        measure_wait_until_ns(begin_ns + PERIOD_NS);
        if (run_ns < PERIOD_NS) (void)kill(watch->server_pid, SIGCONT);
        begin_ns = measure_now_ns();
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
