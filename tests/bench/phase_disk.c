/* What the disk alone does: a file that grows and is synced again and again, at the pace of a busy store. A pause that is
 * seen here is not the server's. */
#include "tests/bench/phases.h"

#include "tests/bench/histogram.h"
#include "tests/bench/measure.h"
#include "tests/bench/stall_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_BYTES ((size_t)256 << 10)
/* 128 MiB a second. */
#define WRITE_INTERVAL_NS UINT64_C(1953125)
#define NS_PER_MS         UINT64_C(1000000)

/* Writes until the time is over, each write at its time or as soon as the one before it is on disk. */
static bool write_synced(int descriptor, uint64_t window_ns, struct histogram *latency_us) {
    uint8_t *data = malloc(WRITE_BYTES);
    if (data == NULL) abort();
    for (size_t i = 0; i < WRITE_BYTES; i++) data[i] = (uint8_t)(i * 31 + i / 256);
    const uint64_t begin_ns = measure_now_ns();
    bool ok = true;
    for (uint64_t next_ns = begin_ns; ok && next_ns < begin_ns + window_ns;) {
        measure_wait_until_ns(next_ns);
        const uint64_t started_ns = measure_now_ns();
        ok = write(descriptor, data, WRITE_BYTES) == (ssize_t)WRITE_BYTES && fdatasync(descriptor) == 0;
        const uint64_t now_ns = measure_now_ns();
        histogram_record(latency_us, (now_ns - started_ns) / 1000);
        next_ns += WRITE_INTERVAL_NS;
        if (next_ns < now_ns) next_ns = now_ns;
    }
    free(data);
    return ok;
}

bool phase_disk(const struct phase_options *options) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/disk-alone", options->directory);
    int descriptor = length < (int)sizeof path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (descriptor < 0) {
        (void)fprintf(stderr, "load: cannot create a file in %s: %s\n", options->directory, strerror(errno));
        return false;
    }
    struct histogram latency_us;
    struct stall_watch watch;
    histogram_init(&latency_us);
    stall_watch_start(&watch);
    bool ok = write_synced(descriptor, options->window_ms * NS_PER_MS, &latency_us);
    stall_watch_stop(&watch);
    (void)close(descriptor);
    (void)unlink(path);
    if (!ok) {
        (void)fprintf(stderr, "load: %s: %s\n", path, strerror(errno));
        return false;
    }
    printf("phase=disk-alone syncs=%" PRIu64 " p50_us=%" PRIu64 " p99_us=%" PRIu64 " p999_us=%" PRIu64
           " max_us=%" PRIu64 " stall_max_us=%" PRIu64 "\n",
           latency_us.count, histogram_quantile(&latency_us, 500), histogram_quantile(&latency_us, 990),
           histogram_quantile(&latency_us, 999), latency_us.value_max, stall_watch_take(&watch));
    return true;
}
