#include <stdio.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/stream_ask.h"
#include "sdk/cli/stream_print.h"
#include "sdk/cli/values.h"

enum { KEY_MAX_AGE = 0x300, KEY_MAX_COUNT, KEY_TRUNCATE_BEFORE, KEY_METADATA, KEY_REMOVE_METADATA, KEY_EXPECT };

/* Of a stream's settings (daybook/v1/event_store.proto). */
#define METADATA_COUNT_MAX 64

/* A number, when it was given. */
struct change {
    bool given;
    uint64_t number;
};

struct settings_arguments {
    struct common common;
    const char *stream;
    struct change max_age_seconds;
    struct change max_count;
    struct change truncate_before;
    struct value_pair metadata[METADATA_COUNT_MAX]; /* text without data: the key is removed */
    size_t metadata_count;
    struct value_expectation expectation;
};

static bool is_change(const struct settings_arguments *arguments) {
    return arguments->max_age_seconds.given || arguments->max_count.given || arguments->truncate_before.given ||
           arguments->metadata_count > 0;
}

static void metadata_add(struct argp_state *state, struct settings_arguments *arguments, struct value_pair pair) {
    if (arguments->metadata_count == METADATA_COUNT_MAX) {
        argp_error(state, "at most %d entries of metadata can be changed at once", METADATA_COUNT_MAX);
        return;
    }
    arguments->metadata[arguments->metadata_count++] = pair;
}

static void end_check(const struct settings_arguments *arguments, struct argp_state *state) {
    if (arguments->stream == NULL) argp_error(state, "a stream is needed");
    if (arguments->expectation.exists) argp_error(state, "--expect takes a revision, new or any here");
    if (arguments->expectation.has_revision && !is_change(arguments)) {
        argp_error(state, "--expect is for a change, and none is named");
    }
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct settings_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_MAX_AGE:
        arguments->max_age_seconds = (struct change){true, value_duration_seconds(state, argument, "--max-age")};
        return 0;
    case KEY_MAX_COUNT:
        arguments->max_count = (struct change){true, common_number(state, argument, "--max-count")};
        return 0;
    case KEY_TRUNCATE_BEFORE:
        arguments->truncate_before = (struct change){true, common_number(state, argument, "--truncate-before")};
        return 0;
    case KEY_METADATA:
        metadata_add(state, arguments, value_pair(state, argument, "--metadata"));
        return 0;
    case KEY_REMOVE_METADATA:
        metadata_add(state, arguments, (struct value_pair){.key = upb_StringView_FromString(argument)});
        return 0;
    case KEY_EXPECT:
        arguments->expectation = value_expectation(state, argument, "--expect");
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->stream != NULL) argp_error(state, "only one stream can be named; \"%s\" is too much", argument);
        arguments->stream = argument;
        return 0;
    case ARGP_KEY_END:
        end_check(arguments, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Copies what is set now. False without memory. */
static bool settings_copy(const daybook_v1_StreamSettings *from, daybook_v1_StreamSettings *to, upb_Arena *arena) {
    daybook_v1_StreamSettings_set_max_age_seconds(to, daybook_v1_StreamSettings_max_age_seconds(from));
    daybook_v1_StreamSettings_set_max_count(to, daybook_v1_StreamSettings_max_count(from));
    daybook_v1_StreamSettings_set_truncate_before(to, daybook_v1_StreamSettings_truncate_before(from));
    size_t cursor = kUpb_Map_Begin;
    const daybook_v1_StreamSettings_MetadataEntry *entry;
    while ((entry = daybook_v1_StreamSettings_metadata_next(from, &cursor)) != NULL) {
        if (!daybook_v1_StreamSettings_metadata_set(to, daybook_v1_StreamSettings_MetadataEntry_key(entry),
                                                    daybook_v1_StreamSettings_MetadataEntry_value(entry), arena)) {
            return false;
        }
    }
    return true;
}

static bool settings_change(const struct settings_arguments *arguments, daybook_v1_StreamSettings *settings,
                            upb_Arena *arena) {
    if (arguments->max_age_seconds.given) {
        daybook_v1_StreamSettings_set_max_age_seconds(settings, arguments->max_age_seconds.number);
    }
    if (arguments->max_count.given) daybook_v1_StreamSettings_set_max_count(settings, arguments->max_count.number);
    if (arguments->truncate_before.given) {
        daybook_v1_StreamSettings_set_truncate_before(settings, arguments->truncate_before.number);
    }
    for (size_t index = 0; index < arguments->metadata_count; index++) {
        const struct value_pair *pair = &arguments->metadata[index];
        if (pair->text.data == NULL) {
            (void)daybook_v1_StreamSettings_metadata_delete(settings, pair->key);
        } else if (!daybook_v1_StreamSettings_metadata_set(settings, pair->key, pair->text, arena)) {
            return false;
        }
    }
    return true;
}

static int update(const struct settings_arguments *arguments, daybook_client *client,
                  const daybook_v1_StreamSettings *before, upb_Arena *arena) {
    const struct common *common = &arguments->common;
    daybook_v1_UpdateStreamSettingsRequest *request = daybook_v1_UpdateStreamSettingsRequest_new(arena);
    daybook_v1_StreamSettings *settings =
        request == NULL ? NULL : daybook_v1_UpdateStreamSettingsRequest_mutable_settings(request, arena);
    if (settings == NULL || (before != NULL && !settings_copy(before, settings, arena)) ||
        !settings_change(arguments, settings, arena)) {
        return common_out_of_memory();
    }
    daybook_v1_UpdateStreamSettingsRequest_set_stream(request, upb_StringView_FromString(arguments->stream));
    if (arguments->expectation.has_revision) {
        daybook_v1_UpdateStreamSettingsRequest_set_expected_revision(request, arguments->expectation.revision);
    }
    daybook_status status;
    const daybook_v1_UpdateStreamSettingsResponse *response;
    const daybook_call_options options = common_call_options(common);
    if (!daybook_v1_EventStore_UpdateStreamSettings(client, request, &options, arena, &response, &status)) {
        return common_fail(common, &status);
    }
    const bool printed =
        stream_print_settings(upb_StringView_FromString(arguments->stream),
                              daybook_v1_UpdateStreamSettingsResponse_settings(response), common->json);
    return printed ? 0 : common_out_of_memory();
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct settings_arguments *arguments = context;
    daybook_status status;
    const daybook_v1_GetStreamResponse *response;
    const daybook_v1_StreamSettings *settings = NULL;
    if (stream_ask(common, client, arguments->stream, arena, &response, &status)) {
        const daybook_v1_Stream *stream = daybook_v1_GetStreamResponse_stream(response);
        settings = stream == NULL ? NULL : daybook_v1_Stream_settings(stream);
    } else if (status.code != DAYBOOK_NOT_FOUND || !is_change(arguments)) {
        return common_fail(common, &status);
    }
    /* A stream that does not exist yet may be given settings: they begin with none. */
    if (is_change(arguments)) return update(arguments, client, settings, arena);
    const bool printed = stream_print_settings(upb_StringView_FromString(arguments->stream), settings, common->json);
    return printed ? 0 : common_out_of_memory();
}

int command_settings(int argc, char **argv) {
    struct settings_arguments arguments = {.stream = NULL};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"max-age", KEY_MAX_AGE, "DURATION", 0, "events older than this disappear: 90s, 12h, 30d; 0: never", 0},
        {"max-count", KEY_MAX_COUNT, "COUNT", 0, "only so many of the newest events are kept; 0: all", 0},
        {"truncate-before", KEY_TRUNCATE_BEFORE, "REVISION", 0, "events with a smaller revision disappear; 0: none", 0},
        {"metadata", KEY_METADATA, "KEY=VALUE", 0, "sets an entry of the free metadata; may be repeated", 0},
        {"remove-metadata", KEY_REMOVE_METADATA, "KEY", 0, "removes an entry; may be repeated", 0},
        {"expect", KEY_EXPECT, "REVISION", 0, "the stream must be at this revision; new: not exist; any (default)", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "STREAM",
        .doc = "Prints how long a stream keeps its events, or changes that: the settings are read, what is named is "
               "changed, and all of them are written. Of two changes at the same moment the later one wins.",
        .children = children};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.common, run, &arguments);
}
