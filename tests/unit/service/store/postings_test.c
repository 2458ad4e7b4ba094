/* Where the events of a filter are, against a look at every event. */
#include "service/store/postings.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/base/limits.h"
#include "service/store/terms.h"
#include "tests/support/events.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"

#define EVENTS_COUNT     3000
#define RUN_EVENTS_COUNT 100 /* so that there are runs of several levels, and a tail */
#define STREAMS_COUNT    20
#define TYPES_COUNT      6
#define TAGS_COUNT       40
#define RECORD_BYTES_MAX 256

static struct temporary_directory directory;
static struct index *index_under_test;
static struct random chance;
static char streams[STREAMS_COUNT][16];
static char types[TYPES_COUNT][16];
static char tags[TAGS_COUNT][16];
static struct bytes records[EVENTS_COUNT + 1]; /* by position */

/* The first names come far more often than the last. */
static uint32_t pick(uint32_t count) {
    const uint32_t below = 1 + (uint32_t)random_below(&chance, count);
    return (uint32_t)random_below(&chance, below);
}

static void event_make(uint64_t position, uint64_t revisions[STREAMS_COUNT]) {
    const char *names[3];
    uint32_t names_count = 0;
    for (uint32_t tag = (uint32_t)random_below(&chance, 4); tag > 0; tag--)
        names[names_count++] = tags[pick(TAGS_COUNT)];
    const struct events_id id = events_id_of(position);
    const struct event_parts parts = {
        .id = id.text, .type = types[pick(TYPES_COUNT)], .tags = names, .tags_count = names_count};
    const uint32_t stream = pick(STREAMS_COUNT);
    uint8_t event[RECORD_BYTES_MAX];
    const struct record record = {.position = position,
                                  .stream = bytes_of_text(streams[stream]),
                                  .revision = ++revisions[stream],
                                  .recorded_ns = (int64_t)position,
                                  .event = event_encode(&parts, event, sizeof event)};
    uint8_t *encoded = malloc(RECORD_BYTES_MAX);
    cr_assert_not_null(encoded);
    records[position] = event_record_encode(&record, encoded, RECORD_BYTES_MAX);
    struct index_entry entries[TERMS_COUNT_MAX];
    uint32_t count;
    cr_assert_eq(terms_of_record(&record, entries, &count).failure, FAILURE_NONE);
    cr_assert_eq(index_add(index_under_test, position, entries, count).failure, FAILURE_NONE);
}

static void setup(void) {
    chance = random_start("postings_test");
    directory = temporary_directory_make();
    const struct temporary_path path = temporary_path(&directory, "index");
    const struct index_options options = {.directory = path.text,
                                          .map_bytes = GIB(1),
                                          .run_events_count = RUN_EVENTS_COUNT,
                                          .store_id = "01890a5d-ac96-774b-bcce-b302099a8057"};
    struct problem problem = {.text = ""};
    cr_assert_eq(index_open(&options, &index_under_test, &problem).failure, FAILURE_NONE, "%s", problem.text);
    for (uint32_t index = 0; index < STREAMS_COUNT; index++) (void)snprintf(streams[index], 16, "stream-%u", index);
    for (uint32_t index = 0; index < TYPES_COUNT; index++) (void)snprintf(types[index], 16, "Type%u", index);
    for (uint32_t index = 0; index < TAGS_COUNT; index++) (void)snprintf(tags[index], 16, "tag:%u", index);
    uint64_t revisions[STREAMS_COUNT] = {0};
    for (uint64_t position = 1; position <= EVENTS_COUNT; position++) event_make(position, revisions);
}

static void teardown(void) {
    for (uint64_t position = 1; position <= EVENTS_COUNT; position++) free((void *)(uintptr_t)records[position].data);
    index_close(index_under_test);
    temporary_directory_remove(&directory);
}

TestSuite(postings, .init = setup, .fini = teardown);

static bool matches(const struct filter *filter, uint64_t position) {
    bool is_match = false;
    cr_assert_eq(filter_match(filter, records[position], &is_match).failure, FAILURE_NONE);
    return is_match;
}

/* The next match by looking at every event; 0: there is none. */
static uint64_t next_scanned(const struct filter *filter, uint64_t position, enum index_direction direction) {
    while (position > 0 && position <= EVENTS_COUNT && !matches(filter, position)) {
        position += direction == INDEX_FORWARD ? 1 : UINT64_MAX;
    }
    return position > EVENTS_COUNT ? 0 : position;
}

/* The next match among the candidates. */
static uint64_t next_posted(struct postings *postings, const struct filter *filter, uint64_t position,
                            enum index_direction direction) {
    for (;;) {
        uint64_t candidate = UINT64_MAX;
        cr_assert_eq(postings_seek(postings, position, &candidate).failure, FAILURE_NONE);
        if (candidate == 0 || matches(filter, candidate)) return candidate;
        cr_assert(direction == INDEX_FORWARD ? candidate >= position : candidate <= position);
        if (candidate == 1 && direction == INDEX_BACKWARD) return 0;
        position = direction == INDEX_FORWARD ? candidate + 1 : candidate - 1;
    }
}

/* Walks from `position` to the end, now and then with a leap, and compares. */
static void expect_same(const struct filter *filter, uint64_t position, enum index_direction direction) {
    struct postings *postings;
    cr_assert(postings_serve(filter));
    cr_assert_eq(postings_new(index_under_test, filter, direction, &postings).failure, FAILURE_NONE);
    while (position > 0 && position <= EVENTS_COUNT) {
        const uint64_t expected = next_scanned(filter, position, direction);
        const uint64_t found = next_posted(postings, filter, position, direction);
        cr_assert_eq(found, expected, "from %" PRIu64 ": %" PRIu64 " instead of %" PRIu64, position, found, expected);
        if (found == 0) break;
        const uint64_t leap = random_below(&chance, 8) == 0 ? 1 + random_below(&chance, 400) : 1;
        if (direction == INDEX_FORWARD) {
            position = found + leap;
        } else {
            position = found > leap ? found - leap : 0;
        }
    }
    cr_assert_null(postings_free(postings));
}

static void expect_same_both_ways(const struct filter_clause *clauses, uint32_t count) {
    struct filter *filter;
    cr_assert_eq(filter_new(clauses, count, &filter).failure, FAILURE_NONE);
    expect_same(filter, 1, INDEX_FORWARD);
    expect_same(filter, 1 + random_below(&chance, EVENTS_COUNT), INDEX_FORWARD);
    expect_same(filter, EVENTS_COUNT, INDEX_BACKWARD);
    expect_same(filter, 1 + random_below(&chance, EVENTS_COUNT), INDEX_BACKWARD);
    filter_free(filter);
}

/* Up to `count_max` different names of a kind, perhaps none. */
static struct filter_names names_pick(char (*names)[16], uint32_t names_count, uint32_t count_max,
                                      struct bytes *ret_views) {
    const uint32_t count = (uint32_t)random_below(&chance, count_max + 1);
    const uint32_t first = (uint32_t)random_below(&chance, names_count - count_max);
    for (uint32_t index = 0; index < count; index++) ret_views[index] = bytes_of_text(names[first + index]);
    return (struct filter_names){.names = ret_views, .count = count};
}

Test(postings, random_filters_find_what_a_scan_finds) {
    for (uint32_t round = 0; round < 150; round++) {
        struct bytes views[3][8];
        struct filter_clause clauses[3] = {0};
        uint32_t count = 0;
        for (uint32_t clause = 0; clause < 3; clause++) {
            clauses[count].types = names_pick(types, TYPES_COUNT, 2, views[clause]);
            clauses[count].tags = names_pick(tags, TAGS_COUNT, 2, views[clause] + 2);
            clauses[count].streams = names_pick(streams, STREAMS_COUNT, 3, views[clause] + 4);
            if (clauses[count].types.count + clauses[count].tags.count + clauses[count].streams.count > 0) count++;
        }
        if (count > 0) expect_same_both_ways(clauses, count);
    }
}

Test(postings, a_prefix_beside_a_name_is_left_to_the_match) {
    const struct bytes tag = bytes_of_text(tags[0]);
    const struct bytes prefix = bytes_of_text("stream-1");
    const struct filter_clause clause = {.tags = {&tag, 1}, .stream_prefixes = {&prefix, 1}};
    expect_same_both_ways(&clause, 1);
}

Test(postings, a_name_that_is_nowhere_has_no_positions) {
    const struct bytes views[] = {bytes_of_text(tags[0]), bytes_of_text("nowhere")};
    const struct filter_clause clause = {.tags = {views, 2}};
    expect_same_both_ways(&clause, 1);
}

Test(postings, only_filters_with_a_name_in_every_clause_are_served) {
    const struct bytes name = bytes_of_text("Type");
    const struct filter_clause clauses[] = {{.tags = {&name, 1}}, {.type_prefixes = {&name, 1}}};
    struct filter *filter;
    cr_assert_not(postings_serve(NULL), "everything");
    cr_assert_eq(filter_new(clauses, 1, &filter).failure, FAILURE_NONE);
    cr_assert(postings_serve(filter));
    filter_free(filter);
    cr_assert_eq(filter_new(clauses, 2, &filter).failure, FAILURE_NONE);
    cr_assert_not(postings_serve(filter));
    filter_free(filter);
    cr_assert_eq(filter_new(NULL, 0, &filter).failure, FAILURE_NONE);
    cr_assert_not(postings_serve(filter));
    filter_free(filter);
}
