#include "sdk/cli/trace.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "google/protobuf/timestamp.upb.h"

#define EVENTS_COUNT_FIRST 64
/* A longer cause is nobody's id. */
#define CAUSATION_ID_BYTES_MAX 255

bool trace_init(struct trace *trace, size_t count_max) {
    *trace = (struct trace){.arena = upb_Arena_New(), .count_max = count_max};
    return trace->arena != NULL;
}

void trace_deinit(struct trace *trace) {
    if (trace->arena != NULL) upb_Arena_Free(trace->arena);
    free(trace->events);
    *trace = (struct trace){.arena = NULL};
}

static bool grow(struct trace *trace) {
    const size_t capacity = trace->capacity == 0 ? EVENTS_COUNT_FIRST : trace->capacity * 2;
    struct trace_event *events = reallocarray(trace->events, capacity, sizeof *events);
    if (events == NULL) return false;
    trace->events = events;
    trace->capacity = capacity;
    return true;
}

static bool text_keep(struct trace *trace, upb_StringView text, upb_StringView *ret_text) {
    if (text.size > 0) {
        char *copy = upb_Arena_Malloc(trace->arena, text.size);
        if (copy == NULL) return false;
        memcpy(copy, text.data, text.size);
        text.data = copy;
    }
    *ret_text = text;
    return true;
}

static upb_StringView metadata_find(const daybook_v1_Event *event, const char *key) {
    upb_StringView value;
    return daybook_v1_Event_metadata_get(event, upb_StringView_FromString(key), &value)
               ? value
               : upb_StringView_FromDataAndSize(NULL, 0);
}

static int64_t nanoseconds(const google_protobuf_Timestamp *time) {
    if (time == NULL) return 0;
    return google_protobuf_Timestamp_seconds(time) * 1000000000 + google_protobuf_Timestamp_nanos(time);
}

bool trace_add(struct trace *trace, const daybook_v1_RecordedEvent *recorded) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    if (event == NULL) return true;
    if (trace->count == trace->count_max) {
        trace->is_full = true;
        return true;
    }
    if (trace->count == trace->capacity && !grow(trace)) return false;
    struct trace_event *kept = &trace->events[trace->count];
    *kept = (struct trace_event){.position = daybook_v1_RecordedEvent_position(recorded),
                                 .revision = daybook_v1_RecordedEvent_revision(recorded),
                                 .recorded_at_ns = nanoseconds(daybook_v1_RecordedEvent_recorded_at(recorded))};
    upb_StringView causation_id = metadata_find(event, "causation_id");
    if (causation_id.size > CAUSATION_ID_BYTES_MAX) causation_id.size = CAUSATION_ID_BYTES_MAX;
    if (!text_keep(trace, daybook_v1_RecordedEvent_stream(recorded), &kept->stream) ||
        !text_keep(trace, daybook_v1_Event_type(event), &kept->type) ||
        !text_keep(trace, daybook_v1_Event_id(event), &kept->id) ||
        !text_keep(trace, causation_id, &kept->causation_id)) {
        return false;
    }
    trace->count++;
    return true;
}

/* Ids are UUIDs, which services may write in capitals. */
static int id_compare(upb_StringView left, upb_StringView right) {
    const size_t size = left.size < right.size ? left.size : right.size;
    const int difference = size == 0 ? 0 : strncasecmp(left.data, right.data, size);
    if (difference != 0) return difference;
    return left.size < right.size ? -1 : left.size > right.size;
}

static int by_id(const void *left, const void *right) {
    const struct trace_event *const *a = left;
    const struct trace_event *const *b = right;
    const int difference = id_compare((*a)->id, (*b)->id);
    if (difference != 0) return difference;
    return (*a)->position < (*b)->position ? -1 : (*a)->position > (*b)->position;
}

/* The first event with the id among those that are sorted by it; NULL when there is none. */
static struct trace_event *id_find(struct trace_event **sorted, size_t count, upb_StringView id) {
    size_t low = 0;
    for (size_t high = count; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (id_compare(sorted[middle]->id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && id_compare(sorted[low]->id, id) == 0 ? sorted[low] : NULL;
}

/* Makes the first event of a circle a root. */
static void circle_cut(struct trace_event *member) {
    struct trace_event *first = member;
    for (struct trace_event *at = member->cause; at != member; at = at->cause) {
        if (at->position < first->position) first = at;
    }
    first->cause = NULL;
    first->circle = true;
}

/* Walks from each event up to a root, or to where a walk has been. One that meets itself has found a circle. */
static void circles_cut(struct trace *trace) {
    for (size_t index = 0; index < trace->count; index++) {
        const size_t walk = index + 1;
        struct trace_event *at = &trace->events[index];
        for (; at != NULL && at->walk == 0; at = at->cause) at->walk = walk;
        if (at != NULL && at->walk == walk) circle_cut(at);
    }
}

bool trace_link(struct trace *trace) {
    if (trace->count == 0) return true;
    struct trace_event **sorted = reallocarray(NULL, trace->count, sizeof(struct trace_event *));
    if (sorted == NULL) return false;
    for (size_t index = 0; index < trace->count; index++) sorted[index] = &trace->events[index];
    qsort(sorted, trace->count, sizeof(struct trace_event *), by_id);
    for (size_t index = 0; index < trace->count; index++) {
        struct trace_event *event = &trace->events[index];
        if (event->causation_id.size == 0) continue;
        struct trace_event *cause = id_find(sorted, trace->count, event->causation_id);
        event->cause_is_elsewhere = cause == NULL;
        event->cause = cause == event ? NULL : cause; /* Some write an event's own id where it has no cause. */
    }
    free(sorted);
    circles_cut(trace);
    /* From behind, so that each list is in the order of position. */
    for (size_t index = trace->count; index-- > 0;) {
        struct trace_event *event = &trace->events[index];
        if (event->cause == NULL) continue;
        event->effect_next = event->cause->effect_first;
        event->cause->effect_first = event;
    }
    return true;
}

bool trace_belongs(const daybook_v1_RecordedEvent *recorded, const char *correlation_id) {
    const daybook_v1_Event *event = daybook_v1_RecordedEvent_event(recorded);
    if (event == NULL) return false;
    const upb_StringView wanted = upb_StringView_FromString(correlation_id);
    return upb_StringView_IsEqual(metadata_find(event, "correlation_id"), wanted) ||
           id_compare(daybook_v1_Event_id(event), wanted) == 0;
}
