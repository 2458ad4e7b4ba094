/* operation.h: a command that has the server do something long, and shows how far it is until it is done.
 *
 * Ownership: nothing is kept. Threads: the command's. Errors: exit codes, as common.h has them. */
#ifndef SDK_CLI_OPERATION_H
#define SDK_CLI_OPERATION_H

#include "sdk/cli/common.h"
#include "sdk/cli/json.h"

/* What a response says to the terminal. */
struct operation_progress {
    uint64_t done_count;
    uint64_t all_count; /* 0: it has not begun */
    /* What it has found, a line each; the response's. */
    const upb_StringView *lines;
    size_t lines_count;
};

struct operation {
    const char *what; /* is counted: "events copied" */
    /* What a response says: for the terminal, and as an object for --json. */
    struct operation_progress (*read)(const void *response, void *context);
    json_t *(*to_json)(const void *response);
    /* Prints the outcome after the last response. */
    void (*print_outcome)(const void *context);
    void *context;
};

/* Follows the stream to its end and closes it. NULL, what opening one gives when it fails: tells of the status. */
int operation_follow(const struct common *common, daybook_stream *stream, const daybook_status *status,
                     const struct operation *operation);

#endif
