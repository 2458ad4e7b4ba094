/* trace.h: events that belong together, as a tree of causes.
 *
 * An event's cause is the one whose id is in its metadata causation_id, when that is among the events, too. Roots are the
 * others; of events that cause each other in a circle the first one is a root.
 * Ownership: the trace owns what it keeps of the events, in its arena. Threads: the main thread.
 * Errors: false without memory. */
#ifndef SDK_CLI_TRACE_H
#define SDK_CLI_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daybook/v1/event.upb.h"

struct trace_event {
    uint64_t position;
    uint64_t revision;
    int64_t recorded_at_ns;
    upb_StringView stream;
    upb_StringView type;
    upb_StringView id;
    upb_StringView causation_id; /* empty: none is told; cut to 255 bytes */
    struct trace_event *cause;   /* NULL: a root */
    struct trace_event *effect_first;
    struct trace_event *effect_next; /* of the same cause, by position */
    bool circle;                     /* a root, because its cause is one of its own effects */
    bool cause_is_elsewhere;         /* a root, because its cause is not among the events */
    size_t walk;                     /* of the search for circles; 0: none was here */
};

struct trace {
    upb_Arena *arena;
    struct trace_event *events; /* in the order of position */
    size_t count;
    size_t capacity;
    size_t count_max;
    bool is_full; /* more events were found than are kept */
};

bool trace_init(struct trace *trace, size_t count_max);
void trace_deinit(struct trace *trace);

/* Keeps an event, which comes after those before it; beyond `count_max` it only sets is_full. */
bool trace_add(struct trace *trace, const daybook_v1_RecordedEvent *recorded);

/* Finds the causes, once all events are there. */
bool trace_link(struct trace *trace);

/* Whether the event belongs to the correlation: its metadata correlation_id, or its own id, is this. */
bool trace_belongs(const daybook_v1_RecordedEvent *recorded, const char *correlation_id);

#endif
