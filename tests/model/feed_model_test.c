/* The model test: random appends, reads and subscriptions against a plain list, through restarts.
 *
 * Checked at every step: order, no gap, no duplicate, the very bytes; that responses end where appends end; that positions
 * and marks are true; what is refused and why. The tail and the runs of the index are tiny, so that every hand-off between
 * memory and disk happens all the time. DAYBOOK_TEST_SEED replays a run, DAYBOOK_MODEL_STEPS makes it longer. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/feed/feed.h"
#include "service/record/filter.h"
#include "tests/model/feed_world.h"
#include "tests/model/responses.h"

#define STEPS_COUNT  3000
#define HEARTBEAT_MS 100
#define PATIENCE_MS  60000

/* --- Subscribers. ------------------------------------------------------------------------------------------------------- */

/* Checks a response against what the subscriber must see next. */
static void response_check(struct feed_world *world, struct feed_subscriber *subscriber, struct feed_message message) {
    enum { POSITION = 2, HEAD = 3, CAUGHT_UP = 4 };
    struct response response = response_read(bytes_of(message.data, message.size));
    const uint64_t position = response.fields[POSITION];
    struct bytes record;
    cr_assert_geq(position, subscriber->position);
    cr_assert_leq(response.fields[HEAD], world->model->head);
    while (response_take(&response, &record)) {
        const uint64_t expected = model_next(world->model, subscriber->delivered, &subscriber->wanted);
        cr_assert_eq(model_check_record(world->model, record), expected);
        cr_assert_leq(expected, position);
        subscriber->delivered = expected;
    }
    const uint64_t next = model_next(world->model, subscriber->delivered, &subscriber->wanted);
    cr_assert(next == 0 || next > position, "position %lu was passed over", (unsigned long)next);
    if (position > subscriber->position && position <= world->model->head) {
        cr_assert(world->model->events[position - 1].ends_append, "position %lu splits an append",
                  (unsigned long)position);
    }
    if (subscriber->delivered < position) subscriber->delivered = position;
    subscriber->position = position;
    subscriber->caught_up = subscriber->caught_up || response.fields[CAUGHT_UP] != 0;
    if (response.fields[CAUGHT_UP] != 0) cr_assert_geq(position, response.fields[HEAD]);
    world->responses_count++;
}

static void subscriber_open(struct feed_world *world, struct feed_subscriber *subscriber, uint64_t after,
                            bool from_end) {
    reader_init(&subscriber->reader, random_below(&world->random, 2) == 0);
    subscriber->filter = feed_filter_make(&subscriber->wanted);
    subscriber->caught_up = false;
    subscriber->position = from_end ? world->model->head : after;
    subscriber->delivered = subscriber->position;
    const struct subscribe_options options = {
        .after = after, .from_end = from_end, .heartbeat_ms = HEARTBEAT_MS, .filter = subscriber->filter};
    cr_assert_not(
        failed(feed_subscribe(world->feed, &options, &reader_sink, &subscriber->reader, &subscriber->reader.reading)));
    subscriber->open = true;
}

static void subscriber_close(struct feed_subscriber *subscriber) {
    reader_finish(&subscriber->reader);
    subscriber->filter = filter_free(subscriber->filter);
    subscriber->open = false;
}

static void subscriber_take(struct feed_world *world, struct feed_subscriber *subscriber, uint32_t count) {
    for (uint32_t index = 0; index < count; index++) {
        struct feed_message message;
        reader_let_go(&subscriber->reader);
        if (!reader_receive(&subscriber->reader, 0, &message)) return;
        response_check(world, subscriber, message);
        message.release(message.context);
    }
}

static void step_subscriber(struct feed_world *world) {
    struct feed_subscriber *subscriber = &world->subscribers[random_below(&world->random, FEED_SUBSCRIBERS_COUNT)];
    if (!subscriber->open) {
        subscriber->wanted = feed_filter_wanted(world);
        const bool from_end = random_below(&world->random, 4) == 0;
        subscriber_open(world, subscriber, random_below(&world->random, world->model->head + 1), from_end);
    } else if (random_below(&world->random, 8) == 0) {
        subscriber_close(subscriber);
    } else {
        subscriber_take(world, subscriber, 1 + (uint32_t)random_below(&world->random, 8));
    }
}

/* Lets every subscriber come to the head: nothing may be missing then. */
static void subscribers_settle(struct feed_world *world) {
    for (uint32_t index = 0; index < FEED_SUBSCRIBERS_COUNT; index++) {
        struct feed_subscriber *subscriber = &world->subscribers[index];
        while (subscriber->open && (subscriber->position < world->model->head || !subscriber->caught_up)) {
            struct feed_message message;
            reader_let_go(&subscriber->reader);
            cr_assert(reader_receive(&subscriber->reader, PATIENCE_MS, &message), "a subscriber hangs at %lu of %lu",
                      (unsigned long)subscriber->position, (unsigned long)world->model->head);
            response_check(world, subscriber, message);
            message.release(message.context);
        }
    }
}

/* --- The run. ----------------------------------------------------------------------------------------------------------- */

/* Subscribers go on after the restart where they were, as the daemon's clients do. */
static void step_restart(struct feed_world *world) {
    bool open[FEED_SUBSCRIBERS_COUNT];
    if (random_below(&world->random, 2) == 0) subscribers_settle(world);
    for (uint32_t index = 0; index < FEED_SUBSCRIBERS_COUNT; index++) {
        open[index] = world->subscribers[index].open;
        if (open[index]) subscriber_close(&world->subscribers[index]);
    }
    feed_rooms_close(world);
    feed_rooms_open(world);
    for (uint32_t index = 0; index < FEED_SUBSCRIBERS_COUNT; index++) {
        struct feed_subscriber *subscriber = &world->subscribers[index];
        if (open[index]) subscriber_open(world, subscriber, subscriber->position, false);
    }
}

static void step(struct feed_world *world) {
    const uint64_t choice = random_below(&world->random, 100);
    if (choice < 30) {
        feed_step_append_one(world);
    } else if (choice < 40) {
        feed_step_append_many(world);
    } else if (choice < 80) {
        step_subscriber(world);
    } else if (choice < 98) {
        feed_step_read(world);
    } else if (choice < 99) {
        subscribers_settle(world);
    } else {
        step_restart(world);
    }
}

static uint64_t steps_count(void) {
    const char *text = getenv("DAYBOOK_MODEL_STEPS");
    return text == NULL ? STEPS_COUNT : strtoull(text, NULL, 10);
}

Test(feed_model, everything_equals_the_list, .timeout = 600) {
    struct feed_world *world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    world->random = random_start("feed_model");
    world->directory = temporary_directory_make();
    world->model = model_new();
    sem_init(&world->done, 0, 0);
    feed_rooms_open(world);
    for (uint64_t count = steps_count(); count > 0; count--) step(world);
    subscribers_settle(world);
    for (uint32_t index = 0; index < FEED_SUBSCRIBERS_COUNT; index++) {
        if (world->subscribers[index].open) subscriber_close(&world->subscribers[index]);
    }
    const struct feed_counts counts = feed_count(world->feed);
    (void)fprintf(stderr, "feed_model: %lu appends, %lu conflicts, %lu events, %lu responses checked\n",
                  (unsigned long)world->appends_count, (unsigned long)world->conflicts_count,
                  (unsigned long)world->model->head, (unsigned long)world->responses_count);
    cr_assert_eq(counts.subscriptions_count, 0);
    cr_assert_eq(counts.reads_count, 0);
    feed_rooms_close(world);
    model_free(world->model);
    temporary_directory_remove(&world->directory);
    sem_destroy(&world->done);
    free(world);
}
