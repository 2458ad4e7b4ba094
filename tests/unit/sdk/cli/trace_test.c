/* Trees of causes: random ones with circles and missing causes, and what they look like. */
#include "sdk/cli/trace.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "google/protobuf/timestamp.upb.h"
#include "sdk/cli/trace_print.h"
#include "tests/unit/sdk/cli/command_line.h"

#define EVENTS_COUNT_MAX 200

static upb_Arena *arena;
static struct trace trace;

static void setup(void) {
    arena = upb_Arena_New();
    cr_assert(trace_init(&trace, 100000));
}

static void teardown(void) {
    trace_deinit(&trace);
    upb_Arena_Free(arena);
    free(said.out);
    free(said.err);
}

TestSuite(trace, .init = setup, .fini = teardown, .timeout = 60);

static upb_StringView copied(const char *text) {
    const size_t size = strlen(text);
    char *copy = upb_Arena_Malloc(arena, size + 1);
    memcpy(copy, text, size + 1);
    return upb_StringView_FromDataAndSize(copy, size);
}

static daybook_v1_RecordedEvent *event_new(uint64_t position, const char *id, const char *cause) {
    daybook_v1_RecordedEvent *recorded = daybook_v1_RecordedEvent_new(arena);
    daybook_v1_Event *event = daybook_v1_RecordedEvent_mutable_event(recorded, arena);
    google_protobuf_Timestamp *time = daybook_v1_RecordedEvent_mutable_recorded_at(recorded, arena);
    google_protobuf_Timestamp_set_seconds(time, (int64_t)(100 + position));
    google_protobuf_Timestamp_set_nanos(time, 5000000);
    daybook_v1_RecordedEvent_set_position(recorded, position);
    daybook_v1_RecordedEvent_set_revision(recorded, 1);
    daybook_v1_RecordedEvent_set_stream(recorded, upb_StringView_FromString("s"));
    daybook_v1_Event_set_type(event, copied(id));
    daybook_v1_Event_set_id(event, copied(id));
    if (cause != NULL) {
        cr_assert(
            daybook_v1_Event_metadata_set(event, upb_StringView_FromString("causation_id"), copied(cause), arena));
    }
    return recorded;
}

static void add(uint64_t position, const char *id, const char *cause) {
    cr_assert(trace_add(&trace, event_new(position, id, cause)));
}

static void expect_tree(bool utf8, const char *expected) {
    cr_assert(trace_link(&trace));
    capture_begin();
    const bool printed = trace_print(&trace, utf8, false);
    capture_end();
    cr_assert(printed);
    cr_assert_str_eq(said.out, expected);
}

/* --- What a tree looks like. ------------------------------------------------------------------------------------------ */

static void add_family(void) {
    add(1, "a", NULL);
    add(2, "b", "a");
    add(3, "c", "b");
    add(4, "d", "a");
    add(5, "e", "b");
    add(6, "f", NULL);
    add(7, "g", "F"); /* UUIDs are the same in capitals */
}

Test(trace, a_tree_is_drawn) {
    add_family();
    expect_tree(true, "       1      +0.000s  a  s@1\n"
                      "       2      +1.000s  ├─ b  s@1\n"
                      "       3      +2.000s  │  ├─ c  s@1\n"
                      "       5      +4.000s  │  └─ e  s@1\n"
                      "       4      +3.000s  └─ d  s@1\n"
                      "       6      +5.000s  f  s@1\n"
                      "       7      +6.000s  └─ g  s@1\n");
}

Test(trace, a_terminal_without_line_drawing_gets_ascii) {
    add_family();
    expect_tree(false, "       1      +0.000s  a  s@1\n"
                       "       2      +1.000s  |- b  s@1\n"
                       "       3      +2.000s  |  |- c  s@1\n"
                       "       5      +4.000s  |  `- e  s@1\n"
                       "       4      +3.000s  `- d  s@1\n"
                       "       6      +5.000s  f  s@1\n"
                       "       7      +6.000s  `- g  s@1\n");
}

Test(trace, an_orphan_is_a_root_and_says_so) {
    add(3, "a", "no\x1b[where");
    add(4, "b", "a");
    add(5, "c", "c"); /* its own cause: it has none */
    expect_tree(true, "       3      +0.000s  a  s@1  (its cause no\\x1b[where is not among these)\n"
                      "       4      +1.000s  └─ b  s@1\n"
                      "       5      +2.000s  c  s@1\n");
}

Test(trace, a_circle_begins_with_its_first_event) {
    add(1, "x", "c");
    add(2, "a", "c");
    add(3, "b", "a");
    add(4, "c", "b");
    expect_tree(true, "       2      +1.000s  a  s@1  (caused by one of its own effects, c)\n"
                      "       3      +2.000s  └─ b  s@1\n"
                      "       4      +3.000s     └─ c  s@1\n"
                      "       1      +0.000s        └─ x  s@1\n");
}

Test(trace, of_two_events_with_one_id_the_first_is_the_cause) {
    add(1, "a", NULL);
    add(2, "a", NULL);
    add(3, "b", "a");
    expect_tree(true, "       1      +0.000s  a  s@1\n"
                      "       3      +2.000s  └─ b  s@1\n"
                      "       2      +1.000s  a  s@1\n");
}

Test(trace, a_long_chain_is_not_all_indentation) {
    enum { LENGTH = 20000 };
    add(1, "0", NULL);
    for (uint64_t index = 1; index < LENGTH; index++) {
        char id[16];
        char cause[16];
        (void)snprintf(id, sizeof id, "%d", (int)index);
        (void)snprintf(cause, sizeof cause, "%d", (int)index - 1);
        add(index + 1, id, cause);
    }
    cr_assert(trace_link(&trace));
    capture_begin();
    cr_assert(trace_print(&trace, true, false));
    capture_end();
    expect_words(said.out, "└─ 32  s@1\n");
    expect_words(said.out, "└─ (33 deep) 33  s@1\n");
    expect_words(said.out, "└─ (19999 deep) 19999  s@1\n");
    cr_assert_lt(strlen(said.out), (size_t)LENGTH * 200);
}

Test(trace, json_tells_depth_and_cause) {
    add(1, "a", NULL);
    add(2, "b", "a");
    add(3, "c", "gone");
    cr_assert(trace_link(&trace));
    capture_begin();
    cr_assert(trace_print(&trace, true, true));
    capture_end();
    cr_assert_str_eq(
        said.out,
        "{\"position\":1,\"stream\":\"s\",\"revision\":1,\"type\":\"a\",\"id\":\"a\",\"offset_ns\":0,\"depth\":0}\n"
        "{\"position\":2,\"stream\":\"s\",\"revision\":1,\"type\":\"b\",\"id\":\"b\",\"offset_ns\":1000000000,"
        "\"depth\":1,\"causation_id\":\"a\",\"cause_position\":1}\n"
        "{\"position\":3,\"stream\":\"s\",\"revision\":1,\"type\":\"c\",\"id\":\"c\",\"offset_ns\":2000000000,"
        "\"depth\":0,\"causation_id\":\"gone\"}\n");
}

Test(trace, no_events_are_no_tree) {
    expect_tree(true, "");
}

/* --- What is kept. ---------------------------------------------------------------------------------------------------- */

Test(trace, no_more_are_kept_than_allowed) {
    trace_deinit(&trace);
    cr_assert(trace_init(&trace, 2));
    add(1, "a", NULL);
    add(2, "b", NULL);
    cr_assert_not(trace.is_full);
    add(3, "c", NULL);
    cr_assert(trace.is_full);
    cr_assert_eq(trace.count, 2);
}

Test(trace, a_longer_cause_than_any_id_is_cut) {
    char cause[8193];
    memset(cause, 'x', 8192);
    cause[8192] = '\0';
    add(1, "a", cause);
    cr_assert_eq(trace.events[0].causation_id.size, 255);
}

Test(trace, an_event_belongs_by_its_metadata_or_its_id) {
    daybook_v1_RecordedEvent *recorded = event_new(1, "01890a5d-ac96-774b-bcce-b302099a8057", NULL);
    cr_assert(trace_belongs(recorded, "01890a5d-ac96-774b-bcce-b302099a8057"));
    cr_assert(trace_belongs(recorded, "01890A5D-AC96-774B-BCCE-B302099A8057"));
    cr_assert_not(trace_belongs(recorded, "checkout-7"));
    cr_assert(daybook_v1_Event_metadata_set(daybook_v1_RecordedEvent_mutable_event(recorded, arena),
                                            upb_StringView_FromString("correlation_id"),
                                            upb_StringView_FromString("checkout-7"), arena));
    cr_assert(trace_belongs(recorded, "checkout-7"));
    cr_assert_not(trace_belongs(recorded, "checkout-71"));
    cr_assert_not(trace_belongs(recorded, "checkout-"));
    cr_assert_not(trace_belongs(recorded, "Checkout-7"));
    cr_assert_not(trace_belongs(daybook_v1_RecordedEvent_new(arena), "checkout-7"));
}

/* --- Random trees. ---------------------------------------------------------------------------------------------------- */

/* The cause of each event by its index; -1: none, -2: one that is not there. */
static int causes[EVENTS_COUNT_MAX];

static void random_add(unsigned *random, int count) {
    for (int index = 0; index < count; index++) {
        char id[16];
        char cause[16];
        const int dice = rand_r(random) % 10;
        /* Most causes come before their effects; some come later or are the event itself, which makes circles. */
        causes[index] = dice == 0 || (index == 0 && dice < 9) ? -1
                        : dice == 1                           ? -2
                        : dice < 9                            ? rand_r(random) % index
                                                              : rand_r(random) % count;
        (void)snprintf(id, sizeof id, "e%d", index);
        (void)snprintf(cause, sizeof cause, "e%d", causes[index] == -2 ? count + 7 : causes[index]);
        add((uint64_t)index + 1, id, causes[index] == -1 ? NULL : cause);
    }
}

/* Whether the event is in a circle of more than itself, by walking as many steps as there are events. */
static bool is_in_circle(int index, int count) {
    int at = causes[index];
    for (int step = 0; step < count && at >= 0; step++, at = causes[at]) {
        if (at == index) return causes[index] != index;
        if (causes[at] == at) return false;
    }
    return false;
}

/* The first event of the circle that this one is in. */
static int circle_first(int index) {
    int first = index;
    for (int at = causes[index]; at != index; at = causes[at]) first = at < first ? at : first;
    return first;
}

static void expect_random(int count, unsigned seed) {
    bool seen[EVENTS_COUNT_MAX] = {false};
    size_t depths[EVENTS_COUNT_MAX];
    char *rest = NULL;
    int lines_count = 0;
    int root_last = -1;
    for (char *line = strtok_r(said.out, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);
        cr_assert_not_null(object);
        const int index = (int)json_integer_value(json_object_get(object, "position")) - 1;
        const size_t depth = (size_t)json_integer_value(json_object_get(object, "depth"));
        const json_t *cause = json_object_get(object, "cause_position");
        cr_assert(index >= 0 && index < count && !seen[index], "seed %u: event %d again", seed, index);
        seen[index] = true;
        depths[index] = depth;
        const bool is_cut = is_in_circle(index, count) && circle_first(index) == index;
        if (causes[index] < 0 || causes[index] == index || is_cut) {
            cr_assert(depth == 0 && cause == NULL, "seed %u: event %d is no root", seed, index);
            cr_assert_gt(index, root_last, "roots are in order");
            root_last = index;
        } else {
            cr_assert_eq(json_integer_value(cause), causes[index] + 1, "seed %u: event %d", seed, index);
            cr_assert(seen[causes[index]], "seed %u: event %d is before its cause", seed, index);
            cr_assert_eq(depth, depths[causes[index]] + 1);
        }
        json_decref(object);
        lines_count++;
    }
    cr_assert_eq(lines_count, count, "seed %u", seed);
}

Test(trace, of_random_events_each_is_below_its_cause_once) {
    enum { ROUNDS = 500 };
    const char *given = getenv("DAYBOOK_TEST_SEED");
    const unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    (void)fprintf(stderr, "DAYBOOK_TEST_SEED=%u\n", seed);
    unsigned random = seed;
    for (int round = 0; round < ROUNDS; round++) {
        trace_deinit(&trace);
        cr_assert(trace_init(&trace, EVENTS_COUNT_MAX));
        const int count = 1 + rand_r(&random) % EVENTS_COUNT_MAX;
        random_add(&random, count);
        cr_assert(trace_link(&trace));
        capture_begin();
        cr_assert(trace_print(&trace, true, true));
        capture_end();
        expect_random(count, seed);
    }
}
