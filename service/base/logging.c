#include "service/base/logging.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "service/base/clock.h"

/* A longer line is cut: a log must never be what fills a disk. */
#define LINE_BYTES_MAX     2048
#define NUMBER_SLOTS_COUNT 32
#define NUMBER_BYTES       24

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"text", "json"};

static enum log_level level_least = LOG_INFO;
static enum log_format format_chosen = LOG_FORMAT_TEXT;

struct line {
    char text[LINE_BYTES_MAX];
    size_t size;
};

static void append_character(struct line *line, char character) {
    /* The last three bytes are kept for the end of the line. */
    if (line->size < sizeof line->text - 3) line->text[line->size++] = character;
}

static void append_text(struct line *line, const char *text) {
    for (; *text != '\0'; text++) append_character(line, *text);
}

static void append_escaped(struct line *line, const char *text) {
    static const char digits[] = "0123456789abcdef";
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            append_character(line, '\\');
            append_character(line, (char)byte);
        } else if (byte < 0x20 || byte == 0x7f) {
            append_text(line, "\\u00");
            append_character(line, digits[byte >> 4]);
            append_character(line, digits[byte & 0x0f]);
        } else {
            append_character(line, (char)byte);
        }
    }
}

static void append_quoted(struct line *line, const char *text) {
    append_character(line, '"');
    append_escaped(line, text);
    append_character(line, '"');
}

/* Text values are quoted only when they would be ambiguous. */
static bool is_plain(const char *text) {
    if (*text == '\0') return false;
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte <= ' ' || byte == '"' || byte == '=' || byte == '\\' || byte == 0x7f) return false;
    }
    return true;
}

static void append_time(struct line *line) {
    const int64_t now_ns = clock_wall_ns();
    const time_t seconds = (time_t)(now_ns / 1000000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char text[48];
    const size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text + size, sizeof text - size, ".%03dZ", (int)(now_ns / 1000000 % 1000));
    append_text(line, text);
}

static void append_pair(struct line *line, const char *key, const char *value) {
    if (format_chosen == LOG_FORMAT_JSON) {
        append_character(line, ',');
        append_quoted(line, key);
        append_character(line, ':');
        append_quoted(line, value);
        return;
    }
    append_character(line, ' ');
    append_text(line, key);
    append_character(line, '=');
    if (is_plain(value)) {
        append_text(line, value);
    } else {
        append_quoted(line, value);
    }
}

static void append_head(struct line *line, enum log_level level, const char *message) {
    if (format_chosen == LOG_FORMAT_JSON) {
        append_text(line, "{\"time\":\"");
        append_time(line);
        append_text(line, "\",\"level\":\"");
        append_text(line, level_names[level]);
        append_text(line, "\",\"message\":");
        append_quoted(line, message);
        return;
    }
    append_time(line);
    append_character(line, ' ');
    append_text(line, level_names[level]);
    append_character(line, ' ');
    append_text(line, message);
}

void log_configure(enum log_level level, enum log_format format) {
    level_least = level;
    format_chosen = format;
}

static result name_find(const char *const *names, unsigned count, const char *text, unsigned *ret_index) {
    for (unsigned index = 0; index < count; index++) {
        if (strcmp(names[index], text) != 0) continue;
        *ret_index = index;
        return RESULT_OK;
    }
    return failure_result(FAILURE_INPUT);
}

result log_level_parse(const char *text, enum log_level *ret_level) {
    unsigned index;
    TRY(name_find(level_names, sizeof level_names / sizeof level_names[0], text, &index));
    *ret_level = (enum log_level)index;
    return RESULT_OK;
}

result log_format_parse(const char *text, enum log_format *ret_format) {
    unsigned index;
    TRY(name_find(format_names, sizeof format_names / sizeof format_names[0], text, &index));
    *ret_format = (enum log_format)index;
    return RESULT_OK;
}

const char *log_number(uint64_t number) {
    static _Thread_local char slots[NUMBER_SLOTS_COUNT][NUMBER_BYTES];
    static _Thread_local unsigned slot;
    slot = (slot + 1) % NUMBER_SLOTS_COUNT;
    (void)snprintf(slots[slot], NUMBER_BYTES, "%" PRIu64, number);
    return slots[slot];
}

void log_line(enum log_level level, const char *message, ...) {
    if (level < level_least) return;
    struct line line;
    line.size = 0;
    append_head(&line, level, message);
    va_list pairs;
    va_start(pairs, message);
    for (const char *key = va_arg(pairs, const char *); key != NULL; key = va_arg(pairs, const char *)) {
        const char *value = va_arg(pairs, const char *);
        assert(value != NULL);
        append_pair(&line, key, value);
    }
    va_end(pairs);
    if (format_chosen == LOG_FORMAT_JSON) line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    /* A full pipe or a closed terminal must not stop the daemon: a line that cannot be written is lost. */
    const ssize_t written = write(STDERR_FILENO, line.text, line.size);
    (void)written;
}
