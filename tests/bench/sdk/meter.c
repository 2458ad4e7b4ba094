/* meter.c: see meter.h. Counts from the end of the warm-up to the end of the window, while the calls go on. */
#include "tests/bench/sdk/meter.h"

#include <argp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "tests/bench/measure.h"

struct lane {
    _Alignas(64) _Atomic uint64_t count;
};

static struct lane lanes[METER_LANES_MAX];
static atomic_bool is_over;

struct options {
    struct meter_task task;
    uint64_t warmup_ns;
    uint64_t window_ns;
    pid_t server_pid;
};

static struct options options = {
    .task = {.mode = "blocking", .threads_count = 1, .in_flight = 64, .payload_bytes = 200},
    .warmup_ns = 500000000,
    .window_ns = 3000000000,
};

void meter_add(unsigned lane, uint64_t count) {
    atomic_fetch_add_explicit(&lanes[lane % METER_LANES_MAX].count, count, memory_order_relaxed);
}

int meter_is_over(void) {
    return atomic_load_explicit(&is_over, memory_order_relaxed);
}

void meter_fail(const char *what, const char *why) {
    (void)fprintf(stderr, "%s: %s: %s\n", peer_name, what, why);
    _Exit(EXIT_FAILURE);
}

static uint64_t count_all(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < METER_LANES_MAX; i++) sum += atomic_load_explicit(&lanes[i].count, memory_order_relaxed);
    return sum;
}

/* Watches the window, and says what it has seen. */
static void *watch(void *unused) {
    (void)unused;
    const uint64_t begin_ns = measure_now_ns() + options.warmup_ns;
    measure_wait_until_ns(begin_ns);
    const struct measure_times begin = measure_times_now(options.server_pid);
    const uint64_t count_begin = count_all();
    measure_wait_until_ns(begin_ns + options.window_ns);
    const uint64_t count = count_all() - count_begin;
    const uint64_t elapsed_ns = measure_now_ns() - begin_ns;
    const struct measure_times times = measure_times_since(&begin, options.server_pid);
    atomic_store(&is_over, true);
    if (count == 0) meter_fail("the window", "nothing has come to its end in it");
    (void)printf(
        "phase=sdk peer=%s mode=%s threads=%u per_second=%.0f client_us=%.3f server_us=%.3f others_cores=%.2f\n",
        peer_name, options.task.mode, options.task.threads_count, (double)count * 1e9 / (double)elapsed_ns,
        (double)times.client_us / (double)count, (double)times.server_us / (double)count,
        measure_others_cores(&times, elapsed_ns));
    return NULL;
}

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number) {
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || value < least || value > most) return false;
    *ret_number = value;
    return true;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    uint64_t value = 0;
    switch (key) {
    case 't':
        options.task.target = text;
        return 0;
    case 'm':
        options.task.mode = text;
        return 0;
    case 'n':
        if (!number(text, 1, METER_LANES_MAX, &value)) argp_error(state, "--threads is 1 to %u", METER_LANES_MAX);
        options.task.threads_count = (uint32_t)value;
        return 0;
    case 'f':
        if (!number(text, 1, 4096, &value)) argp_error(state, "--in-flight is 1 to 4096");
        options.task.in_flight = (uint32_t)value;
        return 0;
    case 'w':
        if (!number(text, 1, 600000, &value)) argp_error(state, "--window-ms is 1 to 600000");
        options.window_ns = value * 1000000;
        return 0;
    case 'b':
        if (!number(text, 0, 1 << 20, &value)) argp_error(state, "--payload-bytes is 0 to 1048576");
        options.task.payload_bytes = value;
        return 0;
    case 'p':
        if (!number(text, 1, INT32_MAX, &value)) argp_error(state, "--server-pid is a process");
        options.server_pid = (pid_t)value;
        return 0;
    case ARGP_KEY_END:
        if (options.task.target == NULL) argp_error(state, "--target is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv) {
    static const struct argp_option known[] = {
        {"target", 't', "HOST:PORT", 0, "The server", 0},
        {"mode", 'm', "MODE", 0, "blocking, future, pull, push or talk", 0},
        {"threads", 'n', "COUNT", 0, "Threads that call, of blocking (1)", 0},
        {"in-flight", 'f', "COUNT", 0, "Calls at once, of future (64)", 0},
        {"window-ms", 'w', "MILLISECONDS", 0, "Length of the measured window (3000)", 0},
        {"payload-bytes", 'b', "BYTES", 0, "Of each message (200)", 0},
        {"server-pid", 'p', "PID", 0, "The server's process, for its processor time", 0},
        {0},
    };
    static const struct argp parser = {known, parse_option, NULL, "One client of the SDK's benchmark.",
                                       NULL,  NULL,         NULL};
    if (argp_parse(&parser, argc, argv, 0, NULL, NULL) != 0) return EX_USAGE;
    char *payload = malloc(options.task.payload_bytes + 1);
    if (payload == NULL) return EXIT_FAILURE;
    memset(payload, 'x', options.task.payload_bytes + 1);
    options.task.payload = payload;
    pthread_t watcher;
    if (pthread_create(&watcher, NULL, watch, NULL) != 0) return EXIT_FAILURE;
    peer_run(&options.task);
    (void)pthread_join(watcher, NULL);
    free(payload);
    return EXIT_SUCCESS;
}
