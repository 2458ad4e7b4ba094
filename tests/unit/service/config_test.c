/* The daemon's settings: defaults, variables, flags, and which of them wins; what is wrong with one that is wrong. */
#include "service/config.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/limits.h"

#define ARGUMENTS_MAX 8

/* Every setting that takes a number: its flag, its variable, its limits and where it goes. */
static const struct {
    const char *flag;
    const char *variable;
    uint64_t fallback;
    uint64_t minimum;
    uint64_t maximum;
    size_t offset;
} numbers[] = {
    {"--event-bytes-max", "DAYBOOK_EVENT_BYTES_MAX", 1048576, 1024, 8388608, offsetof(struct config, event_bytes_max)},
    {"--drain-ms", "DAYBOOK_DRAIN_MS", 25000, 0, 600000, offsetof(struct config, drain_ms)},
    {"--stall-ms", "DAYBOOK_STALL_MS", 10000, 0, 600000, offsetof(struct config, stall_ms)},
    {"--keepalive-ms", "DAYBOOK_KEEPALIVE_MS", 30000, 1000, 600000, offsetof(struct config, keepalive_ms)},
    {"--keepalive-timeout-ms", "DAYBOOK_KEEPALIVE_TIMEOUT_MS", 10000, 1000, 600000,
     offsetof(struct config, keepalive_timeout_ms)},
    {"--connections-max", "DAYBOOK_CONNECTIONS_MAX", 10000, 0, 1000000, offsetof(struct config, connections_max)},
    {"--grpc-threads", "DAYBOOK_GRPC_THREADS", 0, 0, 64, offsetof(struct config, grpc_threads)},
    {"--reader-threads", "DAYBOOK_READER_THREADS", 2, 1, 64, offsetof(struct config, reader_threads)},
    {"--log-map-bytes", "DAYBOOK_LOG_MAP_BYTES", GIB(1024), MIB(16), GIB(16384),
     offsetof(struct config, log_map_bytes)},
};
enum { NUMBERS_COUNT = sizeof numbers / sizeof numbers[0] };

static uint64_t number_of(const struct config *config, size_t number) {
    return *(const uint64_t *)(const void *)((const char *)config + numbers[number].offset);
}

/* Variables of the machine must not decide a test. */
static void setup(void) {
    static const char *const variables[] = {"DAYBOOK_DATA",
                                            "DAYBOOK_LISTEN",
                                            "DAYBOOK_LOG_LEVEL",
                                            "DAYBOOK_LOG_FORMAT",
                                            "DAYBOOK_REMOTE_FILE_SYSTEM",
                                            "DAYBOOK_ID_INDEX",
                                            "DAYBOOK_TLS_CERTIFICATE",
                                            "DAYBOOK_TLS_KEY",
                                            "DAYBOOK_TLS_CLIENT_AUTHORITIES"};
    for (size_t index = 0; index < sizeof variables / sizeof variables[0]; index++) unsetenv(variables[index]);
    for (size_t index = 0; index < NUMBERS_COUNT; index++) unsetenv(numbers[index].variable);
}

TestSuite(config, .init = setup);

/* Parses "daybookd" and these arguments, NULL at the end. */
static result parse(struct config *ret_config, struct problem *ret_problem, const char *const *arguments) {
    static char copies[ARGUMENTS_MAX][256];
    char *argv[ARGUMENTS_MAX + 1] = {copies[0]};
    int argc = 1;
    (void)snprintf(copies[0], sizeof copies[0], "daybookd");
    for (; arguments[argc - 1] != NULL; argc++) {
        cr_assert_lt(argc, ARGUMENTS_MAX);
        (void)snprintf(copies[argc], sizeof copies[argc], "%s", arguments[argc - 1]);
        argv[argc] = copies[argc];
    }
    return config_parse(argc, argv, ret_config, ret_problem);
}
#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static struct config config_of(const char *const *arguments) {
    struct config config;
    struct problem problem = {.text = ""};
    cr_assert_not(failed(parse(&config, &problem, arguments)), "%s", problem.text);
    return config;
}

/* Fails the test unless the arguments are refused with exactly this text, and the config is left alone. */
static void expect_refused(const char *const *arguments, const char *text) {
    struct config config;
    struct config before;
    struct problem problem;
    memset(&config, 0x5a, sizeof config);
    memcpy(&before, &config, sizeof config);
    cr_assert_eq(parse(&config, &problem, arguments).failure, FAILURE_INPUT);
    cr_assert_str_eq(problem.text, text);
    cr_assert_eq(memcmp(&config, &before, sizeof config), 0);
    cr_assert_null(strchr(problem.text, '\n'), "a problem is one line");
}

Test(config, without_flags_and_variables_it_is_the_defaults) {
    const struct config config = config_of(ARGUMENTS());
    cr_assert_str_eq(config.data, "./data");
    cr_assert_str_eq(config.listen, "127.0.0.1:50051");
    cr_assert_str_eq(config.log_level_text, "info");
    cr_assert_str_eq(config.log_format_text, "text");
    cr_assert_eq(config.log_level, LOG_INFO);
    cr_assert_eq(config.log_format, LOG_FORMAT_TEXT);
    cr_assert_not(config.remote_file_system);
    for (size_t index = 0; index < NUMBERS_COUNT; index++) {
        cr_assert_eq(number_of(&config, index), numbers[index].fallback, "%s", numbers[index].flag);
    }
}

Test(config, every_text_has_a_flag) {
    const struct config config =
        config_of(ARGUMENTS("--data", "/somewhere", "--listen=[::]:7", "--log-level", "debug", "--log-format", "json"));
    cr_assert_str_eq(config.data, "/somewhere");
    cr_assert_str_eq(config.listen, "[::]:7");
    cr_assert_eq(config.log_level, LOG_DEBUG);
    cr_assert_eq(config.log_format, LOG_FORMAT_JSON);
}

Test(config, every_text_has_a_variable) {
    setenv("DAYBOOK_DATA", "/elsewhere", 1);
    setenv("DAYBOOK_LISTEN", "0.0.0.0:0", 1);
    setenv("DAYBOOK_LOG_LEVEL", "error", 1);
    setenv("DAYBOOK_LOG_FORMAT", "json", 1);
    const struct config config = config_of(ARGUMENTS());
    cr_assert_str_eq(config.data, "/elsewhere");
    cr_assert_str_eq(config.listen, "0.0.0.0:0");
    cr_assert_eq(config.log_level, LOG_ERROR);
    cr_assert_eq(config.log_format, LOG_FORMAT_JSON);
}

Test(config, a_flag_wins_over_its_variable) {
    setenv("DAYBOOK_DATA", "/variable", 1);
    setenv("DAYBOOK_LISTEN", "variable:1", 1);
    setenv("DAYBOOK_LOG_LEVEL", "warn", 1);
    setenv("DAYBOOK_DRAIN_MS", "1", 1);
    const struct config config = config_of(ARGUMENTS("--data", "/flag", "--log-level=debug", "--drain-ms=2"));
    cr_assert_str_eq(config.data, "/flag");
    cr_assert_str_eq(config.listen, "variable:1");
    cr_assert_eq(config.log_level, LOG_DEBUG);
    cr_assert_str_eq(config.log_level_text, "debug");
    cr_assert_eq(config.drain_ms, 2);
}

Test(config, the_last_of_two_equal_flags_wins) {
    cr_assert_eq(config_of(ARGUMENTS("--drain-ms=2", "--drain-ms=3")).drain_ms, 3);
}

/* One below and above each limit, by flag and by variable. */
Test(config, every_number_has_its_limits) {
    for (size_t index = 0; index < NUMBERS_COUNT; index++) {
        const uint64_t tried[] = {numbers[index].minimum, numbers[index].minimum + 1, numbers[index].maximum - 1,
                                  numbers[index].maximum, numbers[index].maximum + 1, numbers[index].minimum - 1};
        for (size_t number = 0; number < sizeof tried / sizeof tried[0]; number++) {
            char flag[64];
            char expected[256];
            (void)snprintf(flag, sizeof flag, "%s=%lu", numbers[index].flag, (unsigned long)tried[number]);
            const char *text = strchr(flag, '=') + 1;
            (void)setenv(numbers[index].variable, text, 1);
            if (number < 4) {
                struct config config = config_of(ARGUMENTS());
                cr_assert_eq(number_of(&config, index), tried[number]);
                unsetenv(numbers[index].variable);
                config = config_of(ARGUMENTS(flag));
                cr_assert_eq(number_of(&config, index), tried[number]);
                continue;
            }
            (void)snprintf(expected, sizeof expected, "%s is \"%s\": a number from %lu to %lu is needed",
                           numbers[index].variable, text, (unsigned long)numbers[index].minimum,
                           (unsigned long)numbers[index].maximum);
            expect_refused(ARGUMENTS(), expected);
            unsetenv(numbers[index].variable);
            (void)snprintf(expected, sizeof expected, "%s is \"%s\": a number from %lu to %lu is needed",
                           numbers[index].flag, text, (unsigned long)numbers[index].minimum,
                           (unsigned long)numbers[index].maximum);
            expect_refused(ARGUMENTS(flag), expected);
        }
    }
}

Test(config, a_number_is_digits_alone) {
    static const char *const bad[] = {"", " 5", "5 ", "+5", "-5", "0x10", "5ms", "1e3", "five", "18446744073709551616"};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        char flag[64];
        char expected[128];
        (void)snprintf(flag, sizeof flag, "--drain-ms=%s", bad[index]);
        (void)snprintf(expected, sizeof expected, "--drain-ms is \"%s\": a number from 0 to 600000 is needed",
                       bad[index]);
        expect_refused(ARGUMENTS(flag), expected);
    }
}

Test(config, a_switch_is_on_by_its_flag_or_by_a_variable_that_says_so) {
    cr_assert(config_of(ARGUMENTS("--remote-file-system")).remote_file_system);
    static const struct {
        const char *text;
        bool on;
    } good[] = {{"true", true}, {"1", true}, {"false", false}, {"0", false}};
    for (size_t index = 0; index < 4; index++) {
        setenv("DAYBOOK_REMOTE_FILE_SYSTEM", good[index].text, 1);
        cr_assert_eq(config_of(ARGUMENTS()).remote_file_system, good[index].on);
        cr_assert(config_of(ARGUMENTS("--remote-file-system")).remote_file_system);
    }
    setenv("DAYBOOK_REMOTE_FILE_SYSTEM", "yes", 1);
    expect_refused(ARGUMENTS(), "DAYBOOK_REMOTE_FILE_SYSTEM is \"yes\": true or false is needed");
    setenv("DAYBOOK_REMOTE_FILE_SYSTEM", "", 1);
    expect_refused(ARGUMENTS(), "DAYBOOK_REMOTE_FILE_SYSTEM is \"\": true or false is needed");
}

Test(config, a_text_is_not_empty) {
    expect_refused(ARGUMENTS("--data="), "--data is empty");
    expect_refused(ARGUMENTS("--listen", ""), "--listen is empty");
    setenv("DAYBOOK_DATA", "", 1);
    expect_refused(ARGUMENTS(), "DAYBOOK_DATA is empty");
}

Test(config, a_level_and_a_format_are_ones_that_there_are) {
    expect_refused(ARGUMENTS("--log-level=loud"), "--log-level is \"loud\": debug, info, warn or error is needed");
    expect_refused(ARGUMENTS("--log-level=INFO"), "--log-level is \"INFO\": debug, info, warn or error is needed");
    expect_refused(ARGUMENTS("--log-format=xml"), "--log-format is \"xml\": text or json is needed");
}

Test(config, a_wrong_variable_is_called_by_its_name) {
    setenv("DAYBOOK_LOG_LEVEL", "loud", 1);
    expect_refused(ARGUMENTS(), "DAYBOOK_LOG_LEVEL is \"loud\": debug, info, warn or error is needed");
    setenv("DAYBOOK_LOG_LEVEL", "info", 1);
    setenv("DAYBOOK_LOG_FORMAT", "", 1);
    expect_refused(ARGUMENTS(), "DAYBOOK_LOG_FORMAT is empty");
}

Test(config, the_first_mistake_is_told) {
    expect_refused(ARGUMENTS("--drain-ms=soon", "--data=", "extra"),
                   "--drain-ms is \"soon\": a number from 0 to 600000 is needed");
    expect_refused(ARGUMENTS("extra", "more"), "\"extra\" is not understood; see daybookd --help");
}

Test(config, an_unknown_flag_exits_64, .exit_code = 64) {
    (void)config_of(ARGUMENTS("--colour=red"));
    cr_assert_fail("it went on");
}

Test(config, a_flag_without_its_value_exits_64, .exit_code = 64) {
    (void)config_of(ARGUMENTS("--data"));
    cr_assert_fail("it went on");
}

Test(config, help_exits_0, .exit_code = 0) {
    (void)config_of(ARGUMENTS("--help"));
    cr_assert_fail("it went on");
}

Test(config, version_exits_0, .exit_code = 0) {
    (void)config_of(ARGUMENTS("--version"));
    cr_assert_fail("it went on");
}

Test(config, the_index_of_ids_is_permanent_or_a_window) {
    cr_assert_eq(config_of(ARGUMENTS()).ids_window, 0);
    cr_assert_eq(config_of(ARGUMENTS("--id-index", "window:1")).ids_window, 1);
    cr_assert_eq(config_of(ARGUMENTS("--id-index", "window:1000000000000000")).ids_window, IDS_WINDOW_EVENTS_COUNT_MAX);
    cr_assert_eq(setenv("DAYBOOK_ID_INDEX", "window:5000", 1), 0);
    cr_assert_eq(config_of(ARGUMENTS()).ids_window, 5000);
    cr_assert_eq(config_of(ARGUMENTS("--id-index", "permanent")).ids_window, 0);
    unsetenv("DAYBOOK_ID_INDEX");
    static const char *const wrong[] = {"window",    "window:",   "window:0",   "window:-1",
                                        "window: 5", "window:5k", "window:+5",  "window:1000000000000001",
                                        "Permanent", "5",         "window:1e6", "window:99999999999999999999"};
    for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        char text[160];
        (void)snprintf(text, sizeof text,
                       "--id-index is \"%s\": permanent, or window:N with N from 1 to 1000000000000000 is needed",
                       wrong[index]);
        expect_refused(ARGUMENTS("--id-index", wrong[index]), text);
    }
}

Test(config, tls_is_whole_or_not_there) {
    struct config config = config_of(ARGUMENTS());
    cr_assert_null(config.tls_certificate);
    cr_assert_null(config.tls_key);
    cr_assert_null(config.tls_client_authorities);
    config = config_of(ARGUMENTS("--tls-certificate=c", "--tls-key=k"));
    cr_assert_str_eq(config.tls_certificate, "c");
    cr_assert_str_eq(config.tls_key, "k");
    cr_assert_null(config.tls_client_authorities);
    setenv("DAYBOOK_TLS_CERTIFICATE", "c", 1);
    expect_refused(ARGUMENTS(), "--tls-certificate is given without --tls-key");
    cr_assert_str_eq(config_of(ARGUMENTS("--tls-key=k", "--tls-client-authorities=a")).tls_client_authorities, "a");
    unsetenv("DAYBOOK_TLS_CERTIFICATE");
    expect_refused(ARGUMENTS("--tls-key=k", "--tls-client-authorities=a"),
                   "--tls-key is given without --tls-certificate");
    expect_refused(ARGUMENTS("--tls-client-authorities=a"),
                   "--tls-client-authorities is given without --tls-certificate and --tls-key");
    expect_refused(ARGUMENTS("--tls-key="), "--tls-key is empty");
}

Test(config, tasks_are_flags_alone) {
    setenv("DAYBOOK_VERIFY", "true", 1);
    setenv("DAYBOOK_RESTORE", "/variable", 1);
    const struct config none = config_of(ARGUMENTS());
    cr_assert(!none.verify && none.restore == NULL, "a variable would do it at every start");
    cr_assert(config_of(ARGUMENTS("--verify")).verify);
    cr_assert_str_eq(config_of(ARGUMENTS("--restore", "/file")).restore, "/file");
    expect_refused(ARGUMENTS("--verify", "--restore=/file"),
                   "--verify and --restore are given together; a restore verifies what it has made");
    unsetenv("DAYBOOK_VERIFY");
    unsetenv("DAYBOOK_RESTORE");
}
