/* criterion.h: as much of Criterion as the tests use, for the thread sanitizer.
 *
 * Criterion cannot start under it: it wants memory at addresses that the sanitizer needs itself. //third_party:criterion
 * is this instead with --config=tsan. Each test runs in a process of its own, one after the other; a report of the
 * sanitizer makes its test fail.
 * Ownership: tests are static. Threads: assertions may fail in any thread of a test. Errors: a failed assertion ends the
 * test's process. */
#ifndef TESTS_SUPPORT_PLAIN_CRITERION_CRITERION_CRITERION_H
#define TESTS_SUPPORT_PLAIN_CRITERION_CRITERION_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands behind the name in Test and TestSuite. */
struct plain_options {
    void (*init)(void);
    void (*fini)(void);
    int signal;     /* the test ends with this one */
    int exit_code;  /* or with this code */
    double timeout; /* left to whoever runs the program */
    bool disabled;
    const char *description;
};

struct plain_test {
    const char *suite;
    const char *name; /* NULL: options of the whole suite */
    void (*run)(void);
    struct plain_options options;
};

#define PLAIN_LIST(test)                                                                                               \
    static const struct plain_test *const test##_listed __attribute__((section("plain_tests"), used)) = &(test)

#define Test(test_suite, test_name, ...)                                                                               \
    static void test_suite##_##test_name##_run(void);                                                                  \
    static const struct plain_test test_suite##_##test_name##_test = {                                                 \
        .suite = #test_suite,                                                                                          \
        .name = #test_name,                                                                                            \
        .run = test_suite##_##test_name##_run,                                                                         \
        .options = {__VA_ARGS__},                                                                                      \
    };                                                                                                                 \
    PLAIN_LIST(test_suite##_##test_name##_test);                                                                       \
    static void test_suite##_##test_name##_run(void)

#define TestSuite(test_suite, ...)                                                                                     \
    static const struct plain_test test_suite##_suite = {.suite = #test_suite, .options = {__VA_ARGS__}};              \
    PLAIN_LIST(test_suite##_suite)

__attribute__((noreturn, format(printf, 4, 5))) void plain_fail(const char *file, int line, const char *what,
                                                                const char *format, ...);
__attribute__((noreturn)) void plain_skip(void);

#define PLAIN_CHECK(condition, what, ...)                                                                              \
    ((condition) ? (void)0 : plain_fail(__FILE__, __LINE__, what, " " __VA_ARGS__))

#define cr_assert(condition, ...)      PLAIN_CHECK(condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...)  PLAIN_CHECK(!(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_fail(...)            plain_fail(__FILE__, __LINE__, "fail", " " __VA_ARGS__)
#define cr_assert_eq(a, b, ...)        PLAIN_CHECK((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)       PLAIN_CHECK((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)        PLAIN_CHECK((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)       PLAIN_CHECK((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)        PLAIN_CHECK((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)       PLAIN_CHECK((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(a, ...)         PLAIN_CHECK((a) == NULL, #a " == NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...)     PLAIN_CHECK((a) != NULL, #a " != NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)    PLAIN_CHECK(strcmp((a), (b)) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) PLAIN_CHECK(memcmp((a), (b), (n)) == 0, #a " equals " #b, __VA_ARGS__)
#define cr_skip_test(...)              plain_skip()
#define cr_log_info(...)               ((void)fprintf(stderr, __VA_ARGS__), (void)fputc('\n', stderr))

#endif
