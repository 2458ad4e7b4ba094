/* What overload does to a server: the most that it takes from clients that wait for it, then several times that rate from
 * clients that do not, then the first again. All in one run, so that the ids of what was refused are never used again. */
#include "tests/bench/phases.h"

#include "tests/bench/checked_loop.h"
#include "tests/bench/open_loop.h"

#include "tests/bench/server_watch.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)
/* A server rests when its memory has not changed by more than so much for so long. */
#define REST_KIB    UINT64_C(512)
#define REST_NS     UINT64_C(3000000000)
#define REST_NS_MAX UINT64_C(30000000000)
#define SETTLE_NS   UINT64_C(1000000000)

/* What the requests of all stages depend on. */
struct source {
    const struct phase_options *options;
    /* The number of the next stage's first event. */
    uint64_t base;
    struct server_watch *watch;
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

static void print_memory(struct source *source) {
    printf(" anonymous_kib_most=%" PRIu64 " share=%u\n", server_watch_peak_take(source->watch),
           source->options->server_share_percent);
}

/* Waits until the server has given back what it does not need, and prints what it holds then. */
static void stage_rest(struct source *source, const char *stage) {
    const struct phase_options *options = source->options;
    uint64_t kib = server_anonymous_kib(options->server_pid);
    uint64_t since_ns = measure_now_ns();
    const uint64_t end_ns = since_ns + REST_NS_MAX;
    while (measure_now_ns() - since_ns < REST_NS && measure_now_ns() < end_ns) {
        measure_wait_until_ns(measure_now_ns() + REST_NS / 30);
        const uint64_t now_kib = server_anonymous_kib(options->server_pid);
        if (now_kib + REST_KIB < kib || now_kib > kib + REST_KIB) {
            kib = now_kib;
            since_ns = measure_now_ns();
        }
    }
    printf("phase=overload peer=%s stage=%s events_per_request=%u deadline_ms=%u anonymous_kib=%" PRIu64
           " descriptors=%" PRIu64 "\n",
           options->peer->name, stage, options->events_per_request, options->overload_deadline_ms,
           server_anonymous_kib(options->server_pid), server_descriptors_count(options->server_pid));
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
    printf(" stage=%s events_per_request=%u deadline_ms=%u", stage, options->events_per_request,
           options->overload_deadline_ms);
    print_memory(source);
    *ret_calls_per_second = (double)result.calls_count * 1e9 / (double)result.elapsed_ns;
    return true;
}

static void print_open(struct source *source, const struct open_loop_result *result) {
    const struct phase_options *options = source->options;
    const double seconds = (double)result->elapsed_ns / 1e9;
    printf("phase=overload peer=%s stage=overload events_per_request=%u deadline_ms=%u times=%u", options->peer->name,
           options->events_per_request, options->overload_deadline_ms, options->overload_times);
    printf(" offered_per_second=%.0f sent_per_second=%.0f calls_per_second=%.0f refused_per_second=%.0f "
           "expired_per_second=%.0f",
           (double)result->offered_count / seconds, (double)result->sent_count / seconds,
           (double)result->accepted_count / seconds, (double)result->refused_count / seconds,
           (double)result->expired_count / seconds);
    printf(" p50_us=%" PRIu64 " p99_us=%" PRIu64 " max_us=%" PRIu64 " refused_p99_us=%" PRIu64,
           histogram_quantile(&result->accepted_us, 500), histogram_quantile(&result->accepted_us, 990),
           result->accepted_us.value_max, histogram_quantile(&result->refused_us, 990));
    printf(" server_cores=%.2f client_cores=%.2f others_cores=%.2f",
           (double)result->times.server_us * 1e3 / (double)result->elapsed_ns,
           (double)result->times.client_us * 1e3 / (double)result->elapsed_ns,
           measure_others_cores(&result->times, result->elapsed_ns));
    print_memory(source);
}

/* What has expired was carried out or not; all else must be as it was said to be. */
static bool check_open(const struct phase_options *options, uint64_t head_before,
                       const struct open_loop_result *result) {
    const uint64_t least = result->accepted_all_count * options->events_per_request;
    const uint64_t most = least + result->expired_all_count * options->events_per_request;
    uint64_t head = 0;
    if (!checked_loop_head(options, &head)) return false;
    if (head - head_before >= least && head - head_before <= most) return true;
    (void)fprintf(stderr,
                  "load: %s: %" PRIu64 " to %" PRIu64 " events were written, but the head moved by %" PRIu64 "\n",
                  options->peer->name, least, most, head - head_before);
    return false;
}

/* Waits until nothing is written any more: what has expired may still be on its way. */
static bool settle(const struct phase_options *options) {
    uint64_t head = 0;
    uint64_t before = 1;
    while (head != before) {
        before = head;
        measure_wait_until_ns(measure_now_ns() + SETTLE_NS);
        if (!checked_loop_head(options, &head)) return false;
    }
    return true;
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
        .deadline_ms = options->overload_deadline_ms,
        .server_pid = options->server_pid,
    };
    struct open_loop_result result;
    char error[CALL_ERROR_BYTES] = "";
    if (!open_loop_run(&loop, &result, error)) {
        (void)fprintf(stderr, "load: %s: %s\n", options->peer->name, error);
        return false;
    }
    source->base += result.sent_all_count * options->events_per_request;
    print_open(source, &result);
    return settle(options) && check_open(options, head, &result);
}

bool phase_overload(const struct phase_options *options) {
    struct source source = {.options = options};
    double peak = 0;
    double again = 0;
    if (options->peer->write_workload == NULL) {
        (void)fprintf(stderr, "load: %s stores nothing\n", options->peer->name);
        return false;
    }
    if (!checked_loop_head(options, &source.base)) return false;
    stage_rest(&source, "rest-before");
    struct server_watch watch;
    source.watch = &watch;
    server_watch_begin(&watch, options->server_pid, options->server_share_percent);
    const bool ok = stage_closed(&source, "before", &peak) &&
                    stage_open(&source, (uint64_t)(peak * options->overload_times)) &&
                    stage_closed(&source, "after", &again);
    server_watch_end(&watch);
    if (ok) stage_rest(&source, "rest-after");
    return ok;
}
