#include "sdk/cli/filter_options.h"

enum { KEY_TYPE = 0x400, KEY_TYPE_PREFIX, KEY_TAG, KEY_STREAM, KEY_STREAM_PREFIX };

static void name_add(struct argp_state *state, struct filter_names *names, const char *text, const char *what) {
    if (names->count == FILTER_NAMES_COUNT_MAX) {
        argp_error(state, "%s may be given %d times", what, FILTER_NAMES_COUNT_MAX);
        return;
    }
    names->texts[names->count++] = text;
}

void filter_add_stream(struct argp_state *state, struct filter_options *options, const char *stream) {
    name_add(state, &options->streams, stream, "--stream");
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct filter_options *options = state->input;
    switch (key) {
    case KEY_TYPE:
        name_add(state, &options->types, argument, "--type");
        return 0;
    case KEY_TYPE_PREFIX:
        name_add(state, &options->type_prefixes, argument, "--type-prefix");
        return 0;
    case KEY_TAG:
        name_add(state, &options->tags, argument, "--tag");
        return 0;
    case KEY_STREAM:
        filter_add_stream(state, options, argument);
        return 0;
    case KEY_STREAM_PREFIX:
        name_add(state, &options->stream_prefixes, argument, "--stream-prefix");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"type", KEY_TYPE, "TYPE", 0, "only events of this type; may be repeated: any of them", 5},
    {"type-prefix", KEY_TYPE_PREFIX, "TEXT", 0, "only types that begin so; may be repeated: any of them", 5},
    {"tag", KEY_TAG, "TAG", 0, "only events with this tag; may be repeated: all of them", 5},
    {"stream", KEY_STREAM, "STREAM", 0, "only events of this stream; may be repeated: any of them", 5},
    {"stream-prefix", KEY_STREAM_PREFIX, "TEXT", 0,
     "only streams whose names begin so, \"order-\"; may be repeated: any of them", 5},
    /* As it was called before there were prefixes of types. */
    {"prefix", KEY_STREAM_PREFIX, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 5},
    {0},
};

const struct argp filter_argp = {.options = options, .parser = parse};

bool filter_is_given(const struct filter_options *given) {
    return given->types.count + given->type_prefixes.count + given->tags.count + given->streams.count +
               given->stream_prefixes.count >
           0;
}

typedef bool clause_add(daybook_v1_Clause *clause, upb_StringView name, upb_Arena *arena);

static bool names_add(const struct filter_names *names, clause_add *add, daybook_v1_Clause *clause, upb_Arena *arena) {
    for (size_t index = 0; index < names->count; index++) {
        if (!add(clause, upb_StringView_FromString(names->texts[index]), arena)) return false;
    }
    return true;
}

bool filter_build(const struct filter_options *given, daybook_v1_Filter *filter, upb_Arena *arena) {
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, arena);
    return clause != NULL && names_add(&given->types, daybook_v1_Clause_add_types, clause, arena) &&
           names_add(&given->type_prefixes, daybook_v1_Clause_add_type_prefixes, clause, arena) &&
           names_add(&given->tags, daybook_v1_Clause_add_tags, clause, arena) &&
           names_add(&given->streams, daybook_v1_Clause_add_streams, clause, arena) &&
           names_add(&given->stream_prefixes, daybook_v1_Clause_add_stream_prefixes, clause, arena);
}
