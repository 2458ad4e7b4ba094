/* index_bench.c: what the index alone does.
 *
 *   index_bench DIRECTORY [EVENTS] [STREAMS] [ENTRIES] [REQUEST]
 *
 * Adds EVENTS (4,000,000) events of STREAMS (200,000) streams chosen at random, each with ENTRIES (1) entries: the stream,
 * then an id, then tags of 300,000. With REQUEST (0) the ids of as many events are looked up before these are added, as the
 * sequencer does. Then asks, while nothing else goes on. DIRECTORY must not have an index. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "service/base/clock.h"
#include "service/base/logging.h"
#include "service/store/index.h"

#define TAGS_COUNT        300000
#define ENTRIES_COUNT_MAX 16
#define QUESTIONS_COUNT   1000000
#define PAGE_COUNT        256
#define REQUEST_COUNT_MAX 8192

static uint64_t random_state = 1;

static uint64_t random_number(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct term term_numbered(enum term_kind kind, uint64_t number) {
    return term_of(kind, bytes_of(&number, sizeof number));
}

static double seconds_since(int64_t begin_ns) {
    return (double)(clock_monotonic_ns() - begin_ns) / 1e9;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double thread_cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long resident_kib(const char *field) {
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) kib = strtol(line + strlen(field), NULL, 10);
    }
    if (status != NULL) fclose(status);
    return kib;
}

static void counts_print(struct index *index) {
    const struct index_counts counts = index_count(index);
    printf("  runs %" PRIu64 ", tail events %" PRIu64 ", waits %" PRIu64 ", file %" PRIu64
           " MiB, resident %ld MiB (own "
           "memory %ld MiB)\n",
           counts.runs_count, counts.tail_events_count, counts.waits_count, counts.used_bytes >> 20,
           resident_kib("VmRSS:") >> 10, resident_kib("RssAnon:") >> 10);
}

/* What one add took, in powers of two of microseconds. */
struct worst {
    int64_t add_ns;
    int64_t interval_adds;
};

/* Looks up the ids of the next events; none is there. Returns the seconds of CPU it took. */
static double ids_look(struct index *index, uint64_t position, uint64_t count) {
    static struct term terms[REQUEST_COUNT_MAX];
    static struct index_entry found[REQUEST_COUNT_MAX];
    const double begin_cpu = thread_cpu_seconds();
    for (uint64_t at = 0; at < count; at++) terms[at] = term_numbered(TERM_EVENT_ID, position + at);
    const result outcome = index_newest(index, terms, (uint32_t)count, found);
    assert(!failed(outcome));
    for (uint64_t at = 0; at < count; at++) assert(found[at].position == 0);
    return thread_cpu_seconds() - begin_cpu;
}

static void add_all(struct index *index, uint64_t events_count, uint64_t streams_count, uint32_t entries_count,
                    uint64_t request_count) {
    uint64_t *revisions = calloc(streams_count, sizeof *revisions);
    assert(revisions != NULL);
    struct worst worst = {0};
    const int64_t begin_ns = clock_monotonic_ns();
    const double begin_cpu = cpu_seconds();
    double look_cpu = 0;
    int64_t lap_ns = begin_ns;
    for (uint64_t position = 1; position <= events_count; position++) {
        if (request_count > 0 && position % request_count == 1) look_cpu += ids_look(index, position, request_count);
        struct index_entry entries[ENTRIES_COUNT_MAX];
        const uint64_t stream = random_number() % streams_count;
        entries[0] = (struct index_entry){term_numbered(TERM_STREAM, stream), ++revisions[stream], position};
        for (uint32_t number = 1; number < entries_count; number++) {
            entries[number] =
                number == 1
                    ? (struct index_entry){term_numbered(TERM_EVENT_ID, position), INDEX_ID_NUMBER, position}
                    : (struct index_entry){term_numbered(TERM_TAG, random_number() % TAGS_COUNT), position, position};
        }
        const int64_t add_begin_ns = clock_monotonic_ns();
        const result outcome = index_add(index, position, entries, entries_count);
        assert(!failed(outcome));
        const int64_t add_ns = clock_monotonic_ns() - add_begin_ns;
        if (add_ns > worst.add_ns) worst.add_ns = add_ns;
        if (position % (events_count / 8) == 0) {
            printf("  %" PRIu64 " events: %.0f events/s\n", position,
                   (double)(events_count / 8) / seconds_since(lap_ns));
            lap_ns = clock_monotonic_ns();
        }
    }
    const double seconds = seconds_since(begin_ns);
    printf("add: %.0f events/s, worst add %.1f ms, %.2f us of CPU an event\n", (double)events_count / seconds,
           (double)worst.add_ns / 1e6, (cpu_seconds() - begin_cpu) / (double)events_count * 1e6);
    if (request_count > 0) printf("  of it looking up ids: %.2f us an event\n", look_cpu / (double)events_count * 1e6);
    counts_print(index);
    free(revisions);
}

/* Waits until the thread has no more to do: two looks in a row show the same runs. */
static void settle(struct index *index) {
    const int64_t begin_ns = clock_monotonic_ns();
    const double begin_cpu = cpu_seconds();
    double cpu = -1;
    struct timespec moment = {.tv_nsec = 200000000};
    while (cpu_seconds() - cpu > 0.01) {
        cpu = cpu_seconds();
        nanosleep(&moment, NULL);
    }
    printf("settle: %.1f s, %.2f s of CPU\n", seconds_since(begin_ns), cpu_seconds() - begin_cpu);
    counts_print(index);
}

static void last_ask(struct index *index, const char *name, uint64_t first, uint64_t count) {
    uint64_t found_count = 0;
    const int64_t begin_ns = clock_monotonic_ns();
    for (uint64_t question = 0; question < QUESTIONS_COUNT; question++) {
        struct index_entry entry;
        const struct term term = term_numbered(TERM_STREAM, first + random_number() % count);
        if (!failed(index_last(index, term, &entry))) found_count++;
    }
    printf("last, %s: %.2f us, %" PRIu64 " of %d found\n", name, seconds_since(begin_ns) / QUESTIONS_COUNT * 1e6,
           found_count, QUESTIONS_COUNT);
}

static void range_ask(struct index *index, uint64_t streams_count) {
    struct index_entry entries[PAGE_COUNT];
    uint64_t entries_count = 0;
    const uint64_t questions_count = QUESTIONS_COUNT / 10;
    const int64_t begin_ns = clock_monotonic_ns();
    for (uint64_t question = 0; question < questions_count; question++) {
        uint32_t count = 0;
        const struct term term = term_numbered(TERM_STREAM, random_number() % streams_count);
        const result outcome = index_range(index, term, 1, INDEX_FORWARD, PAGE_COUNT, entries, &count);
        assert(!failed(outcome));
        entries_count += count;
    }
    printf("range of up to %d: %.2f us, %.1f entries each\n", PAGE_COUNT,
           seconds_since(begin_ns) / (double)questions_count * 1e6, (double)entries_count / (double)questions_count);
}

int main(int arguments_count, char **arguments) {
    if (arguments_count < 2) {
        (void)fprintf(stderr, "usage: %s DIRECTORY [EVENTS] [STREAMS] [ENTRIES] [REQUEST]\n", arguments[0]);
        return 64;
    }
    const uint64_t events_count = arguments_count > 2 ? strtoull(arguments[2], NULL, 10) : 4000000;
    const uint64_t streams_count = arguments_count > 3 ? strtoull(arguments[3], NULL, 10) : 200000;
    const uint32_t entries_count = arguments_count > 4 ? (uint32_t)strtoul(arguments[4], NULL, 10) : 1;
    const uint64_t request_count = arguments_count > 5 ? strtoull(arguments[5], NULL, 10) : 0;
    assert(request_count != 1 && request_count <= REQUEST_COUNT_MAX);
    assert(events_count >= 8 && streams_count > 0 && entries_count > 0 && entries_count <= ENTRIES_COUNT_MAX);
    const struct index_options options = {
        .directory = arguments[1],
        .store_id = "01890a5d-ac96-774b-bcce-b302099a8057",
    };
    struct index *index;
    struct problem problem = {.text = ""};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (getenv("INDEX_BENCH_DEBUG") != NULL) log_configure(LOG_DEBUG, LOG_FORMAT_TEXT);
    if (failed(index_open(&options, &index, &problem)) || index_position(index) != 0) {
        (void)fprintf(stderr, "cannot begin an index there: %s\n", problem.text);
        return 1;
    }
    counts_print(index);
    add_all(index, events_count, streams_count, entries_count, request_count);
    last_ask(index, "there, while merges go on", 0, streams_count);
    settle(index);
    last_ask(index, "there", 0, streams_count);
    last_ask(index, "not there", streams_count, UINT32_MAX);
    range_ask(index, streams_count);
    counts_print(index);
    index_close(index);
    return 0;
}
