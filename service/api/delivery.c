#include "service/api/delivery.h"

#include "service/api/filters.h"

static void finish(daybook_server_stream *stream, enum failure failure) {
    if (failure == FAILURE_NONE) {
        daybook_server_stream_finish(stream, DAYBOOK_OK, "", NULL, 0);
        return;
    }
    struct error error;
    error_of_failure(&error, failure);
    error_finish(stream, &error);
}

/* The end of the reading and the end of the client may cross: whoever comes first closes. */
static bool closing_begin(struct delivery *delivery) {
    return !atomic_exchange(&delivery->closing, true);
}

static void message_sent(daybook_server_stream *stream, bool ok, void *context) {
    struct delivery *delivery = context;
    (void)stream;
    reading_sent(delivery->reading, ok);
}

static daybook_bytes bytes_to_send(struct feed_message message) {
    return (daybook_bytes){
        .data = message.data, .size = message.size, .release = message.release, .context = message.context};
}

static void on_message(void *context, struct feed_message message) {
    struct delivery *delivery = context;
    daybook_server_stream_send_bytes(delivery->stream, bytes_to_send(message), message_sent, delivery);
}

/* The message waits for the close, a moment from now on this same thread: with its reply the stream and all that is here
 * are gone. */
static void on_last(void *context, struct feed_message message) {
    struct delivery *delivery = context;
    if (!closing_begin(delivery)) {
        message.release(message.context);
        return;
    }
    delivery->last = message;
    delivery->has_last = true;
    reading_close(delivery->reading);
}

static void on_ended(void *context, enum failure failure) {
    struct delivery *delivery = context;
    if (!closing_begin(delivery)) return;
    delivery->failure = failure;
    reading_close(delivery->reading);
}

static void on_closed(void *context) {
    struct delivery *delivery = context;
    delivery->filter = filter_free(delivery->filter);
    if (delivery->has_last)
        daybook_server_stream_reply_bytes(delivery->stream, bytes_to_send(delivery->last));
    else
        finish(delivery->stream, delivery->failure);
}

const struct feed_sink delivery_sink = {.message = on_message, .last = on_last, .ended = on_ended, .closed = on_closed};

static void on_cancelled(daybook_server_stream *stream, void *context) {
    struct delivery *delivery = context;
    (void)stream;
    if (!closing_begin(delivery)) return;
    delivery->failure = FAILURE_STOPPED;
    reading_cancel(delivery->reading);
    reading_close(delivery->reading);
}

static const daybook_server_stream_events stream_events = {.cancelled = on_cancelled};

struct delivery *delivery_new(daybook_server_stream *stream, const daybook_v1_Filter *filter) {
    upb_Arena *arena = daybook_server_stream_arena(stream);
    struct delivery *delivery = upb_Arena_Malloc(arena, sizeof *delivery);
    if (delivery == NULL) {
        finish(stream, FAILURE_MEMORY);
        return NULL;
    }
    *delivery = (struct delivery){.stream = stream};
    atomic_init(&delivery->closing, false);
    const result compiled = filter_compile(filter, arena, &delivery->filter);
    if (failed(compiled)) {
        finish(stream, compiled.failure);
        return NULL;
    }
    daybook_server_stream_watch(stream, &stream_events, delivery);
    return delivery;
}

void delivery_refuse(struct delivery *delivery, enum failure failure) {
    delivery->filter = filter_free(delivery->filter);
    atomic_store(&delivery->closing, true); /* there is no reading: a client that goes now must not close one */
    finish(delivery->stream, failure);
}
