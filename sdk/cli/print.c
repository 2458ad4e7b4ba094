#include "sdk/cli/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "google/protobuf/any.upb.h"
#include "sdk/cli/json.h"

#define DIGEST_BYTES 32 /* of SHA-256 */

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

static void payload_json(json_t *object, const daybook_v1_Event *event) {
    switch (daybook_v1_Event_payload_case(event)) {
    case daybook_v1_Event_payload_data:
        json_add(object, "data", json_base64(daybook_v1_Event_data(event)));
        return;
    case daybook_v1_Event_payload_text:
        json_add(object, "text", json_text(daybook_v1_Event_text(event)));
        return;
    case daybook_v1_Event_payload_message: {
        const google_protobuf_Any *any = daybook_v1_Event_message(event);
        json_t *message = json_object();
        json_add(message, "type_url", json_text(google_protobuf_Any_type_url(any)));
        json_add(message, "value", json_base64(google_protobuf_Any_value(any)));
        json_add(object, "message", message);
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
    for (size_t index = 0; index < count; index++) (void)json_array_append_new(array, json_text(tags[index]));
    return array;
}

static json_t *metadata_json(const daybook_v1_Event *event) {
    json_t *object = json_object();
    size_t cursor = kUpb_Map_Begin;
    for (const daybook_v1_Event_MetadataEntry *entry = daybook_v1_Event_metadata_next(event, &cursor); entry != NULL;
         entry = daybook_v1_Event_metadata_next(event, &cursor)) {
        json_add_key(object, daybook_v1_Event_MetadataEntry_key(entry),
                     json_text(daybook_v1_Event_MetadataEntry_value(entry)));
    }
    return object;
}

/* What is left of an erased event; its digest is in hexadecimal digits, as sha256sum prints it. */
static json_t *erasure_json(const daybook_v1_Erasure *erasure) {
    const upb_StringView digest = daybook_v1_Erasure_digest_sha256(erasure);
    char digits[2 * DIGEST_BYTES + 1] = "";
    for (size_t index = 0; index < digest.size && index < DIGEST_BYTES; index++) {
        (void)snprintf(digits + 2 * index, 3, "%02x", (unsigned char)digest.data[index]);
    }
    json_t *object = json_object();
    json_add_time(object, "erased_at", daybook_v1_Erasure_erased_at(erasure));
    json_add(object, "digest_sha256", json_string(digits));
    return object;
}

static json_t *event_json(const daybook_v1_RecordedEvent *recorded) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    char time[PRINT_TIME_BYTES];
    json_t *object = json_object();
    json_add(object, "position", json_number(daybook_v1_RecordedEvent_position(recorded)));
    json_add(object, "stream", json_text(daybook_v1_RecordedEvent_stream(recorded)));
    json_add(object, "revision", json_number(daybook_v1_RecordedEvent_revision(recorded)));
    print_time(daybook_v1_RecordedEvent_recorded_at(recorded), PRINT_TIME_DIGITS_ALL, time);
    json_add(object, "recorded_at", json_string(time));
    if (event != NULL) {
        json_add(object, "id", json_text(daybook_v1_Event_id(event)));
        json_add(object, "type", json_text(daybook_v1_Event_type(event)));
        json_add(object, "tags", tags_json(event));
        payload_json(object, event);
        if (daybook_v1_Event_content_type(event).size > 0) {
            json_add(object, "content_type", json_text(daybook_v1_Event_content_type(event)));
        }
        json_add(object, "metadata", metadata_json(event));
        json_add_time(object, "occurred_at", daybook_v1_Event_occurred_at(event));
    }
    if (daybook_v1_RecordedEvent_has_erasure(recorded)) {
        json_add(object, "erasure", erasure_json(daybook_v1_RecordedEvent_erasure(recorded)));
    }
    return object;
}

/* Text from elsewhere must not steer the terminal: control characters are shown, not sent. U+0080 to U+009F are some, too,
 * 0xc2 and a byte of that number in UTF-8: U+009B begins a sequence as ESC [ does. */
void print_plain(FILE *out, upb_StringView text) {
    for (size_t index = 0; index < text.size; index++) {
        const unsigned char byte = (unsigned char)text.data[index];
        const unsigned char next = index + 1 < text.size ? (unsigned char)text.data[index + 1] : 0;
        if (byte < 0x20 || byte == 0x7f) {
            (void)fprintf(out, "\\x%02x", byte);
        } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
            (void)fprintf(out, "\\x%02x", next);
            index++;
        } else {
            (void)fputc(byte, out);
        }
    }
}

static void event_line(const daybook_v1_RecordedEvent *recorded) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    char time[PRINT_TIME_BYTES];
    print_time(daybook_v1_RecordedEvent_recorded_at(recorded), PRINT_TIME_DIGITS_SHORT, time);
    (void)printf("%8" PRIu64 "  ", daybook_v1_RecordedEvent_position(recorded));
    print_plain(stdout, daybook_v1_RecordedEvent_stream(recorded));
    (void)printf("@%" PRIu64 "  %s  ", daybook_v1_RecordedEvent_revision(recorded), time);
    if (event != NULL) {
        print_plain(stdout, daybook_v1_Event_type(event));
        (void)fputs("  ", stdout);
        if (daybook_v1_RecordedEvent_has_erasure(recorded)) (void)fputs("<erased>", stdout);
        if (daybook_v1_Event_has_text(event)) print_plain(stdout, daybook_v1_Event_text(event));
        if (daybook_v1_Event_has_data(event)) (void)printf("<%zu bytes>", daybook_v1_Event_data(event).size);
        if (daybook_v1_Event_has_message(event)) {
            print_plain(stdout, google_protobuf_Any_type_url(daybook_v1_Event_message(event)));
        }
    }
    (void)putchar('\n');
}

bool print_event(const daybook_v1_RecordedEvent *recorded, bool json) {
    if (!json) {
        event_line(recorded);
        return true;
    }
    return json_line(event_json(recorded));
}

void print_bytes(uint64_t bytes, char ret_text[PRINT_BYTES_BYTES]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(ret_text, PRINT_BYTES_BYTES, "%" PRIu64 " bytes", bytes);
        return;
    }
    size_t unit = 0;
    double amount = (double)bytes / 1024;
    for (; amount >= 1023.95 && unit < sizeof units / sizeof units[0] - 1; unit++) amount /= 1024;
    (void)snprintf(ret_text, PRINT_BYTES_BYTES, "%.1f %s", amount, units[unit]);
}
