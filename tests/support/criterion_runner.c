/* criterion_runner.c: runs Criterion's tests without Criterion's runner, for the sanitizers.
 *
 * Criterion starts each test in a sandbox that maps memory where ThreadSanitizer keeps its shadow, and ends it in a way
 * that runs no leak check. This runner takes the place of `main` and of the few functions through which a test reports:
 * each test runs in a child process, one after the other, and leaves it through exit(), so that the sanitizer has its
 * say. Everything else, the assertions' texts among it, is still Criterion's library.
 * Supported: Test and TestSuite with init, fini, signal, exit_code and disabled. `bazel test --test_filter='suite/name*'`
 * chooses tests. Time limits are Bazel's. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the macros leave in the sections of these names; there may be no suite. */
extern struct criterion_test *__start_cr_tst[];
extern struct criterion_test *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

#define EXIT_FAILED  1
#define EXIT_SKIPPED 77

static const struct criterion_test *current;

/* What OpenSSL keeps for a thread of gRPC that still ends while the process exits, and ten bytes that c-ares makes and loses
 * when it resolves a name. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void) {
    return "leak:libcrypto.so\nleak:libcares.so\n";
}

static const struct criterion_suite *suite_of(const struct criterion_test *test) {
    for (struct criterion_suite **suite = __start_cr_sts; suite < __stop_cr_sts; suite++) {
        if (*suite != NULL && strcmp((*suite)->name, test->category) == 0) return *suite;
    }
    return NULL;
}

/* --- Through which a test reports --------------------------------------------------------------------------------- */

void criterion_internal_test_setup(void) {
    const struct criterion_suite *suite = suite_of(current);
    if (suite != NULL && suite->data->init != NULL) suite->data->init();
    if (current->data->init != NULL) current->data->init();
}

void criterion_internal_test_main(void (*function)(void)) {
    function();
}

void criterion_internal_test_teardown(void) {
    const struct criterion_suite *suite = suite_of(current);
    if (current->data->fini != NULL) current->data->fini();
    if (suite != NULL && suite->data->fini != NULL) suite->data->fini();
}

void criterion_send_assert(struct criterion_assert_stats *stats) {
    if (stats->passed) return;
    fprintf(stderr, "[----] %s:%u: %s\n", stats->file, stats->line, stats->message);
}

void cri_asserts_passed_incr(void) {
}

/* A failed test leaves at once: what it did not release would only be reported as leaked. */
void criterion_abort_test(void) {
    _exit(EXIT_FAILED);
}

void criterion_continue_test(void) {
    fprintf(stderr, "[----] %s::%s: cr_expect is not supported here, use cr_assert\n", current->category,
            current->name);
    _exit(EXIT_FAILED);
}

void criterion_skip_test(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(EXIT_SKIPPED);
}

void cr_log(enum criterion_severity severity, const char *format, ...) {
    (void)severity;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* --- Running ------------------------------------------------------------------------------------------------------ */

/* Runs one test in a child; false when it did not end as it should. */
static bool run(const struct criterion_test *test) {
    fprintf(stderr, "[RUN ] %s::%s\n", test->category, test->name);
    current = test;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return false;
    }
    if (child == 0) {
        test->test();
        exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        perror("waitpid");
        return false;
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "[----] ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
        return WTERMSIG(status) == test->data->signal;
    }
    if (WEXITSTATUS(status) == EXIT_SKIPPED) return true;
    if (WEXITSTATUS(status) != test->data->exit_code) fprintf(stderr, "[----] exit %d\n", WEXITSTATUS(status));
    return WEXITSTATUS(status) == test->data->exit_code && test->data->signal == 0;
}

static bool is_disabled(const struct criterion_test *test) {
    const struct criterion_suite *suite = suite_of(test);
    return test->data->disabled || (suite != NULL && suite->data->disabled);
}

/* The linker's order is not the file's; names are at least the same each time. */
static int compare(const void *left, const void *right) {
    const struct criterion_test *a = *(struct criterion_test *const *)left;
    const struct criterion_test *b = *(struct criterion_test *const *)right;
    int order = strcmp(a->category, b->category);
    return order != 0 ? order : strcmp(a->name, b->name);
}

int main(void) {
    const char *filter = getenv("TESTBRIDGE_TEST_ONLY");
    size_t tested = 0;
    size_t failed = 0;
    qsort(__start_cr_tst, (size_t)(__stop_cr_tst - __start_cr_tst), sizeof *__start_cr_tst, compare);
    for (struct criterion_test **test = __start_cr_tst; test < __stop_cr_tst; test++) {
        if (*test == NULL || is_disabled(*test)) continue;
        if (filter != NULL && fnmatch(filter, (*test)->data->identifier_, 0) != 0) continue;
        tested++;
        if (run(*test)) continue;
        failed++;
        fprintf(stderr, "[FAIL] %s::%s\n", (*test)->category, (*test)->name);
    }
    fprintf(stderr, "[====] Tested: %zu | Passing: %zu | Failing: %zu\n", tested, tested - failed, failed);
    return failed == 0 && tested > 0 ? 0 : EXIT_FAILED;
}
