/* daybook: the command for people and scripts. It uses the SDK's public headers alone. */
#include <stdio.h>
#include <string.h>

#include "sdk/cli/common.h"

#define COMMAND_VERSION "0.1.0"

static const struct {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"append", "record events in a stream", command_append},
    {"read", "print events that are there", command_read},
    {"tail", "print events as they come, for ever", command_tail},
    {"trace", "print what belongs together as a tree of causes", command_trace},
    {"streams", "list streams", command_streams},
    {"types", "list the types of events", command_types},
    {"tags", "list the tags of events", command_tags},
    {"consumers", "list how far consumers have come", command_consumers},
    {"stream", "describe a stream", command_stream},
    {"settings", "print or change how long a stream keeps its events", command_settings},
    {"delete", "delete a stream", command_delete},
    {"erase", "erase single events", command_erase},
    {"head", "print the last position", command_head},
    {"status", "say whether the server is well", command_status},
    {"stats", "print the figures of the store", command_stats},
    {"compact", "give the space of what is gone back", command_compact},
    {"reindex", "build the index anew", command_reindex},
    {"verify", "check everything that is stored", command_verify},
    {"backup", "copy the store to a file", command_backup},
};

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

static void usage(FILE *out) {
    (void)fputs("Usage: daybook COMMAND [OPTION...]\n\n", out);
    for (size_t index = 0; index < COMMANDS_COUNT; index++) {
        (void)fprintf(out, "  %-10s %s\n", commands[index].name, commands[index].summary);
    }
    (void)fputs(
        "\n`daybook COMMAND --help` tells more.\n"
        "Every command takes --server HOST:PORT (DAYBOOK_SERVER, else 127.0.0.1:50051), --timeout-ms and --json,\n"
        "and for TLS --tls, --tls-authorities, --tls-certificate, --tls-key, --tls-server-name and --token-file.\n\n"
        "Exit codes: 0 done, 1 refused (by the server, or by you when asked), not found or damaged, 64 wrong arguments,\n"
        "65 bad input data, 69 no server to reach, 70 out of memory, 74 output cannot be written.\n",
        out);
}

int main(int argc, char **argv) {
    argp_err_exit_status = EXIT_USAGE;
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("daybook " COMMAND_VERSION);
        return 0;
    }
    for (size_t index = 0; index < COMMANDS_COUNT; index++) {
        if (strcmp(argv[1], commands[index].name) == 0) return common_finish(commands[index].run(argc - 1, argv + 1));
    }
    (void)fprintf(stderr, "daybook: there is no command \"%s\"\n\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}
