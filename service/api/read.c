/* Read: a finite reading. */
#include "service/api/api.h"
#include "service/api/delivery.h"
#include "service/api/validate.h"

/* What the request asks for and this version does not serve is refused, never ignored. */
static bool check(daybook_server_stream *stream, const daybook_v1_ReadRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_read(&validation, request);
    if (!validation.failed && daybook_v1_ReadRequest_has_from_time(request)) {
        error_set(&validation.error, REASON_UNIMPLEMENTED, "from_time is not served by this version");
        validation.failed = true;
    }
    if (validation.failed) error_finish(stream, &validation.error);
    return !validation.failed;
}

void api_read(void *context, daybook_server_stream *stream, const daybook_v1_ReadRequest *request) {
    const struct api *api = context;
    if (!check(stream, request)) return;
    struct delivery *delivery = delivery_new(stream, daybook_v1_ReadRequest_filter(request));
    if (delivery == NULL) return;
    const upb_StringView name = daybook_v1_ReadRequest_stream(request);
    const bool backward = daybook_v1_ReadRequest_direction(request) == daybook_v1_DIRECTION_BACKWARD;
    const struct read_options options = {.stream = bytes_of(name.data, name.size),
                                         .from = daybook_v1_ReadRequest_from(request),
                                         .direction = backward ? READING_BACKWARD : READING_FORWARD,
                                         .limit = daybook_v1_ReadRequest_limit(request),
                                         .filter = delivery->filter};
    const result opened = feed_read(api->feed, &options, &delivery_sink, delivery, &delivery->reading);
    if (failed(opened)) delivery_refuse(delivery, opened.failure);
}
