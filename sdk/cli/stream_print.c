#include "sdk/cli/stream_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "sdk/cli/json.h"
#include "sdk/cli/print.h"
#include "sdk/cli/values.h"

static const struct {
    const char *name;  /* for programs: as in the proto, without STREAM_STATE_ */
    const char *words; /* for people */
} states[] = {
    [daybook_v1_STREAM_STATE_UNSPECIFIED] = {"UNSPECIFIED", "unknown"},
    [daybook_v1_STREAM_STATE_ACTIVE] = {"ACTIVE", "active"},
    [daybook_v1_STREAM_STATE_DELETED] = {"DELETED", "deleted"},
    [daybook_v1_STREAM_STATE_TOMBSTONED] = {"TOMBSTONED", "tombstoned"},
};

static size_t state_index(const daybook_v1_Stream *stream) {
    const int32_t state = daybook_v1_Stream_state(stream);
    return state >= 0 && (size_t)state < sizeof states / sizeof states[0] ? (size_t)state : 0;
}

static void settings_json(json_t *object, const daybook_v1_StreamSettings *settings) {
    json_t *metadata = json_object();
    size_t cursor = kUpb_Map_Begin;
    json_add(object, "max_age_seconds",
             json_number(settings == NULL ? 0 : daybook_v1_StreamSettings_max_age_seconds(settings)));
    json_add(object, "max_count", json_number(settings == NULL ? 0 : daybook_v1_StreamSettings_max_count(settings)));
    json_add(object, "truncate_before",
             json_number(settings == NULL ? 0 : daybook_v1_StreamSettings_truncate_before(settings)));
    while (settings != NULL) {
        const daybook_v1_StreamSettings_MetadataEntry *entry =
            daybook_v1_StreamSettings_metadata_next(settings, &cursor);
        if (entry == NULL) break;
        json_add_key(metadata, daybook_v1_StreamSettings_MetadataEntry_key(entry),
                     json_text(daybook_v1_StreamSettings_MetadataEntry_value(entry)));
    }
    json_add(object, "metadata", metadata);
}

static bool stream_json(const daybook_v1_Stream *stream) {
    json_t *object = json_object();
    json_t *settings = json_object();
    json_add(object, "name", json_text(daybook_v1_Stream_name(stream)));
    json_add(object, "state", json_string(states[state_index(stream)].name));
    json_add(object, "first_revision", json_number(daybook_v1_Stream_first_revision(stream)));
    json_add(object, "last_revision", json_number(daybook_v1_Stream_last_revision(stream)));
    json_add(object, "events_count", json_number(daybook_v1_Stream_events_count(stream)));
    json_add(object, "size_bytes", json_number(daybook_v1_Stream_size_bytes(stream)));
    json_add_time(object, "first_recorded_at", daybook_v1_Stream_first_recorded_at(stream));
    json_add_time(object, "last_recorded_at", daybook_v1_Stream_last_recorded_at(stream));
    settings_json(settings, daybook_v1_Stream_settings(stream));
    json_add(object, "settings", settings);
    return json_line(object);
}

static const char *events_word(uint64_t count) {
    return count == 1 ? "event" : "events";
}

bool stream_print_line(const daybook_v1_Stream *stream, bool json) {
    if (json) return stream_json(stream);
    char time[PRINT_TIME_BYTES];
    char size[PRINT_BYTES_BYTES];
    const uint64_t count = daybook_v1_Stream_events_count(stream);
    print_time(daybook_v1_Stream_last_recorded_at(stream), PRINT_TIME_DIGITS_SHORT, time);
    print_bytes(daybook_v1_Stream_size_bytes(stream), size);
    (void)printf("%s  ", time);
    print_plain(stdout, daybook_v1_Stream_name(stream));
    (void)printf("@%" PRIu64 "  %" PRIu64 " %s  %s", daybook_v1_Stream_last_revision(stream), count, events_word(count),
                 size);
    if (daybook_v1_Stream_state(stream) != daybook_v1_STREAM_STATE_ACTIVE) {
        (void)printf("  %s", states[state_index(stream)].words);
    }
    (void)putchar('\n');
    return true;
}

/* "max count        1000", or with `none` for 0. */
static void number_line(const char *label, uint64_t number, const char *none) {
    if (number == 0) {
        (void)printf("%-16s %s\n", label, none);
    } else {
        (void)printf("%-16s %" PRIu64 "\n", label, number);
    }
}

static void settings_lines(const daybook_v1_StreamSettings *settings) {
    char duration[VALUE_DURATION_BYTES] = "for ever";
    const uint64_t seconds = settings == NULL ? 0 : daybook_v1_StreamSettings_max_age_seconds(settings);
    if (seconds != 0) value_duration_text(seconds, duration);
    (void)printf("%-16s %s\n", "max age", duration);
    number_line("max count", settings == NULL ? 0 : daybook_v1_StreamSettings_max_count(settings), "all");
    number_line("truncate before", settings == NULL ? 0 : daybook_v1_StreamSettings_truncate_before(settings), "none");
    size_t cursor = kUpb_Map_Begin;
    while (settings != NULL) {
        const daybook_v1_StreamSettings_MetadataEntry *entry =
            daybook_v1_StreamSettings_metadata_next(settings, &cursor);
        if (entry == NULL) break;
        (void)printf("%-16s ", "metadata");
        print_plain(stdout, daybook_v1_StreamSettings_MetadataEntry_key(entry));
        (void)putchar('=');
        print_plain(stdout, daybook_v1_StreamSettings_MetadataEntry_value(entry));
        (void)putchar('\n');
    }
}

static void time_line(const char *label, const google_protobuf_Timestamp *time) {
    char text[PRINT_TIME_BYTES];
    print_time(time, PRINT_TIME_DIGITS_SHORT, text);
    (void)printf("%-16s %s\n", label, text);
}

bool stream_print_all(const daybook_v1_Stream *stream, bool json) {
    if (json) return stream_json(stream);
    char size[PRINT_BYTES_BYTES];
    const uint64_t first = daybook_v1_Stream_first_revision(stream);
    const uint64_t last = daybook_v1_Stream_last_revision(stream);
    print_bytes(daybook_v1_Stream_size_bytes(stream), size);
    (void)printf("%-16s ", "stream");
    print_plain(stdout, daybook_v1_Stream_name(stream));
    (void)printf("\n%-16s %s\n%-16s %" PRIu64 "\n", "state", states[state_index(stream)].words, "revision", last);
    if (first == 0) {
        (void)printf("%-16s none\n", "readable");
    } else {
        (void)printf("%-16s %" PRIu64 " %s from revision %" PRIu64 " on\n", "readable",
                     daybook_v1_Stream_events_count(stream), events_word(daybook_v1_Stream_events_count(stream)),
                     first);
    }
    (void)printf("%-16s %s\n", "size", size);
    time_line("first recorded", daybook_v1_Stream_first_recorded_at(stream));
    time_line("last recorded", daybook_v1_Stream_last_recorded_at(stream));
    settings_lines(daybook_v1_Stream_settings(stream));
    return true;
}

bool stream_print_settings(upb_StringView name, const daybook_v1_StreamSettings *settings, bool json) {
    if (!json) {
        settings_lines(settings);
        return true;
    }
    json_t *object = json_object();
    json_add(object, "stream", json_text(name));
    settings_json(object, settings);
    return json_line(object);
}
