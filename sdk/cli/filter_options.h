/* filter_options.h: --type, --type-prefix, --tag, --stream and --stream-prefix, the options of every command that reads.
 *
 * They make one clause: any of the types, all of the tags, any of the streams. Ownership: the texts are the command line's;
 * a filter lives in the arena. Threads: the main thread. Errors: wrong options end the program as argp does. */
#ifndef SDK_CLI_FILTER_OPTIONS_H
#define SDK_CLI_FILTER_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

#include "daybook/v1/event.upb.h"

/* Of each list of a clause (daybook/v1/event.proto). */
#define FILTER_NAMES_COUNT_MAX 64

struct filter_names {
    const char *texts[FILTER_NAMES_COUNT_MAX];
    size_t count;
};

struct filter_options {
    struct filter_names types;
    struct filter_names type_prefixes;
    struct filter_names tags;
    struct filter_names streams;
    struct filter_names stream_prefixes;
};

/* The parser, as a child of a command's own; its input is the `struct filter_options`. */
extern const struct argp filter_argp;

/* Adds a stream as --stream does. */
void filter_add_stream(struct argp_state *state, struct filter_options *options, const char *stream);

/* Whether any option was given. */
bool filter_is_given(const struct filter_options *options);

/* Adds the clause to a filter. False without memory. */
bool filter_build(const struct filter_options *options, daybook_v1_Filter *filter, upb_Arena *arena);

#endif
