#include "sdk/cli/print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "google/protobuf/any.upb.h"

void print_time(const google_protobuf_Timestamp *time, int digits, char ret_text[PRINT_TIME_BYTES]) {
    struct tm parts;
    const time_t seconds = time == NULL ? 0 : (time_t)google_protobuf_Timestamp_seconds(time);
    if (time == NULL || gmtime_r(&seconds, &parts) == NULL) {
        (void)snprintf(ret_text, PRINT_TIME_BYTES, "-");
        return;
    }
    char fraction[16];
    (void)snprintf(fraction, sizeof fraction, "%09d", (int)google_protobuf_Timestamp_nanos(time));
    /* Not by strftime, whose year is not filled up to four digits. */
    (void)snprintf(ret_text, PRINT_TIME_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%.*sZ", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, digits, fraction);
}

void print_base64(const char *data, size_t size, char *ret_text) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)data;
    char *out = ret_text;
    for (size_t index = 0; index < size; index += 3) {
        const size_t left = size - index;
        const uint32_t group = (uint32_t)at[index] << 16 | (left > 1 ? (uint32_t)at[index + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)at[index + 2] : 0);
        *out++ = alphabet[group >> 18 & 63];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[group & 63] : '=';
    }
    *out = '\0';
}

static json_t *text_json(upb_StringView text) {
    return json_stringn(text.data == NULL ? "" : text.data, text.size);
}

static json_t *base64_json(upb_StringView bytes) {
    char *text = malloc(PRINT_BASE64_BYTES(bytes.size));
    if (text == NULL) return NULL;
    print_base64(bytes.data, bytes.size, text);
    json_t *value = json_string(text);
    free(text);
    return value;
}

static void payload_json(json_t *object, const daybook_v1_Event *event) {
    switch (daybook_v1_Event_payload_case(event)) {
    case daybook_v1_Event_payload_data:
        (void)json_object_set_new(object, "data", base64_json(daybook_v1_Event_data(event)));
        return;
    case daybook_v1_Event_payload_text:
        (void)json_object_set_new(object, "text", text_json(daybook_v1_Event_text(event)));
        return;
    case daybook_v1_Event_payload_message: {
        const google_protobuf_Any *any = daybook_v1_Event_message(event);
        json_t *message = json_object();
        (void)json_object_set_new(message, "type_url", text_json(google_protobuf_Any_type_url(any)));
        (void)json_object_set_new(message, "value", base64_json(google_protobuf_Any_value(any)));
        (void)json_object_set_new(object, "message", message);
        return;
    }
    default:
        return;
    }
}

static json_t *tags_json(const daybook_v1_Event *event) {
    size_t count;
    const upb_StringView *tags = daybook_v1_Event_tags(event, &count);
    json_t *array = json_array();
    for (size_t index = 0; index < count; index++) (void)json_array_append_new(array, text_json(tags[index]));
    return array;
}

static json_t *metadata_json(const daybook_v1_Event *event) {
    json_t *object = json_object();
    size_t cursor = kUpb_Map_Begin;
    for (const daybook_v1_Event_MetadataEntry *entry = daybook_v1_Event_metadata_next(event, &cursor); entry != NULL;
         entry = daybook_v1_Event_metadata_next(event, &cursor)) {
        const upb_StringView key = daybook_v1_Event_MetadataEntry_key(entry);
        char name[256];
        (void)snprintf(name, sizeof name, "%.*s", (int)key.size, key.data);
        (void)json_object_set_new(object, name, text_json(daybook_v1_Event_MetadataEntry_value(entry)));
    }
    return object;
}

static json_t *event_json(const daybook_v1_RecordedEvent *recorded) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    char time[PRINT_TIME_BYTES];
    json_t *object = json_object();
    (void)json_object_set_new(object, "position",
                              json_integer((json_int_t)daybook_v1_RecordedEvent_position(recorded)));
    (void)json_object_set_new(object, "stream", text_json(daybook_v1_RecordedEvent_stream(recorded)));
    (void)json_object_set_new(object, "revision",
                              json_integer((json_int_t)daybook_v1_RecordedEvent_revision(recorded)));
    print_time(daybook_v1_RecordedEvent_recorded_at(recorded), PRINT_TIME_DIGITS_ALL, time);
    (void)json_object_set_new(object, "recorded_at", json_string(time));
    if (event == NULL) return object;
    (void)json_object_set_new(object, "id", text_json(daybook_v1_Event_id(event)));
    (void)json_object_set_new(object, "type", text_json(daybook_v1_Event_type(event)));
    (void)json_object_set_new(object, "tags", tags_json(event));
    payload_json(object, event);
    if (daybook_v1_Event_content_type(event).size > 0) {
        (void)json_object_set_new(object, "content_type", text_json(daybook_v1_Event_content_type(event)));
    }
    (void)json_object_set_new(object, "metadata", metadata_json(event));
    if (daybook_v1_Event_has_occurred_at(event)) {
        print_time(daybook_v1_Event_occurred_at(event), PRINT_TIME_DIGITS_ALL, time);
        (void)json_object_set_new(object, "occurred_at", json_string(time));
    }
    return object;
}

/* Text from elsewhere must not steer the terminal: control characters are shown, not sent. U+0080 to U+009F are some, too,
 * 0xc2 and a byte of that number in UTF-8: U+009B begins a sequence as ESC [ does. */
static void put_plain(upb_StringView text) {
    for (size_t index = 0; index < text.size; index++) {
        const unsigned char byte = (unsigned char)text.data[index];
        const unsigned char next = index + 1 < text.size ? (unsigned char)text.data[index + 1] : 0;
        if (byte < 0x20 || byte == 0x7f) {
            (void)printf("\\x%02x", byte);
        } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
            (void)printf("\\x%02x", next);
            index++;
        } else {
            (void)putchar(byte);
        }
    }
}

static void event_line(const daybook_v1_RecordedEvent *recorded) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    char time[PRINT_TIME_BYTES];
    print_time(daybook_v1_RecordedEvent_recorded_at(recorded), PRINT_TIME_DIGITS_SHORT, time);
    (void)printf("%8" PRIu64 "  ", daybook_v1_RecordedEvent_position(recorded));
    put_plain(daybook_v1_RecordedEvent_stream(recorded));
    (void)printf("@%" PRIu64 "  %s  ", daybook_v1_RecordedEvent_revision(recorded), time);
    if (event != NULL) {
        put_plain(daybook_v1_Event_type(event));
        (void)fputs("  ", stdout);
        if (daybook_v1_Event_has_text(event)) put_plain(daybook_v1_Event_text(event));
        if (daybook_v1_Event_has_data(event)) (void)printf("<%zu bytes>", daybook_v1_Event_data(event).size);
        if (daybook_v1_Event_has_message(event)) {
            put_plain(google_protobuf_Any_type_url(daybook_v1_Event_message(event)));
        }
    }
    (void)putchar('\n');
}

bool print_event(const daybook_v1_RecordedEvent *recorded, bool json) {
    if (!json) {
        event_line(recorded);
        return true;
    }
    json_t *object = event_json(recorded);
    char *text = json_dumps(object, JSON_COMPACT);
    if (text != NULL) (void)puts(text);
    free(text);
    json_decref(object);
    return text != NULL;
}
