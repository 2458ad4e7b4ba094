/* stream_print.h: streams and their settings as people and programs read them.
 *
 * Threads: the main thread. Errors: false without memory. */
#ifndef SDK_CLI_STREAM_PRINT_H
#define SDK_CLI_STREAM_PRINT_H

#include <stdbool.h>

#include "daybook/v1/event_store.upb.h"

/* One line: when it changed last, its name and revision, how many events of how many bytes, and what became of it. */
bool stream_print_line(const daybook_v1_Stream *stream, bool json);

/* Everything that is known, a line each for people. */
bool stream_print_all(const daybook_v1_Stream *stream, bool json);

/* The settings of the named stream; NULL: there are none. */
bool stream_print_settings(upb_StringView name, const daybook_v1_StreamSettings *settings, bool json);

#endif
