/* Read: a finite reading. */
#include "google/protobuf/timestamp.upb.h"
#include "service/api/api.h"
#include "service/api/delivery.h"
#include "service/api/validate.h"

#define NANOSECONDS_PER_SECOND 1000000000

static bool check(daybook_server_stream *stream, const daybook_v1_ReadRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_read(&validation, request);
    if (validation.failed) error_finish(stream, &validation.error);
    return !validation.failed;
}

/* Nanoseconds since 1970; what lies outside of the range that events are recorded in is its end. */
static int64_t nanoseconds_of(const google_protobuf_Timestamp *time) {
    if (time == NULL) return 0;
    const int64_t seconds = google_protobuf_Timestamp_seconds(time);
    if (seconds < 0) return 0;
    if (seconds >= INT64_MAX / NANOSECONDS_PER_SECOND) return INT64_MAX;
    return seconds * NANOSECONDS_PER_SECOND + google_protobuf_Timestamp_nanos(time);
}

void api_read(void *context, daybook_server_stream *stream, const daybook_v1_ReadRequest *request) {
    const struct api *api = context;
    if (!check(stream, request)) return;
    struct delivery *delivery = delivery_new(stream, daybook_v1_ReadRequest_filter(request));
    if (delivery == NULL) return;
    const upb_StringView name = daybook_v1_ReadRequest_stream(request);
    const bool backward = daybook_v1_ReadRequest_direction(request) == daybook_v1_DIRECTION_BACKWARD;
    const struct read_options options = {.stream = bytes_of(name.data, name.size),
                                         .has_from_time = daybook_v1_ReadRequest_has_from_time(request),
                                         .from_time_ns = nanoseconds_of(daybook_v1_ReadRequest_from_time(request)),
                                         .from = daybook_v1_ReadRequest_from(request),
                                         .direction = backward ? READING_BACKWARD : READING_FORWARD,
                                         .limit = daybook_v1_ReadRequest_limit(request),
                                         .filter = delivery->filter};
    const result opened = feed_read(api->feed, &options, &delivery_sink, delivery, &delivery->reading);
    if (failed(opened)) delivery_refuse(delivery, opened.failure);
}
