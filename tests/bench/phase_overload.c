/* What overload does to a server: the most that it takes from clients that wait for it, then several times that rate from
 * clients that do not, then the first again. All in one run, so that the ids of what was refused are never used again. */
#include "tests/bench/phases.h"

#include "tests/bench/checked_loop.h"
#include "tests/bench/open_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* What the requests of all stages depend on. */
struct source {
    const struct phase_options *options;
    /* The number of the next stage's first event. */
    uint64_t base;
};

static void write_closed(void *context, uint64_t number, uint64_t answered_count, struct wire_writer *writer) {
    const struct source *source = context;
    const struct phase_options *options = source->options;
    (void)answered_count;
    options->peer->write_workload(writer, &options->workload, source->base + number * options->events_per_request,
                                  options->events_per_request, NULL);
}

static void write_open(void *context, uint64_t number, struct wire_writer *writer) {
    write_closed(context, number, 0, writer);
}

/* A line of /proc/PID/status, in KiB; 0 when it is not known. */
static uint64_t server_memory_kib(pid_t server_pid, const char *field) {
    char path[64];
    char line[256];
    uint64_t kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)server_pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) (void)sscanf(line + strlen(field), ": %" SCNu64, &kib);
    }
    (void)fclose(file);
    return kib;
}

static void print_memory(const struct phase_options *options) {
    printf(" anonymous_kib=%" PRIu64 " resident_most_kib=%" PRIu64 "\n",
           server_memory_kib(options->server_pid, "RssAnon"), server_memory_kib(options->server_pid, "VmHWM"));
}

/* Clients that wait. */
static bool stage_closed(struct source *source, const char *stage, double *ret_calls_per_second) {
    const struct phase_options *options = source->options;
    const struct closed_loop_options loop = {
        .target = options->target,
        .method = options->peer->append_method,
        .write_request = write_closed,
        .context = source,
        .threads_count = options->threads_count,
        .in_flight = options->in_flight,
        .warmup_ns = options->warmup_ms * NS_PER_MS,
        .window_ns = options->window_ms * NS_PER_MS,
        .server_pid = options->server_pid,
    };
    struct closed_loop_result result;
    if (!checked_loop_run(options, &loop, &result)) return false;
    source->base += result.calls_all_count * options->events_per_request;
    checked_loop_print("overload", options, &result);
    printf(" stage=%s", stage);
    print_memory(options);
    *ret_calls_per_second = (double)result.calls_count * 1e9 / (double)result.elapsed_ns;
    return true;
}

static void print_open(const struct phase_options *options, const struct open_loop_result *result) {
    const double seconds = (double)result->elapsed_ns / 1e9;
    printf("phase=overload peer=%s stage=overload times=%u offered_per_second=%.0f calls_per_second=%.0f "
           "refused_per_second=%.0f",
           options->peer->name, options->overload_times, (double)result->offered_count / seconds,
           (double)result->accepted_count / seconds, (double)result->refused_count / seconds);
    printf(" p50_us=%" PRIu64 " p99_us=%" PRIu64 " max_us=%" PRIu64 " refused_p99_us=%" PRIu64,
           histogram_quantile(&result->accepted_us, 500), histogram_quantile(&result->accepted_us, 990),
           result->accepted_us.value_max, histogram_quantile(&result->refused_us, 990));
    printf(" server_cores=%.2f client_cores=%.2f others_cores=%.2f",
           (double)result->times.server_us * 1e3 / (double)result->elapsed_ns,
           (double)result->times.client_us * 1e3 / (double)result->elapsed_ns,
           measure_others_cores(&result->times, result->elapsed_ns));
    print_memory(options);
}

/* Clients that do not. */
static bool stage_open(struct source *source, uint64_t calls_per_second) {
    const struct phase_options *options = source->options;
    uint64_t head = 0;
    if (!checked_loop_head(options, &head)) return false;
    const struct open_loop_options loop = {
        .target = options->target,
        .method = options->peer->append_method,
        .write_request = write_open,
        .context = source,
        .threads_count = options->overload_threads_count,
        .calls_per_second = calls_per_second,
        .in_flight_max = options->overload_in_flight,
        .warmup_ns = options->warmup_ms * NS_PER_MS,
        .window_ns = options->window_ms * NS_PER_MS,
        .server_pid = options->server_pid,
    };
    struct open_loop_result result;
    char error[CALL_ERROR_BYTES] = "";
    if (!open_loop_run(&loop, &result, error)) {
        (void)fprintf(stderr, "load: %s: %s\n", options->peer->name, error);
        return false;
    }
    source->base += result.sent_all_count * options->events_per_request;
    print_open(options, &result);
    return checked_loop_check(options, head, result.accepted_all_count * options->events_per_request);
}

bool phase_overload(const struct phase_options *options) {
    struct source source = {.options = options};
    double peak = 0;
    double again = 0;
    if (options->peer->write_workload == NULL) {
        (void)fprintf(stderr, "load: %s stores nothing\n", options->peer->name);
        return false;
    }
    return checked_loop_head(options, &source.base) && stage_closed(&source, "before", &peak) &&
           stage_open(&source, (uint64_t)(peak * options->overload_times)) && stage_closed(&source, "after", &again);
}
