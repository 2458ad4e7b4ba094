/* operation.c: see operation.h. */
#include "sdk/cli/operation.h"

#include <stdio.h>

#include "sdk/cli/print.h"
#include "sdk/cli/progress.h"

/* -1, or the exit code. */
static int response_show(const struct common *common, const struct operation *operation, const void *response,
                         struct progress *progress) {
    const struct operation_progress read = operation->read(response, operation->context);
    if (common->json) {
        if (!json_line(operation->to_json(response))) return common_out_of_memory();
        return fflush(stdout) == 0 ? -1 : EXIT_OUTPUT;
    }
    if (read.lines_count > 0) progress_end(progress);
    for (size_t index = 0; index < read.lines_count; index++) {
        print_plain(stdout, read.lines[index]);
        (void)putchar('\n');
    }
    if (read.all_count > 0) progress_show(progress, read.done_count, read.all_count);
    return fflush(stdout) == 0 ? -1 : EXIT_OUTPUT;
}

int operation_follow(const struct common *common, daybook_stream *stream, const daybook_status *status,
                     const struct operation *operation) {
    if (stream == NULL) return common_fail(common, status);
    daybook_status ended;
    daybook_next next;
    const void *response;
    struct progress progress;
    progress_init(&progress, operation->what);
    int code = -1;
    while (code < 0 &&
           (next = daybook_stream_next(stream, common->timeout_ms, &response, &ended)) == DAYBOOK_NEXT_MESSAGE) {
        code = response_show(common, operation, response, &progress);
    }
    (void)daybook_stream_close(stream);
    progress_end(&progress);
    if (code < 0) code = common_stream_ended(common, next, &ended);
    if (code == 0 && !common->json) operation->print_outcome(operation->context);
    return code;
}
