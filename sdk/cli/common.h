/* common.h: what every command of `daybook` shares: options, the connection, exit codes, errors.
 *
 * Exit codes: 0 done; 1 the server refused (the message says why), nothing was found, or the user said no; 64 wrong
 * arguments; 65 bad input data; 69 no server to reach; 70 out of memory; 74 standard output cannot be written.
 * Threads: the main thread. */
#ifndef SDK_CLI_COMMON_H
#define SDK_CLI_COMMON_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "daybook/daybook.h"
#include "sdk/cli/security.h"

enum exit_code {
    EXIT_REFUSED = 1,
    EXIT_USAGE = 64,
    EXIT_DATA = 65,
    EXIT_UNREACHABLE = 69,
    EXIT_RESOURCES = 70,
    EXIT_OUTPUT = 74,
};

#define COMMAND_TIMEOUT_DEFAULT_MS 10000

struct common {
    const char *server;
    uint32_t timeout_ms;
    bool json;
    struct security *security;
    daybook_details *details; /* of the last call: what its error says beyond the status */
};

/* Defaults, with DAYBOOK_SERVER for the address. */
void common_init(struct common *common);

/* The parser of the shared options, as a child of a command's own; its input is the `struct common`. */
extern const struct argp common_argp;

/* Parses the arguments of the command argv[0], which help and errors then call "daybook COMMAND". Ends the program on wrong
 * ones. */
void common_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Connects, runs the body with an arena of its own, disconnects. Returns the exit code. */
typedef int common_body(const struct common *common, daybook_client *client, upb_Arena *arena, void *context);
int common_run(const struct common *common, common_body *body, void *context);

/* The options of a unary call, and of a stream, which has no end but waits for each message at most --timeout-ms. */
daybook_call_options common_call_options(const struct common *common);
daybook_call_options common_stream_options(const struct common *common);

/* Prints what went wrong, with every detail of the server's, and what to do, and returns the exit code. The call must have
 * ended, or the stream been closed: it is then that the details are whole. */
int common_fail(const struct common *common, const daybook_status *status);
int common_out_of_memory(void);

/* The exit code of a stream that is closed, by what its last `next` has found: anything but a message. */
int common_stream_ended(const struct common *common, daybook_next next, const daybook_status *status);

/* Parses a number of 64 bits; anything else ends the program as argp does, naming `what`. */
uint64_t common_number(struct argp_state *state, const char *text, const char *what);

/* Parses "2026-11-23T19:11:00Z", with or without a fraction of a second, as nanoseconds since 1970; anything else ends the
 * program as above. */
int64_t common_time(struct argp_state *state, const char *text, const char *what);

/* Flushes standard output; what cannot be written is an error, not silence. */
int common_finish(int code);

/* The commands. `argv[0]` is the command's name. */
int command_append(int argc, char **argv);
int command_read(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_streams(int argc, char **argv);
int command_stream(int argc, char **argv);
int command_settings(int argc, char **argv);
int command_types(int argc, char **argv);
int command_tags(int argc, char **argv);
int command_consumers(int argc, char **argv);
int command_delete(int argc, char **argv);
int command_erase(int argc, char **argv);
int command_head(int argc, char **argv);
int command_status(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_compact(int argc, char **argv);
int command_reindex(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_backup(int argc, char **argv);

#endif
