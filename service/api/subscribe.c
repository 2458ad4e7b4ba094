/* Subscribe: a reading without end. */
#include "service/api/api.h"
#include "service/api/checkpoints.h"
#include "service/api/delivery.h"
#include "service/api/validate.h"
#include "service/base/limits.h"

static bool check(daybook_server_stream *stream, const daybook_v1_SubscribeRequest *request) {
    struct validation validation;
    validation_init(&validation);
    validate_subscribe(&validation, request);
    if (validation.failed) error_finish(stream, &validation.error);
    return !validation.failed;
}

/* The position after which it begins. False: the stream has ended with an error. */
static bool start_find(const struct api *api, daybook_server_stream *stream, const daybook_v1_SubscribeRequest *request,
                       uint64_t *ret_after) {
    *ret_after = daybook_v1_SubscribeRequest_after(request);
    if (!daybook_v1_SubscribeRequest_has_consumer(request)) return true;
    const upb_StringView consumer = daybook_v1_SubscribeRequest_consumer(request);
    struct error error;
    if (checkpoint_position(api->store, bytes_of(consumer.data, consumer.size), ret_after, &error)) return true;
    error_finish(stream, &error);
    return false;
}

void api_subscribe(void *context, daybook_server_stream *stream, const daybook_v1_SubscribeRequest *request) {
    const struct api *api = context;
    uint64_t after;
    if (!check(stream, request) || !start_find(api, stream, request, &after)) return;
    struct delivery *delivery = delivery_new(stream, daybook_v1_SubscribeRequest_filter(request));
    if (delivery == NULL) return;
    const uint32_t heartbeat_ms = daybook_v1_SubscribeRequest_heartbeat_ms(request);
    const struct subscribe_options options = {.after = after,
                                              .from_end = daybook_v1_SubscribeRequest_has_end(request),
                                              .heartbeat_ms = heartbeat_ms == 0 ? HEARTBEAT_MS_DEFAULT : heartbeat_ms,
                                              .filter = delivery->filter};
    const result opened = feed_subscribe(api->feed, &options, &delivery_sink, delivery, &delivery->reading);
    if (failed(opened)) delivery_refuse(delivery, opened.failure);
}
