/* arguments.h: the load generator's command line.
 *
 * Ownership: texts belong to the command line. Threads: the main one, once.
 * Errors: a wrong command line ends the program with a message, as argp does. */
#ifndef DAYBOOK_TESTS_BENCH_ARGUMENTS_H
#define DAYBOOK_TESTS_BENCH_ARGUMENTS_H

#include "tests/bench/phases.h"

struct arguments {
    /* What to do; NULL: print a free port. */
    bool (*run)(const struct phase_options *options);
    bool free_port;
    bool without_server;
    struct phase_options options;
};

/* Reads the command line. False: it is wrong in a way that argp itself does not end the program for. */
bool arguments_parse(struct arguments *ret_arguments, int argc, char **argv);

#endif
