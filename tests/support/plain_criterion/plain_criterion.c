#include <criterion/criterion.h>

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_FAILED  1
#define EXIT_SKIPPED 77

/* Bounds of the section that PLAIN_LIST fills; the linker makes the names. */
extern const struct plain_test *const __start_plain_tests[];
extern const struct plain_test *const __stop_plain_tests[];

void plain_fail(const char *file, int line, const char *what, const char *format, ...) {
    (void)fprintf(stderr, "%s:%d: %s:", file, line, what);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    _exit(EXIT_FAILED);
}

void plain_skip(void) {
    exit(EXIT_SKIPPED);
}

static const struct plain_options *suite_options(const char *suite) {
    for (const struct plain_test *const *at = __start_plain_tests; at < __stop_plain_tests; at++) {
        if ((*at)->name == NULL && strcmp((*at)->suite, suite) == 0) return &(*at)->options;
    }
    return NULL;
}

__attribute__((noreturn)) static void run(const struct plain_test *test) {
    const struct plain_options *suite = suite_options(test->suite);
    if (suite != NULL && suite->init != NULL) suite->init();
    if (test->options.init != NULL) test->options.init();
    test->run();
    if (test->options.fini != NULL) test->options.fini();
    if (suite != NULL && suite->fini != NULL) suite->fini();
    exit(EXIT_SUCCESS); /* and let the sanitizer have its say */
}

static bool ended_well(const struct plain_test *test, int status) {
    if (WIFSIGNALED(status)) return WTERMSIG(status) == test->options.signal;
    const int code = WEXITSTATUS(status);
    return test->options.signal == 0 && (code == test->options.exit_code || code == EXIT_SKIPPED);
}

static bool passes(const struct plain_test *test) {
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) run(test);
    int status = 0;
    const bool passed = child > 0 && waitpid(child, &status, 0) == child && ended_well(test, status);
    (void)fprintf(stderr, "[%s] %s::%s\n", passed ? "PASS" : "FAIL", test->suite, test->name);
    return passed;
}

int main(void) {
    unsigned tests_count = 0;
    unsigned failed_count = 0;
    for (const struct plain_test *const *at = __start_plain_tests; at < __stop_plain_tests; at++) {
        if ((*at)->name == NULL || (*at)->options.disabled) continue;
        tests_count++;
        if (!passes(*at)) failed_count++;
    }
    (void)fprintf(stderr, "%u tests, %u failed\n", tests_count, failed_count);
    return failed_count == 0 && tests_count > 0 ? EXIT_SUCCESS : EXIT_FAILED;
}
