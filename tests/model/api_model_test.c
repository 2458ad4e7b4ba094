/* The model test of the whole API: random operations of several clients against a real server on a real store, through
 * restarts, every answer compared with a reference of plain arrays (api_reference.h). Time passes when the test lets it.
 *
 * DAYBOOK_TEST_SEED replays a run; DAYBOOK_API_OPERATIONS makes it longer (`make soak`): every 10,000 operations begin with
 * an empty store, because the reference scans. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/api_world.h"
#include "tests/support/wall_clock.h"

#define OPERATIONS_COUNT   10000
#define OUTCOMES_COUNT_MAX 12

/* How often an operation went how. */
struct outcome {
    const char *name;
    uint64_t count;
};

struct operation {
    const char *name;
    uint64_t weight;
    const char *(*run)(struct api_world *world);
    struct outcome outcomes[OUTCOMES_COUNT_MAX];
};

static struct operation operations[] = {
    {.name = "append", .weight = 380, .run = api_run_append},
    {.name = "append again", .weight = 80, .run = api_run_append_again},
    {.name = "append at once", .weight = 60, .run = api_run_append_at_once},
    {.name = "append many", .weight = 40, .run = api_run_append_many},
    {.name = "append wrongly", .weight = 20, .run = api_run_append_wrong},
    {.name = "read", .weight = 250, .run = api_run_read},
    {.name = "subscribe", .weight = 140, .run = api_run_subscribe},
    {.name = "head", .weight = 20, .run = api_run_head},
    {.name = "get a checkpoint", .weight = 20, .run = api_run_checkpoint},
    {.name = "list checkpoints", .weight = 20, .run = api_run_checkpoints},
    {.name = "get a stream", .weight = 20, .run = api_run_stream},
    {.name = "list streams", .weight = 20, .run = api_run_streams},
    {.name = "list types or tags", .weight = 20, .run = api_run_names},
    {.name = "update settings", .weight = 20, .run = api_run_settings},
    {.name = "delete a stream", .weight = 12, .run = api_run_delete},
    {.name = "erase events", .weight = 20, .run = api_run_erase},
    {.name = "let time pass", .weight = 20, .run = api_run_pass},
    {.name = "remove by retention", .weight = 6, .run = api_run_retention},
    {.name = "compact", .weight = 5, .run = api_run_compact},
    {.name = "reindex", .weight = 5, .run = api_run_reindex},
    {.name = "restart", .weight = 2, .run = api_run_restart},
};
#define OPERATIONS_KINDS_COUNT (sizeof operations / sizeof operations[0])

/* Subscribers go on after the restart where they were, as the clients of a daemon do. */
const char *api_run_restart(struct api_world *world) {
    bool open[API_SUBSCRIBERS_COUNT];
    const bool settles = api_one_in(world, 2);
    api_maintenance_end(world);
    if (settles) api_subscribers_settle(world);
    for (uint32_t index = 0; index < API_SUBSCRIBERS_COUNT; index++) {
        open[index] = world->subscribers[index].call != NULL;
        if (open[index]) api_subscriber_close(&world->subscribers[index]);
    }
    api_rooms_close(&world->rooms);
    api_rooms_open(&world->rooms);
    for (uint32_t index = 0; index < API_SUBSCRIBERS_COUNT; index++) {
        if (open[index]) api_subscriber_resume(world, &world->subscribers[index]);
    }
    return settles ? "after all had come to the head" : "OK";
}

static void outcome_count(struct operation *operation, const char *name) {
    for (uint32_t index = 0; index < OUTCOMES_COUNT_MAX; index++) {
        struct outcome *outcome = &operation->outcomes[index];
        if (outcome->name == NULL) outcome->name = name;
        if (strcmp(outcome->name, name) != 0) continue;
        outcome->count++;
        return;
    }
    cr_assert_fail("%s has too many outcomes", operation->name);
}

static struct operation *operation_choose(struct api_world *world) {
    uint64_t weights = 0;
    for (size_t index = 0; index < OPERATIONS_KINDS_COUNT; index++) weights += operations[index].weight;
    uint64_t choice = api_below(world, weights);
    size_t index = 0;
    while (choice >= operations[index].weight) choice -= operations[index++].weight;
    return &operations[index];
}

static void operation_run(struct api_world *world) {
    struct operation *operation = operation_choose(world);
    world->reference->operation++;
    world->arena = upb_Arena_New();
    cr_assert_not_null(world->arena);
    outcome_count(operation, operation->run(world));
    upb_Arena_Free(world->arena);
}

/* A store from its first event on. */
static void episode(struct api_world *world, uint64_t operations_count) {
    world->reference = reference_new();
    wall_clock_set(world->reference->now_ns);
    world->rooms.directory = temporary_directory_make();
    world->kept_count = 0;
    api_rooms_open(&world->rooms);
    while (operations_count-- > 0) operation_run(world);
    api_maintenance_end(world);
    api_subscribers_settle(world);
    for (uint32_t index = 0; index < API_SUBSCRIBERS_COUNT; index++) {
        if (world->subscribers[index].call != NULL) api_subscriber_close(&world->subscribers[index]);
    }
    api_rooms_close(&world->rooms);
    temporary_directory_remove(&world->rooms.directory);
    reference_free(world->reference);
}

static uint64_t operations_count(void) {
    const char *text = getenv("DAYBOOK_API_OPERATIONS");
    return text == NULL ? OPERATIONS_COUNT : strtoull(text, NULL, 10);
}

static void totals_print(const struct api_world *world, uint64_t total) {
    (void)fprintf(stderr, "api_model: %" PRIu64 " operations, %" PRIu64 " events of reads and subscriptions compared\n",
                  total, world->events_checked_count);
    for (size_t index = 0; index < OPERATIONS_KINDS_COUNT; index++) {
        const struct outcome *outcome = operations[index].outcomes;
        (void)fprintf(stderr, "  %-20s", operations[index].name);
        for (; outcome < operations[index].outcomes + OUTCOMES_COUNT_MAX && outcome->name != NULL; outcome++) {
            (void)fprintf(stderr, " %s %" PRIu64 ",", outcome->name, outcome->count);
        }
        (void)fprintf(stderr, "\n");
    }
}

Test(api_model, every_answer_equals_the_reference) {
    struct api_world *world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    world->random = random_start("api_model");
    const uint64_t total = operations_count();
    for (uint64_t left = total; left > 0;) {
        const uint64_t count = left < OPERATIONS_COUNT ? left : OPERATIONS_COUNT;
        episode(world, count);
        left -= count;
    }
    totals_print(world, total);
    for (size_t index = 0; index < OPERATIONS_KINDS_COUNT && total >= OPERATIONS_COUNT; index++) {
        cr_assert_not_null(operations[index].outcomes[0].name, "no %s", operations[index].name);
    }
    free(world);
}
