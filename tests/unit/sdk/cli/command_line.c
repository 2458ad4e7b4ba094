#include "tests/unit/sdk/cli/command_line.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 80

struct said said;
void (*command_around)(void);

static FILE *real_out;
static FILE *real_err;
static size_t out_size;
static size_t err_size;

void capture_begin(void) {
    free(said.out);
    free(said.err);
    said = (struct said){0};
    real_out = stdout;
    real_err = stderr;
    stdout = open_memstream(&said.out, &out_size);
    stderr = open_memstream(&said.err, &err_size);
    cr_assert(stdout != NULL && stderr != NULL);
}

void capture_end(void) {
    (void)fclose(stdout);
    (void)fclose(stderr);
    stdout = real_out;
    stderr = real_err;
}

int command_run(command *run, const char *input, const char *const *arguments) {
    char *argv[ARGUMENTS_MAX + 1] = {NULL};
    int argc = 0;
    for (; arguments[argc] != NULL; argc++) {
        cr_assert_lt(argc, ARGUMENTS_MAX);
        argv[argc] = (char *)(uintptr_t)arguments[argc];
    }
    FILE *real_in = stdin;
    if (input != NULL) stdin = fmemopen((void *)(uintptr_t)input, strlen(input), "r");
    if (command_around != NULL) command_around();
    capture_begin();
    const int code = run(argc, argv);
    capture_end();
    if (command_around != NULL) command_around();
    if (input != NULL) (void)fclose(stdin);
    stdin = real_in;
    return code;
}

void terminal_open(struct terminal *terminal) {
    char name[64];
    terminal->master = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(terminal->master >= 0 && grantpt(terminal->master) == 0 && unlockpt(terminal->master) == 0);
    cr_assert_eq(ptsname_r(terminal->master, name, sizeof name), 0);
    const int slave = open(name, O_RDWR | O_NOCTTY);
    cr_assert_geq(slave, 0);
    terminal->slave = fdopen(slave, "r+");
    cr_assert_not_null(terminal->slave);
}

void terminal_close(struct terminal *terminal) {
    (void)fclose(terminal->slave);
    (void)close(terminal->master);
}

void expect_words(const char *text, const char *words) {
    cr_assert_not_null(strstr(text, words), "\"%s\" is not in \"%s\"", words, text);
}
