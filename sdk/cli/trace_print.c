#include "sdk/cli/trace_print.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "sdk/cli/json.h"
#include "sdk/cli/print.h"

/* How the lines of the tree are drawn. */
struct strokes {
    const char *branch;
    const char *last;
    const char *bar;
};

static const struct strokes strokes_utf8 = {.branch = "├─ ", .last = "└─ ", .bar = "│  "};
static const struct strokes strokes_ascii = {.branch = "|- ", .last = "`- ", .bar = "|  "};

bool trace_locale_is_utf8(void) {
    const locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale == (locale_t)0) return false;
    const bool utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    freelocale(locale);
    return utf8;
}

/* Where the print is: an event and how deep it is. */
struct cursor {
    const struct trace_event *event;
    size_t depth;
    bool bars[TRACE_DEPTH_DRAWN_MAX + 1]; /* at each depth: another effect follows below */
};

static void indentation_print(const struct cursor *cursor, const struct strokes *strokes) {
    const size_t drawn = cursor->depth < TRACE_DEPTH_DRAWN_MAX ? cursor->depth : TRACE_DEPTH_DRAWN_MAX;
    for (size_t depth = 1; depth < drawn; depth++) (void)fputs(cursor->bars[depth] ? strokes->bar : "   ", stdout);
    if (drawn > 0) (void)fputs(cursor->event->effect_next != NULL ? strokes->branch : strokes->last, stdout);
    if (cursor->depth > drawn) (void)printf("(%zu deep) ", cursor->depth);
}

/* Why a root is one, unless it has no cause at all. */
static void root_print(const struct trace_event *event) {
    if (event->circle) {
        (void)fputs("  (caused by one of its own effects, ", stdout);
        print_plain(stdout, event->causation_id);
        (void)putchar(')');
    } else if (event->cause_is_elsewhere) {
        (void)fputs("  (its cause ", stdout);
        print_plain(stdout, event->causation_id);
        (void)fputs(" is not among these)", stdout);
    }
}

static void line_print(const struct cursor *cursor, int64_t first_ns, const struct strokes *strokes) {
    const struct trace_event *event = cursor->event;
    const int64_t offset_ms = (event->recorded_at_ns - first_ns) / 1000000;
    char offset[32];
    (void)snprintf(offset, sizeof offset, "+%" PRId64 ".%03" PRId64 "s", offset_ms / 1000, offset_ms % 1000);
    (void)printf("%8" PRIu64 "  %11s  ", event->position, offset);
    indentation_print(cursor, strokes);
    print_plain(stdout, event->type);
    (void)fputs("  ", stdout);
    print_plain(stdout, event->stream);
    (void)printf("@%" PRIu64, event->revision);
    root_print(event);
    (void)putchar('\n');
}

static bool object_print(const struct cursor *cursor, int64_t first_ns) {
    const struct trace_event *event = cursor->event;
    json_t *object = json_object();
    json_add(object, "position", json_number(event->position));
    json_add(object, "stream", json_text(event->stream));
    json_add(object, "revision", json_number(event->revision));
    json_add(object, "type", json_text(event->type));
    json_add(object, "id", json_text(event->id));
    json_add(object, "offset_ns", json_integer(event->recorded_at_ns - first_ns));
    json_add(object, "depth", json_number(cursor->depth));
    if (event->causation_id.size > 0) json_add(object, "causation_id", json_text(event->causation_id));
    if (event->cause != NULL) json_add(object, "cause_position", json_number(event->cause->position));
    return json_line(object);
}

/* Moves to the next event of the tree below a root, and past its end to none. */
static void advance(struct cursor *cursor) {
    const struct trace_event *event = cursor->event;
    if (event->effect_first != NULL) {
        if (cursor->depth <= TRACE_DEPTH_DRAWN_MAX) cursor->bars[cursor->depth] = event->effect_next != NULL;
        cursor->event = event->effect_first;
        cursor->depth++;
        return;
    }
    while (event != NULL && event->effect_next == NULL) {
        event = event->cause;
        cursor->depth--;
    }
    cursor->event = event == NULL ? NULL : event->effect_next;
}

bool trace_print(const struct trace *trace, bool utf8, bool json) {
    const struct strokes *strokes = utf8 ? &strokes_utf8 : &strokes_ascii;
    const int64_t first_ns = trace->count == 0 ? 0 : trace->events[0].recorded_at_ns;
    for (size_t index = 0; index < trace->count; index++) {
        if (trace->events[index].cause != NULL) continue;
        for (struct cursor cursor = {.event = &trace->events[index]}; cursor.event != NULL; advance(&cursor)) {
            if (!json) {
                line_print(&cursor, first_ns, strokes);
            } else if (!object_print(&cursor, first_ns)) {
                return false;
            }
        }
    }
    return true;
}
