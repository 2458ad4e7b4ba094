#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "sdk/cli/append.h"
#include "sdk/cli/print.h"

/* One request of a long input. */
#define BATCH_EVENTS_COUNT 500
#define BATCH_BYTES        (4u << 20)
/* The progress line moves this often. */
#define PROGRESS_EVENTS_COUNT 5000

struct lines {
    char *line;
    size_t capacity;
    uint64_t read_count;
    uint64_t sent_count;
    bool progress;
};

static void progress_show(const struct lines *lines, bool last) {
    if (!lines->progress || (!last && lines->sent_count % PROGRESS_EVENTS_COUNT != 0)) return;
    (void)fprintf(stderr, "\r%" PRIu64 " events appended%s", lines->sent_count, last ? "\n" : "");
}

/* Fills a batch from standard input. 0, or the exit code. */
static int batch_fill(struct append_batch *batch, const struct append_arguments *arguments, struct lines *lines,
                      bool *ret_end) {
    *ret_end = false;
    while (batch->events_count < BATCH_EVENTS_COUNT && batch->bytes < BATCH_BYTES) {
        errno = 0;
        ssize_t size = getline(&lines->line, &lines->capacity, stdin);
        if (size < 0) {
            *ret_end = true;
            if (errno == 0 && !ferror(stdin)) return 0;
            (void)fprintf(stderr, "daybook: standard input cannot be read: %s\n", strerror(errno));
            return EXIT_DATA;
        }
        lines->read_count++;
        while (size > 0 && (lines->line[size - 1] == '\n' || lines->line[size - 1] == '\r')) size--;
        if (size == 0) continue;
        if (!append_payload_check(arguments, lines->line, (size_t)size, lines->read_count)) return EXIT_DATA;
        if (!append_batch_add(batch, arguments, lines->line, (size_t)size)) return common_out_of_memory();
    }
    return 0;
}

/* What was sent before a bad line stays; the message says how much that is. */
int append_lines(const struct append_arguments *arguments, daybook_client *client) {
    struct lines lines = {.progress = isatty(STDERR_FILENO) != 0};
    int code = 0;
    for (bool end = false; code == 0 && !end;) {
        struct append_batch batch;
        if (!append_batch_begin(&batch, arguments)) {
            code = common_out_of_memory();
            break;
        }
        code = batch_fill(&batch, arguments, &lines, &end);
        const size_t count = batch.events_count;
        const int sent = append_batch_send(&batch, arguments, client, true);
        if (sent == 0) lines.sent_count += count;
        if (code == 0) code = sent;
        progress_show(&lines, end || code != 0);
    }
    free(lines.line);
    if (arguments->common.json) {
        (void)printf("{\"appended\":%" PRIu64 "}\n", lines.sent_count);
    } else {
        (void)printf("%" PRIu64 " events appended to ", lines.sent_count);
        print_plain(stdout, upb_StringView_FromString(arguments->stream));
        (void)putchar('\n');
    }
    return code;
}
