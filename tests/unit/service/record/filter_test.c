#include "service/record/filter.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "service/base/limits.h"
#include "tests/support/events.h"
#include "tests/support/random.h"

#define FILTERS_COUNT  3000
#define RECORDS_COUNT  40
#define ALPHABET_COUNT 8
#define NAMES_MAX      4
#define CLAUSES_MAX    4

/* Few names, many of them prefixes of others, so that random filters and records meet often. */
static const char *const ALPHABET[ALPHABET_COUNT] = {"a", "ab", "abc", "order-", "order-4", "order-42", "b", "order"};

struct names {
    struct bytes names[NAMES_MAX];
    uint32_t count;
};

struct plain_event {
    const char *stream;
    const char *type;
    const char *tags[NAMES_MAX];
    uint32_t tags_count;
};

static const char *any_name(struct random *random) {
    return ALPHABET[random_below(random, ALPHABET_COUNT)];
}

static struct bytes record_of(const struct plain_event *event, uint8_t *buffer, size_t capacity) {
    uint8_t encoded[512];
    const struct event_parts parts = {
        .id = EVENTS_ID, .type = event->type, .tags = event->tags, .tags_count = event->tags_count};
    const struct record record = {
        .position = 1,
        .stream = bytes_of_text(event->stream),
        .revision = 1,
        .recorded_ns = 1,
        .event = event_encode(&parts, encoded, sizeof encoded),
    };
    return event_record_encode(&record, buffer, capacity);
}

static bool matches(const struct filter_clause *clauses, uint32_t count, const struct plain_event *event) {
    uint8_t buffer[1024];
    struct filter *filter = NULL;
    bool found = false;
    cr_assert_eq(filter_new(clauses, count, &filter).failure, FAILURE_NONE);
    cr_assert_eq(filter_match(filter, record_of(event, buffer, sizeof buffer), &found).failure, FAILURE_NONE);
    cr_assert_null(filter_free(filter));
    return found;
}

static struct filter_names one(const struct bytes *name) {
    return (struct filter_names){.names = name, .count = 1};
}

static const struct plain_event SOLD = {
    .stream = "order-42", .type = "ProductSold", .tags = {"country:FR", "product:7"}, .tags_count = 2};

Test(filter, without_clauses_everything_matches) {
    cr_assert(matches(NULL, 0, &SOLD));
}

Test(filter, each_field_alone) {
    const struct bytes stream = bytes_of_text("order-42");
    const struct bytes category = bytes_of_text("order-");
    const struct bytes type = bytes_of_text("ProductSold");
    const struct bytes type_prefix = bytes_of_text("Product");
    const struct bytes tag = bytes_of_text("product:7");
    const struct bytes other = bytes_of_text("Sold");
    cr_assert(matches(&(struct filter_clause){.streams = one(&stream)}, 1, &SOLD));
    cr_assert(matches(&(struct filter_clause){.stream_prefixes = one(&category)}, 1, &SOLD));
    cr_assert(matches(&(struct filter_clause){.types = one(&type)}, 1, &SOLD));
    cr_assert(matches(&(struct filter_clause){.type_prefixes = one(&type_prefix)}, 1, &SOLD));
    cr_assert(matches(&(struct filter_clause){.tags = one(&tag)}, 1, &SOLD));
    cr_assert_not(matches(&(struct filter_clause){.streams = one(&category)}, 1, &SOLD));
    cr_assert_not(matches(&(struct filter_clause){.stream_prefixes = one(&other)}, 1, &SOLD));
    cr_assert_not(matches(&(struct filter_clause){.types = one(&type_prefix)}, 1, &SOLD));
    cr_assert_not(matches(&(struct filter_clause){.type_prefixes = one(&other)}, 1, &SOLD));
    cr_assert_not(matches(&(struct filter_clause){.tags = one(&other)}, 1, &SOLD));
}

static bool naive_any(struct filter_names names, const char *text, bool as_prefix) {
    bool found = names.count == 0;
    for (uint32_t index = 0; index < names.count; index++) {
        const size_t size = names.names[index].size;
        const bool begins = strncmp((const char *)names.names[index].data, text, size) == 0 && strlen(text) >= size;
        found = found || (as_prefix ? begins : begins && strlen(text) == size);
    }
    return found;
}

static bool naive_all(struct filter_names names, const struct plain_event *event) {
    uint32_t found_count = 0;
    for (uint32_t index = 0; index < names.count; index++) {
        bool found = false;
        for (uint32_t tag = 0; tag < event->tags_count; tag++) {
            const struct bytes text = bytes_of_text(event->tags[tag]);
            found = found || bytes_equal(text, names.names[index]);
        }
        found_count += found ? 1 : 0;
    }
    return found_count == names.count;
}

static bool naive_match(const struct filter_clause *clauses, uint32_t count, const struct plain_event *event) {
    bool any = count == 0;
    for (uint32_t index = 0; index < count; index++) {
        const bool streams = naive_any(clauses[index].streams, event->stream, false);
        const bool stream_prefixes = naive_any(clauses[index].stream_prefixes, event->stream, true);
        const bool types = naive_any(clauses[index].types, event->type, false);
        const bool type_prefixes = naive_any(clauses[index].type_prefixes, event->type, true);
        const bool tags = naive_all(clauses[index].tags, event);
        any = any || (streams && stream_prefixes && types && type_prefixes && tags);
    }
    return any;
}

static struct filter_names random_names(struct random *random, struct names *storage) {
    storage->count = random_below(random, 3) == 0 ? 1 + (uint32_t)random_below(random, NAMES_MAX) : 0;
    for (uint32_t index = 0; index < storage->count; index++) storage->names[index] = bytes_of_text(any_name(random));
    return (struct filter_names){.names = storage->names, .count = storage->count};
}

static uint32_t random_clauses(struct random *random, struct filter_clause *ret_clauses,
                               struct names storage[CLAUSES_MAX][5]) {
    const uint32_t count = (uint32_t)random_below(random, CLAUSES_MAX + 1);
    for (uint32_t index = 0; index < count; index++) {
        struct filter_clause *clause = &ret_clauses[index];
        do {
            *clause = (struct filter_clause){
                .types = random_names(random, &storage[index][0]),
                .tags = random_names(random, &storage[index][1]),
                .streams = random_names(random, &storage[index][2]),
                .stream_prefixes = random_names(random, &storage[index][3]),
                .type_prefixes = random_names(random, &storage[index][4]),
            };
        } while (clause->types.count + clause->tags.count + clause->streams.count + clause->stream_prefixes.count +
                     clause->type_prefixes.count ==
                 0);
    }
    return count;
}

Test(filter, random_filters_equal_a_naive_matcher) {
    struct random random = random_start("filter");
    uint32_t matches_count = 0;
    for (uint32_t round = 0; round < FILTERS_COUNT; round++) {
        struct names storage[CLAUSES_MAX][5];
        struct filter_clause clauses[CLAUSES_MAX];
        const uint32_t count = random_clauses(&random, clauses, storage);
        struct filter *filter = NULL;
        cr_assert_eq(filter_new(clauses, count, &filter).failure, FAILURE_NONE);
        for (uint32_t number = 0; number < RECORDS_COUNT; number++) {
            struct plain_event event = {.stream = any_name(&random), .type = any_name(&random)};
            event.tags_count = (uint32_t)random_below(&random, NAMES_MAX + 1);
            for (uint32_t tag = 0; tag < event.tags_count; tag++) event.tags[tag] = any_name(&random);
            uint8_t buffer[1024];
            bool found = false;
            cr_assert_eq(filter_match(filter, record_of(&event, buffer, sizeof buffer), &found).failure, FAILURE_NONE);
            cr_assert_eq(found, naive_match(clauses, count, &event), "filter %u, event %u", round, number);
            matches_count += found ? 1 : 0;
        }
        filter_free(filter);
    }
    /* Neither answer is the rule, or the comparison would prove little. */
    cr_assert(matches_count > FILTERS_COUNT * RECORDS_COUNT / 10 &&
              matches_count < FILTERS_COUNT * RECORDS_COUNT * 9 / 10);
}

Test(filter, keeps_its_own_copy) {
    char type[] = "ProductSold";
    const struct bytes name = bytes_of_text(type);
    struct filter *filter = NULL;
    cr_assert_eq(filter_new(&(struct filter_clause){.types = one(&name)}, 1, &filter).failure, FAILURE_NONE);
    memset(type, 'x', sizeof type);
    uint8_t buffer[1024];
    bool found = false;
    cr_assert_eq(filter_match(filter, record_of(&SOLD, buffer, sizeof buffer), &found).failure, FAILURE_NONE);
    cr_assert(found);
    cr_assert_geq(filter_size_bytes(filter), sizeof type - 1);
    cr_assert_eq(filter_size_bytes(NULL), 0);
    filter_free(filter);
    cr_assert_null(filter_free(NULL));
}

Test(filter, the_largest_filter_works) {
    static struct bytes names[FILTER_CLAUSES_COUNT_MAX][CLAUSE_NAMES_COUNT_MAX];
    static char text[FILTER_CLAUSES_COUNT_MAX][CLAUSE_NAMES_COUNT_MAX][16];
    struct filter_clause clauses[FILTER_CLAUSES_COUNT_MAX] = {0};
    for (uint32_t index = 0; index < FILTER_CLAUSES_COUNT_MAX; index++) {
        for (uint32_t name = 0; name < CLAUSE_NAMES_COUNT_MAX; name++) {
            (void)snprintf(text[index][name], sizeof text[index][name], "type-%u-%u", index, name);
            names[index][name] = bytes_of_text(text[index][name]);
        }
        clauses[index].types = (struct filter_names){.names = names[index], .count = CLAUSE_NAMES_COUNT_MAX};
    }
    struct plain_event event = {.stream = "s", .type = "type-63-63"};
    cr_assert(matches(clauses, FILTER_CLAUSES_COUNT_MAX, &event));
    event.type = "type-63-64";
    cr_assert_not(matches(clauses, FILTER_CLAUSES_COUNT_MAX, &event));
}

Test(filter, what_is_no_record_is_corrupt) {
    const struct bytes type = bytes_of_text("ProductSold");
    struct filter *filter = NULL;
    bool found = true;
    cr_assert_eq(filter_new(&(struct filter_clause){.types = one(&type)}, 1, &filter).failure, FAILURE_NONE);
    cr_assert_eq(filter_match(filter, bytes_of_text("nonsense"), &found).failure, FAILURE_CORRUPT);
    const char broken_event[] = "\x08\x01\x12\x01s\x18\x01\x22\x00\x2a\x02\x12\x09";
    cr_assert_eq(filter_match(filter, bytes_of(broken_event, sizeof broken_event - 1), &found).failure,
                 FAILURE_CORRUPT);
    cr_assert(found, "untouched on failure");
    filter_free(filter);
}

Test(filter, a_clause_without_fields_is_a_programmer_error, .signal = SIGABRT) {
    struct filter *filter = NULL;
    (void)failed(filter_new(&(struct filter_clause){0}, 1, &filter));
}
