#include "examples/dcb/decision.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"
#include "google/protobuf/timestamp.upb.h"

/* A call that fails in passing is made so many times at most. */
#define ATTEMPTS_COUNT_MAX 20
#define CALL_TIMEOUT_MS    10000

struct decision {
    daybook_client *client;
    upb_Arena *arena;
    daybook_v1_Filter *boundary;
    bool newest_only;
    daybook_v1_EventStore_Read_stream *stream; /* NULL before the first event and after the last one */
    const daybook_v1_RecordedEvent *const *events;
    size_t events_count;
    size_t events_used;
    bool head_known;
    uint64_t head;
    uint64_t position; /* of the last event read; 0: none */
    int read_attempts_count;
    struct fact fact;
    daybook_v1_AppendRequest *request;
    int64_t occurred_at_s;
};

static _Noreturn void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *need(void *memory) {
    if (memory == NULL) fail("decision", "out of memory");
    return memory;
}

static void need_true(bool had_memory) {
    if (!had_memory) fail("decision", "out of memory");
}

const char *decision_text(struct decision *decision, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) fail("decision", "a text cannot be formatted");
    char *text = need(upb_Arena_Malloc(decision->arena, (size_t)size + 1));
    (void)vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

static upb_StringView kept(struct decision *decision, const char *text) {
    return upb_StringView_FromString(decision_text(decision, "%s", text));
}

struct decision *decision_open(daybook_client *client) {
    struct decision *decision = need(calloc(1, sizeof *decision));
    decision->client = client;
    decision->arena = need(upb_Arena_New());
    decision->boundary = need(daybook_v1_Filter_new(decision->arena));
    decision->request = need(daybook_v1_AppendRequest_new(decision->arena));
    decision->occurred_at_s = (int64_t)time(NULL);
    return decision;
}

struct decision *decision_close(struct decision *decision) {
    if (decision == NULL) return NULL;
    daybook_v1_EventStore_Read_close(decision->stream);
    json_decref(decision->fact.data);
    upb_Arena_Free(decision->arena);
    free(decision);
    return NULL;
}

/* --- Read. ------------------------------------------------------------------------------------------------------------ */

void decision_about(struct decision *decision, const char *const *types, const char *const *tags) {
    daybook_v1_Clause *clause = need(daybook_v1_Filter_add_any_of(decision->boundary, decision->arena));
    for (; *types != NULL; types++) {
        need_true(daybook_v1_Clause_add_types(clause, kept(decision, *types), decision->arena));
    }
    for (; *tags != NULL; tags++) {
        need_true(daybook_v1_Clause_add_tags(clause, kept(decision, *tags), decision->arena));
    }
}

void decision_newest_only(struct decision *decision) {
    decision->newest_only = true;
}

/* The outcome of the call is not known, or the server asks for another attempt. */
static bool is_passing(const daybook_status *status) {
    return status->retryable || status->code == DAYBOOK_DEADLINE_EXCEEDED;
}

static void pause_as_asked(const daybook_status *status) {
    const uint32_t pause_ms = status->retry_delay_ms < CALL_TIMEOUT_MS ? status->retry_delay_ms : CALL_TIMEOUT_MS;
    (void)poll(NULL, 0, (int)pause_ms);
}

static void read_begin(struct decision *decision) {
    daybook_v1_ReadRequest *request = need(daybook_v1_ReadRequest_new(decision->arena));
    daybook_v1_ReadRequest_set_filter(request, decision->boundary);
    if (decision->newest_only) {
        daybook_v1_ReadRequest_set_direction(request, daybook_v1_DIRECTION_BACKWARD);
        daybook_v1_ReadRequest_set_limit(request, 1);
    } else {
        daybook_v1_ReadRequest_set_from(request, decision->position + 1);
    }
    const daybook_call_options options = {.timeout_ms = CALL_TIMEOUT_MS, .wait_for_ready = 1};
    decision->stream = need(daybook_v1_EventStore_Read_open(decision->client, request, &options, NULL));
}

/* Takes the next response. False: there is none. A read that is interrupted goes on after its last event; what it finds beyond
 * the head of its beginning is what the condition will refuse, so that the decision is made anew. */
static bool response_take(struct decision *decision) {
    const daybook_v1_ReadResponse *response;
    daybook_status status;
    const daybook_next next =
        daybook_v1_EventStore_Read_next(decision->stream, DAYBOOK_TIMEOUT_NONE, &response, &status);
    if (next == DAYBOOK_NEXT_END) return false;
    if (next != DAYBOOK_NEXT_MESSAGE) {
        if (decision->newest_only && decision->position != 0) return false;
        if (!is_passing(&status) || ++decision->read_attempts_count == ATTEMPTS_COUNT_MAX) fail("read", status.message);
        daybook_v1_EventStore_Read_close(decision->stream);
        pause_as_asked(&status);
        read_begin(decision);
        return true;
    }
    decision->events = daybook_v1_ReadResponse_events(response, &decision->events_count);
    decision->events_used = 0;
    /* The first response's head: whatever was recorded after it may not have been read. */
    if (!decision->head_known) decision->head = daybook_v1_ReadResponse_head(response);
    decision->head_known = true;
    return true;
}

static const struct fact *fact_fill(struct decision *decision, const daybook_v1_RecordedEvent *recorded) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    const upb_StringView type = daybook_v1_Event_type(event);
    const upb_StringView text = daybook_v1_Event_text(event);
    const google_protobuf_Timestamp *occurred_at = daybook_v1_Event_occurred_at(event);
    decision->position = daybook_v1_RecordedEvent_position(recorded);
    json_decref(decision->fact.data);
    json_t *data = text.size == 0 ? json_object() : json_loadb(text.data, text.size, 0, NULL);
    if (data == NULL) fail("read", "an event's text is no JSON");
    decision->fact = (struct fact){
        .position = decision->position,
        .type = decision_text(decision, "%.*s", (int)type.size, type.data),
        .data = data,
        .occurred_at_s = occurred_at == NULL ? 0 : google_protobuf_Timestamp_seconds(occurred_at),
    };
    return &decision->fact;
}

const struct fact *decision_next(struct decision *decision) {
    if (decision->stream == NULL && decision->head_known) return NULL;
    if (decision->stream == NULL) read_begin(decision);
    while (decision->events_used == decision->events_count) {
        if (response_take(decision)) continue;
        decision->stream = daybook_v1_EventStore_Read_close(decision->stream);
        return NULL;
    }
    return fact_fill(decision, decision->events[decision->events_used++]);
}

bool fact_is(const struct fact *fact, const char *type) {
    return strcmp(fact->type, type) == 0;
}

int64_t fact_number(const struct fact *fact, const char *key) {
    const json_t *value = json_object_get(fact->data, key);
    if (!json_is_integer(value)) fail(fact->type, "a number is missing");
    return json_integer_value(value);
}

const char *fact_text(const struct fact *fact, const char *key) {
    const json_t *value = json_object_get(fact->data, key);
    if (!json_is_string(value)) fail(fact->type, "a text is missing");
    return json_string_value(value);
}

/* --- Append. ---------------------------------------------------------------------------------------------------------- */

/* A random UUID (RFC 9562, version 4), by which the store recognises the event when it is sent again. */
static const char *id_make(struct decision *decision) {
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) fail("id", "no random bytes");
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    return decision_text(decision, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", bytes[0],
                         bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9],
                         bytes[10], bytes[11], bytes[12], bytes[13], bytes[14], bytes[15]);
}

void decision_set_time(struct decision *decision, int64_t occurred_at_s) {
    decision->occurred_at_s = occurred_at_s;
}

void decision_record(struct decision *decision, const char *stream, const char *type, const char *const *tags,
                     json_t *data) {
    upb_Arena *arena = decision->arena;
    daybook_v1_Write *write = need(daybook_v1_AppendRequest_add_writes(decision->request, arena));
    daybook_v1_Write_set_stream(write, kept(decision, stream));
    daybook_v1_Event *event = need(daybook_v1_Write_add_events(write, arena));
    daybook_v1_Event_set_id(event, upb_StringView_FromString(id_make(decision)));
    daybook_v1_Event_set_type(event, kept(decision, type));
    for (; *tags != NULL; tags++) need_true(daybook_v1_Event_add_tags(event, kept(decision, *tags), arena));
    if (data != NULL) {
        char *text = need(json_dumps(data, JSON_COMPACT));
        daybook_v1_Event_set_text(event, kept(decision, text));
        daybook_v1_Event_set_content_type(event, upb_StringView_FromString("application/json"));
        free(text);
        json_decref(data);
    }
    google_protobuf_Timestamp_set_seconds(need(daybook_v1_Event_mutable_occurred_at(event, arena)),
                                          decision->occurred_at_s);
}

bool decision_commit(struct decision *decision) {
    if (!decision->head_known) fail("append", "a decision reads before it commits");
    daybook_v1_Condition *condition =
        need(daybook_v1_AppendRequest_mutable_condition(decision->request, decision->arena));
    daybook_v1_Condition_set_none_match(condition, decision->boundary);
    daybook_v1_Condition_set_after(condition, decision->head);
    /* Every event has its id, so the runtime may try again by itself. */
    const daybook_call_options options = {.timeout_ms = CALL_TIMEOUT_MS, .wait_for_ready = 1, .idempotent = 1};
    daybook_status status;
    for (int attempt = 0; attempt < ATTEMPTS_COUNT_MAX; attempt++) {
        const daybook_v1_AppendResponse *response;
        if (daybook_v1_EventStore_Append(decision->client, decision->request, &options, decision->arena, &response,
                                         &status)) {
            return true;
        }
        if (strcmp(status.reason, "CONDITION_FAILED") == 0) return false;
        if (!is_passing(&status)) break;
        pause_as_asked(&status);
    }
    fail("append", status.message);
}

const char *decision_make(daybook_client *client, decide_function *decide, const void *command,
                          uint64_t *conflicts_count) {
    for (;;) {
        struct decision *decision = decision_open(client);
        const char *refusal = decide(decision, command);
        const bool over = refusal != NULL || decision_commit(decision);
        decision_close(decision);
        if (over) return refusal;
        if (conflicts_count != NULL) ++*conflicts_count;
    }
}
