/* logging.h: the daemon's own log lines, one a happening, to standard error.
 *
 *   log_info("listening", "address", "127.0.0.1:50051", "port", log_number(50051));
 *
 * Text format: `2026-01-02T03:04:05.678Z info listening address=127.0.0.1:50051`; JSON: the same as one object. Values are
 * escaped. Payloads and tokens are never logged.
 * Ownership: values are read before the call returns. Threads: any; a line is one write. */
#ifndef SERVICE_BASE_LOGGING_H
#define SERVICE_BASE_LOGGING_H

#include <stdint.h>

#include "service/base/result.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Before the first thread starts. */
void log_configure(enum log_level level, enum log_format format);

MUST_USE result log_level_parse(const char *text, enum log_level *ret_level);
MUST_USE result log_format_parse(const char *text, enum log_format *ret_format);

/* A number as a value; the text lives in a few per-thread slots, long enough for one line of up to 32 numbers. */
const char *log_number(uint64_t number);

/* Pairs of key and value, both `const char *`, ended by NULL; use the macros. */
void log_line(enum log_level level, const char *message, ...) __attribute__((sentinel));

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__, (const char *)0)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__, (const char *)0)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__, (const char *)0)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__, (const char *)0)

#endif
