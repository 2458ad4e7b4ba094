/* Log lines: one a happening, structured, and nothing that a value holds can forge another. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/base/logging.h"

static int standard_error;
static int read_end;

/* Standard error is a pipe from here on. */
static void setup(void) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    standard_error = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    read_end = ends[0];
}

static void teardown(void) {
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    close(read_end);
}

TestSuite(logging, .init = setup, .fini = teardown);

/* What was written since the last call, behind the time. */
static const char *written(void) {
    static char text[8192];
    cr_assert_eq(write(STDERR_FILENO, "", 1), 1); /* so that the read never waits */
    const ssize_t size = read(read_end, text, sizeof text - 1);
    cr_assert_gt(size, 0);
    text[size] = '\0';
    return text;
}

static const char *after_time(const char *line) {
    /* 2026-01-02T03:04:05.678Z and a space */
    cr_assert_gt(strlen(line), 25, "\"%s\"", line);
    cr_assert(line[10] == 'T' && line[19] == '.' && line[23] == 'Z' && line[24] == ' ', "\"%s\"", line);
    return line + 25;
}

Test(logging, text_has_level_message_and_pairs) {
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    log_info("listening", "address", "127.0.0.1:50051", "port", log_number(50051));
    cr_assert_str_eq(after_time(written()), "info listening address=127.0.0.1:50051 port=50051\n");
}

/* As many as the line of the daemon's settings has. */
Test(logging, a_line_has_room_for_many_numbers) {
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    log_info("many", "a", log_number(1), "b", log_number(2), "c", log_number(3), "d", log_number(4), "e", log_number(5),
             "f", log_number(6), "g", log_number(7), "h", log_number(8), "i", log_number(9), "j", log_number(10), "k",
             log_number(11), "l", log_number(12));
    cr_assert_str_eq(after_time(written()), "info many a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9 j=10 k=11 l=12\n");
}

Test(logging, what_is_below_the_level_is_not_written) {
    log_configure(LOG_WARN, LOG_FORMAT_TEXT);
    log_info("quiet");
    cr_assert_str_eq(written(), "");
    log_error("loud");
    cr_assert_str_eq(after_time(written()), "error loud\n");
}

Test(logging, a_value_cannot_forge_a_line_or_a_pair) {
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    log_warn("odd", "name", "a\nerror forged=1", "empty", "", "quote", "say \"x\"\\");
    cr_assert_str_eq(after_time(written()),
                     "warn odd name=\"a\\u000aerror forged=1\" empty=\"\" quote=\"say \\\"x\\\"\\\\\"\n");
}

Test(logging, json_is_one_object) {
    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    log_info("serving", "address", "a \"b\"\t");
    const char *line = written();
    cr_assert_eq(strncmp(line, "{\"time\":\"", 9), 0);
    cr_assert_str_eq(strstr(line, "\",\"level\""),
                     "\",\"level\":\"info\",\"message\":\"serving\",\"address\":\"a \\\"b\\\"\\u0009\"}\n");
}

Test(logging, a_line_has_its_limit_and_its_end) {
    char long_value[5000];
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    log_info("long", "value", long_value);
    const char *line = written();
    cr_assert_lt(strlen(line), 2049);
    cr_assert_eq(line[strlen(line) - 1], '\n');
}

Test(logging, names_of_levels_and_formats) {
    enum log_level level = LOG_WARN;
    enum log_format format = LOG_FORMAT_TEXT;
    cr_assert_not(failed(log_level_parse("debug", &level)));
    cr_assert_eq(level, LOG_DEBUG);
    cr_assert_eq(log_level_parse("loud", &level).failure, FAILURE_INPUT);
    cr_assert_eq(level, LOG_DEBUG, "untouched on failure");
    cr_assert_not(failed(log_format_parse("json", &format)));
    cr_assert_eq(format, LOG_FORMAT_JSON);
    cr_assert_eq(log_format_parse("JSON", &format).failure, FAILURE_INPUT);
}
