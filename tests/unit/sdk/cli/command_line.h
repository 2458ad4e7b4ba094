/* command_line.h: a command of `daybook` as a function: what it is given, what it says, what it answers.
 *
 * Ownership: what was said belongs to `said`, until the next run. Threads: one. Errors: asserted. */
#ifndef TESTS_UNIT_SDK_CLI_COMMAND_LINE_H
#define TESTS_UNIT_SDK_CLI_COMMAND_LINE_H

#include <stddef.h>
#include <stdio.h>

/* What the last captured run has said. */
struct said {
    char *out;
    char *err;
};
extern struct said said;

/* Between the two, standard output and standard error go to memory. */
void capture_begin(void);
void capture_end(void);

/* Runs before and after each command; NULL: nothing does. */
extern void (*command_around)(void);

typedef int command(int argc, char **argv);

/* Runs a command with these arguments, the first one its name, NULL at the end, and `input` (or NULL) as its standard
 * input; returns its exit code. */
int command_run(command *run, const char *input, const char *const *arguments);
#define RUN(run, input, ...) command_run(run, input, (const char *const[]){__VA_ARGS__, NULL})

/* A terminal: what the program reads and writes is `slave`, what the person types and sees is `master`. */
struct terminal {
    int master;
    FILE *slave;
};
void terminal_open(struct terminal *terminal);
void terminal_close(struct terminal *terminal);

/* Fails the test unless the text holds the words. */
void expect_words(const char *text, const char *words);

#endif
