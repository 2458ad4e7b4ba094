#include "daybook/subscriber.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/base/clock.h"
#include "sdk/client/backoff.h"

#define HEARTBEAT_DEFAULT_MS 10000
/* A server that is silent for this many heartbeats is taken for gone. */
#define HEARTBEATS_MISSED_MAX 3

struct daybook_subscriber {
    daybook_client *client;
    upb_Arena *arena; /* of the filter and the consumer */
    const daybook_v1_Filter *filter;
    upb_StringView name;     /* the consumer's; no data: it has none */
    upb_StringView consumer; /* whose checkpoint is where to begin; no data: nobody's, or no longer */
    uint32_t heartbeat_ms;
    struct backoff backoff;
    void (*disconnected)(const daybook_status *status, uint32_t retry_ms, void *context);
    void *context;
    uint64_t position;
    bool position_known; /* false: the subscription begins at the end and no response has said where that is */
    int64_t heard_at_ms;
    int64_t retry_at_ms;

    pthread_mutex_t mutex; /* guards what cancel touches */
    pthread_cond_t cancelled_changed;
    bool cancelled;
    daybook_v1_EventStore_Subscribe_stream *stream;
};

static bool filter_copy(daybook_subscriber *subscriber, const daybook_v1_Filter *filter) {
    if (filter == NULL) return true;
    size_t size;
    const char *encoded = daybook_v1_Filter_serialize(filter, subscriber->arena, &size);
    if (encoded == NULL) return false;
    subscriber->filter = daybook_v1_Filter_parse(encoded, size, subscriber->arena);
    return subscriber->filter != NULL;
}

static bool consumer_copy(daybook_subscriber *subscriber, const char *consumer) {
    if (consumer == NULL) return true;
    const size_t size = strlen(consumer);
    char *copy = upb_Arena_Malloc(subscriber->arena, size + 1);
    if (copy == NULL) return false;
    memcpy(copy, consumer, size + 1);
    subscriber->name = upb_StringView_FromDataAndSize(copy, size);
    subscriber->consumer = subscriber->name;
    return true;
}

daybook_subscriber *daybook_subscriber_open(daybook_client *client, const daybook_subscriber_options *options,
                                            daybook_status *ret_status) {
    daybook_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (subscriber != NULL) subscriber->arena = upb_Arena_New();
    if (subscriber == NULL || subscriber->arena == NULL || !filter_copy(subscriber, options->filter) ||
        !consumer_copy(subscriber, options->consumer)) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        if (subscriber != NULL && subscriber->arena != NULL) upb_Arena_Free(subscriber->arena);
        free(subscriber);
        return NULL;
    }
    subscriber->client = client;
    subscriber->heartbeat_ms = options->heartbeat_ms == 0 ? HEARTBEAT_DEFAULT_MS : options->heartbeat_ms;
    daybook__backoff_init(&subscriber->backoff, options->backoff_max_ms);
    subscriber->disconnected = options->disconnected;
    subscriber->context = options->context;
    subscriber->position = options->after;
    subscriber->position_known = options->from_end == 0;
    pthread_mutex_init(&subscriber->mutex, NULL);
    daybook__clock_condition_init(&subscriber->cancelled_changed);
    return subscriber;
}

static daybook_v1_SubscribeRequest *request_build(const daybook_subscriber *subscriber, upb_Arena *arena) {
    daybook_v1_SubscribeRequest *request = daybook_v1_SubscribeRequest_new(arena);
    if (request == NULL) return NULL;
    daybook_v1_SubscribeRequest_set_heartbeat_ms(request, subscriber->heartbeat_ms);
    if (subscriber->consumer.data != NULL) {
        daybook_v1_SubscribeRequest_set_consumer(request, subscriber->consumer);
    } else if (subscriber->position_known) {
        daybook_v1_SubscribeRequest_set_after(request, subscriber->position);
    } else if (daybook_v1_SubscribeRequest_mutable_end(request, arena) == NULL) {
        return NULL;
    }
    if (subscriber->filter != NULL) {
        /* The request is only read: it is encoded before open returns. */
        daybook_v1_SubscribeRequest_set_filter(request, (daybook_v1_Filter *)(uintptr_t)subscriber->filter);
    }
    return request;
}

static bool connect_again(daybook_subscriber *subscriber, daybook_status *ret_status) {
    upb_Arena *arena = upb_Arena_New();
    const daybook_v1_SubscribeRequest *request = arena == NULL ? NULL : request_build(subscriber, arena);
    daybook_v1_EventStore_Subscribe_stream *stream = NULL;
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        stream = daybook_v1_EventStore_Subscribe_open(subscriber->client, request, NULL, ret_status);
    }
    if (arena != NULL) upb_Arena_Free(arena);
    if (stream == NULL) return false;
    subscriber->heard_at_ms = daybook__clock_now_ms();
    pthread_mutex_lock(&subscriber->mutex);
    subscriber->stream = stream;
    const bool cancelled = subscriber->cancelled;
    pthread_mutex_unlock(&subscriber->mutex);
    if (cancelled) daybook_v1_EventStore_Subscribe_cancel(stream);
    return true;
}

static void stream_drop(daybook_subscriber *subscriber) {
    pthread_mutex_lock(&subscriber->mutex);
    daybook_v1_EventStore_Subscribe_stream *stream = subscriber->stream;
    subscriber->stream = NULL;
    pthread_mutex_unlock(&subscriber->mutex);
    daybook_v1_EventStore_Subscribe_close(stream);
}

static void retry_plan(daybook_subscriber *subscriber, const daybook_status *status) {
    const uint32_t retry_ms = daybook__backoff_pause_ms(&subscriber->backoff, status->retry_delay_ms);
    subscriber->retry_at_ms = daybook__clock_after_ms(retry_ms);
    if (subscriber->disconnected != NULL) subscriber->disconnected(status, retry_ms, subscriber->context);
}

static bool is_cancelled(daybook_subscriber *subscriber) {
    pthread_mutex_lock(&subscriber->mutex);
    const bool cancelled = subscriber->cancelled;
    pthread_mutex_unlock(&subscriber->mutex);
    return cancelled;
}

/* Waits for the next attempt to be due. False: `until_ms` came first. */
static bool retry_wait(daybook_subscriber *subscriber, int64_t until_ms) {
    const int64_t target_ms = subscriber->retry_at_ms < until_ms ? subscriber->retry_at_ms : until_ms;
    pthread_mutex_lock(&subscriber->mutex);
    while (!subscriber->cancelled && daybook__clock_now_ms() < target_ms) {
        (void)daybook__clock_condition_wait(&subscriber->cancelled_changed, &subscriber->mutex, target_ms);
    }
    pthread_mutex_unlock(&subscriber->mutex);
    return daybook__clock_now_ms() >= subscriber->retry_at_ms;
}

static void response_taken(daybook_subscriber *subscriber, const daybook_v1_SubscribeResponse *response) {
    subscriber->heard_at_ms = daybook__clock_now_ms();
    daybook__backoff_reset(&subscriber->backoff);
    subscriber->position = daybook_v1_SubscribeResponse_position(response);
    subscriber->position_known = true;
    subscriber->consumer = upb_StringView_FromDataAndSize(NULL, 0);
}

/* A consumer that has stored nothing yet begins where the options say, and at once. */
static bool consumer_is_new(daybook_subscriber *subscriber, const daybook_status *status) {
    if (subscriber->consumer.data == NULL || strcmp(status->reason, "CONSUMER_NOT_FOUND") != 0) return false;
    subscriber->consumer = upb_StringView_FromDataAndSize(NULL, 0);
    return true;
}

/* How long to listen before the caller's time is up or the server must be taken for gone. */
static uint32_t listen_ms(const daybook_subscriber *subscriber, int64_t until_ms, bool *ret_silence) {
    const int64_t silent_at_ms = subscriber->heard_at_ms + (int64_t)subscriber->heartbeat_ms * HEARTBEATS_MISSED_MAX;
    *ret_silence = silent_at_ms <= until_ms;
    return daybook__clock_until_ms(*ret_silence ? silent_at_ms : until_ms);
}

/* One listening on the open stream. False: the stream is gone, and another attempt is planned or not wanted. */
static bool listen_once(daybook_subscriber *subscriber, int64_t until_ms,
                        const daybook_v1_SubscribeResponse **ret_response, daybook_status *ret_status,
                        daybook_next *ret_next) {
    bool silence;
    daybook_status status;
    const uint32_t wait_ms = listen_ms(subscriber, until_ms, &silence);
    const daybook_next next = daybook_v1_EventStore_Subscribe_next(subscriber->stream, wait_ms, ret_response, &status);
    *ret_next = next;
    if (next == DAYBOOK_NEXT_MESSAGE) {
        response_taken(subscriber, *ret_response);
        return true;
    }
    if (next == DAYBOOK_NEXT_TIMEOUT && !silence) return true;
    if (next == DAYBOOK_NEXT_TIMEOUT) {
        daybook_status_set(&status, DAYBOOK_UNAVAILABLE, "no heartbeat for %u ms",
                           subscriber->heartbeat_ms * HEARTBEATS_MISSED_MAX);
    } else if (next == DAYBOOK_NEXT_END) {
        daybook_status_set(&status, DAYBOOK_UNAVAILABLE, "the server ended the subscription");
    }
    stream_drop(subscriber);
    if (is_cancelled(subscriber)) return false; /* whatever ended the stream: the caller hears of the cancellation */
    if (consumer_is_new(subscriber, &status)) return false;
    if (!daybook__backoff_is_passing(&status)) {
        if (ret_status != NULL) *ret_status = status;
        *ret_next = DAYBOOK_NEXT_ERROR;
        return true;
    }
    retry_plan(subscriber, &status);
    return false;
}

daybook_next daybook_subscriber_next(daybook_subscriber *subscriber, uint32_t wait_ms,
                                     const daybook_v1_SubscribeResponse **ret_response, daybook_status *ret_status) {
    const int64_t until_ms = daybook__clock_after_ms(wait_ms);
    for (;;) {
        if (is_cancelled(subscriber)) {
            daybook_status_set(ret_status, DAYBOOK_CANCELLED, "the subscriber was cancelled");
            return DAYBOOK_NEXT_ERROR;
        }
        if (subscriber->stream == NULL) {
            if (!retry_wait(subscriber, until_ms)) {
                if (is_cancelled(subscriber)) continue;
                return DAYBOOK_NEXT_TIMEOUT;
            }
            if (!connect_again(subscriber, ret_status)) return DAYBOOK_NEXT_ERROR;
        }
        daybook_next next;
        if (listen_once(subscriber, until_ms, ret_response, ret_status, &next)) return next;
    }
}

uint64_t daybook_subscriber_position(const daybook_subscriber *subscriber) {
    return subscriber->position;
}

void daybook_subscriber_cancel(daybook_subscriber *subscriber) {
    pthread_mutex_lock(&subscriber->mutex);
    subscriber->cancelled = true;
    if (subscriber->stream != NULL) daybook_v1_EventStore_Subscribe_cancel(subscriber->stream);
    pthread_cond_broadcast(&subscriber->cancelled_changed);
    pthread_mutex_unlock(&subscriber->mutex);
}

bool daybook_subscriber_checkpoint(const daybook_subscriber *subscriber, uint64_t position,
                                   daybook_v1_AppendRequest *request, upb_Arena *arena, daybook_status *ret_status) {
    assert(subscriber->name.data != NULL && position <= subscriber->position);
    char *name = upb_Arena_Malloc(arena, subscriber->name.size);
    daybook_v1_Checkpoint *checkpoint =
        name == NULL ? NULL : daybook_v1_AppendRequest_mutable_checkpoint(request, arena);
    if (checkpoint == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for a checkpoint");
        return false;
    }
    memcpy(name, subscriber->name.data, subscriber->name.size);
    daybook_v1_Checkpoint_set_consumer(checkpoint, upb_StringView_FromDataAndSize(name, subscriber->name.size));
    daybook_v1_Checkpoint_set_position(checkpoint, position);
    return true;
}

daybook_subscriber *daybook_subscriber_close(daybook_subscriber *subscriber) {
    if (subscriber == NULL) return NULL;
    stream_drop(subscriber);
    pthread_cond_destroy(&subscriber->cancelled_changed);
    pthread_mutex_destroy(&subscriber->mutex);
    upb_Arena_Free(subscriber->arena);
    free(subscriber);
    return NULL;
}
