#include "service/api/validate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "service/base/limits.h"
#include "service/record/record.h"

void validation_init(struct validation *validation) {
    validation->failed = false;
}

/* Writes "writes[0].events[2].type"; a path that is too long is cut. */
static size_t field_format(const struct field *field, char *out, size_t size) {
    size_t used = 0;
    if (field->parent != NULL) {
        used = field_format(field->parent, out, size);
        if (used + 1 < size) out[used++] = '.';
    }
    const int written = field->index == FIELD_SINGLE
                            ? snprintf(out + used, size - used, "%s", field->name)
                            : snprintf(out + used, size - used, "%s[%zu]", field->name, field->index);
    used += (size_t)written;
    return used < size ? used : size - 1;
}

void violation_add(struct validation *validation, enum reason reason, const struct field *field, const char *format,
                   ...) {
    struct violation violation;
    (void)field_format(field, violation.field, sizeof violation.field);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(violation.description, sizeof violation.description, format, arguments);
    va_end(arguments);
    struct error *error = &validation->error;
    if (!validation->failed) {
        validation->failed = true;
        error_set(error, reason, "%s %s", violation.field, violation.description);
    }
    error->wrong_count++;
    if (error->violations_count < ERROR_VIOLATIONS_COUNT_MAX) error->violations[error->violations_count++] = violation;
}

/* C0 controls and DEL are one byte, C1 controls are 0xc2 0x80 to 0xc2 0x9f in UTF-8. */
static bool has_control_character(upb_StringView text) {
    for (size_t index = 0; index < text.size; index++) {
        const unsigned char byte = (unsigned char)text.data[index];
        if (byte < 0x20 || byte == 0x7f) return true;
        if (byte == 0xc2 && index + 1 < text.size && (unsigned char)text.data[index + 1] < 0xa0) return true;
    }
    return false;
}

void validate_name(struct validation *validation, const struct field *field, upb_StringView name) {
    if (name.size == 0) {
        violation_add(validation, REASON_INVALID_FIELD, field, "is missing; 1 to %d bytes are needed", NAME_BYTES_MAX);
    } else if (name.size > NAME_BYTES_MAX) {
        violation_add(validation, REASON_INVALID_FIELD, field, "has %zu bytes; at most %d are allowed", name.size,
                      NAME_BYTES_MAX);
    } else if (has_control_character(name)) {
        violation_add(validation, REASON_INVALID_FIELD, field,
                      "contains a control character; U+0000 to U+001F and U+007F to U+009F are not allowed");
    }
}

void validate_own_name(struct validation *validation, const struct field *field, upb_StringView name) {
    validate_name(validation, field, name);
    if (name.size == 0 || name.data[0] != SYSTEM_NAME_PREFIX) return;
    violation_add(validation, REASON_INVALID_FIELD, field, "begins with '%c'; such names are the server's own",
                  SYSTEM_NAME_PREFIX);
}

void validate_read(struct validation *validation, const daybook_v1_ReadRequest *request) {
    if (daybook_v1_ReadRequest_stream(request).size > 0) {
        const struct field stream = field_of(NULL, "stream");
        validate_name(validation, &stream, daybook_v1_ReadRequest_stream(request));
    }
    if (daybook_v1_ReadRequest_has_filter(request)) {
        const struct field filter = field_of(NULL, "filter");
        validate_filter(validation, &filter, daybook_v1_ReadRequest_filter(request));
    }
    if (daybook_v1_ReadRequest_has_from_time(request)) {
        const struct field from_time = field_of(NULL, "from_time");
        validate_time(validation, &from_time, daybook_v1_ReadRequest_from_time(request));
    }
    const int32_t direction = daybook_v1_ReadRequest_direction(request);
    if (direction < daybook_v1_DIRECTION_UNSPECIFIED || direction > daybook_v1_DIRECTION_BACKWARD) {
        const struct field field = field_of(NULL, "direction");
        violation_add(validation, REASON_INVALID_FIELD, &field,
                      "is %" PRId32 "; DIRECTION_FORWARD (1) and DIRECTION_BACKWARD (2) are allowed", direction);
    }
}

void validate_subscribe(struct validation *validation, const daybook_v1_SubscribeRequest *request) {
    if (daybook_v1_SubscribeRequest_has_filter(request)) {
        const struct field filter = field_of(NULL, "filter");
        validate_filter(validation, &filter, daybook_v1_SubscribeRequest_filter(request));
    }
    if (daybook_v1_SubscribeRequest_has_consumer(request)) {
        const struct field consumer = field_of(NULL, "consumer");
        validate_name(validation, &consumer, daybook_v1_SubscribeRequest_consumer(request));
    }
    const uint32_t heartbeat_ms = daybook_v1_SubscribeRequest_heartbeat_ms(request);
    if (heartbeat_ms != 0 && (heartbeat_ms < HEARTBEAT_MS_MIN || heartbeat_ms > HEARTBEAT_MS_MAX)) {
        const struct field field = field_of(NULL, "heartbeat_ms");
        violation_add(validation, REASON_INVALID_FIELD, &field, "is %" PRIu32 "; 0 (for %d) or %d to %d are allowed",
                      heartbeat_ms, HEARTBEAT_MS_DEFAULT, HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX);
    }
}
