/* Conditions against a look at every event, through groups of requests that exclude each other. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "service/commit/committer.h"
#include "service/record/filter.h"
#include "tests/support/random.h"
#include "tests/unit/service/commit/appends.h"

#define GROUPS_COUNT       300
#define GROUP_APPENDS_MAX  6
#define APPEND_EVENTS_MAX  3
#define TYPES_COUNT        4
#define TAGS_COUNT         10
#define STREAMS_COUNT      5
#define EVENTS_COUNT_LIMIT (GROUPS_COUNT * GROUP_APPENDS_MAX * APPEND_EVENTS_MAX)

static const char *const types[TYPES_COUNT] = {"Opened", "Closed", "Sold", "Paid"};
static const char *const tags[TAGS_COUNT] = {"t:0", "t:1", "t:2", "t:3", "t:4", "t:5", "t:6", "t:7", "t:8", "t:9"};
static const char *const streams[STREAMS_COUNT] = {"a-1", "a-2", "b-1", "b-2", "c"};

/* An event, and a clause: the bits of a clause's types and streams are any of, those of its tags all of; 0: not set. */
struct event {
    uint32_t stream;
    uint32_t type;
    uint32_t tags;
};
struct clause {
    uint32_t streams;
    uint32_t types;
    uint32_t tags;
};

static struct rooms rooms;
static struct committer committer;
static struct random chance;
static struct event events[EVENTS_COUNT_LIMIT + 1]; /* what is there, by position */
static uint64_t head;

static void begin(void) {
    cr_assert_eq(committer_init(&committer, rooms.store, rooms.index, &appends_listener).failure, FAILURE_NONE);
}

static void setup(void) {
    chance = random_start("conditions_test");
    rooms = rooms_open();
    begin();
}

static void teardown(void) {
    committer_deinit(&committer);
    rooms_close(&rooms);
}

TestSuite(conditions, .init = setup, .fini = teardown);

/* A request, the condition it carries, and what the plain rules say of it. */
struct plan {
    struct append *append;
    struct event events[APPEND_EVENTS_MAX];
    uint32_t events_count;
    struct clause clauses[2];
    uint32_t clauses_count;
    struct append_condition condition;
    struct filter *filter;
};

static bool clause_matches(const struct clause *clause, const struct event *event) {
    return (clause->streams == 0 || (clause->streams >> event->stream & 1) != 0) &&
           (clause->types == 0 || (clause->types >> event->type & 1) != 0) &&
           (event->tags & clause->tags) == clause->tags;
}

/* The first violation, by looking at every event; 0: none. */
static uint64_t violation_of(const struct plan *plan) {
    for (uint64_t position = plan->condition.after + 1; position <= head; position++) {
        if (plan->clauses_count == 0) return position;
        for (uint32_t index = 0; index < plan->clauses_count; index++) {
            if (clause_matches(&plan->clauses[index], &events[position])) return position;
        }
    }
    return 0;
}

static struct filter_names names_of(uint32_t bits, const char *const *names, uint32_t count, struct bytes *ret_views) {
    uint32_t filled = 0;
    for (uint32_t index = 0; index < count; index++) {
        if ((bits >> index & 1) != 0) ret_views[filled++] = bytes_of_text(names[index]);
    }
    return (struct filter_names){.names = ret_views, .count = filled};
}

/* One or two bits of so many, or none. */
static uint32_t bits_pick(uint32_t count) {
    if (random_below(&chance, 2) == 0) return 0;
    const uint32_t bits = 1u << random_below(&chance, count);
    return random_below(&chance, 3) == 0 ? bits | 1u << random_below(&chance, count) : bits;
}

static void filter_make(struct plan *plan) {
    struct bytes views[2][TYPES_COUNT + TAGS_COUNT + STREAMS_COUNT];
    struct filter_clause made[2];
    if (plan->clauses_count == 0) return;
    for (uint32_t index = 0; index < plan->clauses_count; index++) {
        const struct clause *clause = &plan->clauses[index];
        made[index] = (struct filter_clause){
            .types = names_of(clause->types, types, TYPES_COUNT, views[index]),
            .tags = names_of(clause->tags, tags, TAGS_COUNT, views[index] + TYPES_COUNT),
            .streams = names_of(clause->streams, streams, STREAMS_COUNT, views[index] + TYPES_COUNT + TAGS_COUNT)};
    }
    cr_assert_eq(filter_new(made, plan->clauses_count, &plan->filter).failure, FAILURE_NONE);
}

static void condition_plan(struct plan *plan) {
    const uint32_t clauses_count =
        (uint32_t)random_below(&chance, 20) == 0 ? 0 : 1 + (uint32_t)random_below(&chance, 2);
    while (plan->clauses_count < clauses_count) {
        const struct clause clause = {
            .streams = bits_pick(STREAMS_COUNT), .types = bits_pick(TYPES_COUNT), .tags = bits_pick(TAGS_COUNT)};
        if ((clause.streams | clause.types | clause.tags) != 0) plan->clauses[plan->clauses_count++] = clause;
    }
    filter_make(plan);
    /* Mostly a recent head, as of one who has just read. */
    const uint64_t back = random_below(&chance, 4) == 0 ? random_below(&chance, head + 1) : random_below(&chance, 5);
    plan->condition = (struct append_condition){.filter = plan->filter, .after = head > back ? head - back : 0};
    append_condition_set(plan->append, &plan->condition);
}

static void plan_make(struct plan *plan) {
    *plan =
        (struct plan){.append = append_new(), .events_count = 1 + (uint32_t)random_below(&chance, APPEND_EVENTS_MAX)};
    for (uint32_t index = 0; index < plan->events_count; index++) {
        struct event *event = &plan->events[index];
        *event = (struct event){.stream = (uint32_t)random_below(&chance, STREAMS_COUNT),
                                .type = (uint32_t)random_below(&chance, TYPES_COUNT),
                                .tags = bits_pick(TAGS_COUNT)};
        const char *names[TAGS_COUNT];
        uint32_t names_count = 0;
        for (uint32_t tag = 0; tag < TAGS_COUNT; tag++) {
            if ((event->tags >> tag & 1) != 0) names[names_count++] = tags[tag];
        }
        append_event_add(plan->append, streams[event->stream], types[event->type], names, names_count);
    }
    if (random_below(&chance, 4) != 0) condition_plan(plan);
}

static void plan_check(struct plan *plan) {
    const struct append_request *request = append_request_of(plan->append);
    const uint64_t violation = request->condition == NULL ? 0 : violation_of(plan);
    if (violation == 0) {
        cr_assert_eq(request->outcome, APPEND_COMMITTED, "a false conflict at head %" PRIu64, head);
        for (uint32_t index = 0; index < plan->events_count; index++) events[++head] = plan->events[index];
        return;
    }
    cr_assert_eq(request->outcome, APPEND_CONDITION_FAILED, "a missed conflict at head %" PRIu64, head);
    cr_assert_eq(request->conflicts_count, 1);
    cr_assert_eq(request->conflicts[0].kind, CONFLICT_CONDITION);
    cr_assert_eq(request->conflicts[0].actual, violation);
}

static void commit(struct plan *plans, uint32_t count) {
    struct log_group group = {.requests = {.first = append_request_of(plans[0].append), .requests_count = count},
                              .now_ns = 1700000000000000000};
    for (uint32_t index = 0; index < count; index++) {
        struct append_request *request = append_request_of(plans[index].append);
        request->next = index + 1 < count ? append_request_of(plans[index + 1].append) : NULL;
        group.requests.events_count += request->events_count;
        group.requests.size_bytes += request->size_bytes;
    }
    uint32_t events_count;
    cr_assert_eq(committer_commit(&committer, &group, &events_count).failure, FAILURE_NONE);
}

static void restart(void) {
    committer_deinit(&committer);
    rooms_reopen(&rooms);
    begin();
}

Test(conditions, no_false_conflict_and_no_missed_one) {
    uint32_t refused_count = 0;
    for (uint32_t group = 0; group < GROUPS_COUNT; group++) {
        struct plan plans[GROUP_APPENDS_MAX];
        const uint32_t count = 1 + (uint32_t)random_below(&chance, GROUP_APPENDS_MAX);
        for (uint32_t index = 0; index < count; index++) plan_make(&plans[index]);
        commit(plans, count);
        for (uint32_t index = 0; index < count; index++) {
            plan_check(&plans[index]);
            if (append_request_of(plans[index].append)->outcome == APPEND_CONDITION_FAILED) refused_count++;
            filter_free(plans[index].filter);
            append_free(plans[index].append);
        }
        if (random_below(&chance, 50) == 0) restart();
    }
    cr_assert_eq(store_position_last(rooms.store), head);
    cr_assert_gt(refused_count, GROUPS_COUNT / 10, "the test must see conflicts");
    cr_assert_gt(head, GROUPS_COUNT / 2, "and events");
}

/* Two who claim the same name at the same time: whatever the order, one of them gets it. */
Test(conditions, requests_of_a_group_that_exclude_each_other) {
    const struct bytes tag = bytes_of_text(tags[0]);
    const struct filter_clause clause = {.tags = {&tag, 1}};
    struct filter *filter;
    cr_assert_eq(filter_new(&clause, 1, &filter).failure, FAILURE_NONE);
    struct plan plans[2] = {{.append = append_new()}, {.append = append_new()}};
    for (uint32_t index = 0; index < 2; index++) {
        plans[index].condition = (struct append_condition){.filter = filter};
        append_event_add(plans[index].append, streams[index], "Claimed", tags, 1);
        append_condition_set(plans[index].append, &plans[index].condition);
    }
    commit(plans, 2);
    cr_assert_eq(append_request_of(plans[0].append)->outcome, APPEND_COMMITTED);
    cr_assert_eq(append_request_of(plans[1].append)->outcome, APPEND_CONDITION_FAILED);
    cr_assert_eq(append_request_of(plans[1].append)->conflicts[0].actual, 1);
    for (uint32_t index = 0; index < 2; index++) append_free(plans[index].append);
    filter_free(filter);
}
