/* Subscribe: a reading without end. */
#include "service/api/api.h"
#include "service/api/delivery.h"
#include "service/api/validate.h"
#include "service/base/limits.h"

/* What the request asks for and this version does not serve is refused, never ignored. */
static bool check(daybook_server_stream *stream, const daybook_v1_SubscribeRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_subscribe(&validation, request);
    if (!validation.failed && daybook_v1_SubscribeRequest_has_consumer(request)) {
        error_set(&validation.error, REASON_UNIMPLEMENTED, "consumer is not served by this version");
        validation.failed = true;
    }
    if (validation.failed) error_finish(stream, &validation.error);
    return !validation.failed;
}

void api_subscribe(void *context, daybook_server_stream *stream, const daybook_v1_SubscribeRequest *request) {
    const struct api *api = context;
    if (!check(stream, request)) return;
    struct delivery *delivery = delivery_new(stream, daybook_v1_SubscribeRequest_filter(request));
    if (delivery == NULL) return;
    const uint32_t heartbeat_ms = daybook_v1_SubscribeRequest_heartbeat_ms(request);
    const struct subscribe_options options = {.after = daybook_v1_SubscribeRequest_after(request),
                                              .from_end = daybook_v1_SubscribeRequest_has_end(request),
                                              .heartbeat_ms = heartbeat_ms == 0 ? HEARTBEAT_MS_DEFAULT : heartbeat_ms,
                                              .filter = delivery->filter};
    const result opened = feed_subscribe(api->feed, &options, &delivery_sink, delivery, &delivery->reading);
    if (failed(opened)) delivery_refuse(delivery, opened.failure);
}
