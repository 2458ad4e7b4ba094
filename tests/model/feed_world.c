#include "tests/model/feed_world.h"

#include <criterion/criterion.h>

#include "service/base/limits.h"
#include "service/commit/sequencer.h"
#include "service/feed/feed.h"
#include "service/record/filter.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/terms.h"

#define TAIL_BYTES       20000
#define RUN_EVENTS_COUNT 64

static void on_committed(void *context, struct chunk *chunk) {
    struct feed_world *world = context;
    feed_committed(world->feed, chunk);
}

static void on_rewritten(void *context) {
    const struct feed_world *world = context;
    feed_rewritten(world->feed);
}

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    cr_assert_fail("the store failed: %s", failure_name(failure));
}

void feed_rooms_open(struct feed_world *world) {
    struct problem problem;
    struct temporary_path index_path = temporary_path(&world->directory, "store/index");
    struct temporary_path path = temporary_path(&world->directory, "store");
    const struct store_options store_options = {.directory = path.text, .map_bytes = GIB(1)};
    cr_assert_not(failed(store_open(&store_options, &world->store, &problem)), "%s", problem.text);
    const struct index_options index_options = {.directory = index_path.text,
                                                .map_bytes = GIB(1),
                                                .run_events_count = RUN_EVENTS_COUNT,
                                                .store_id = store_id(world->store)};
    cr_assert_not(failed(index_open(&index_options, &world->index, &problem)), "%s", problem.text);
    cr_assert_not(failed(terms_catch_up(world->store, world->index)));
    const struct feed_options feed_options = {.store = world->store,
                                              .index = world->index,
                                              .head = store_position_last(world->store),
                                              .tail_bytes_max = TAIL_BYTES};
    cr_assert_not(failed(feed_open(&feed_options, &world->feed)));
    world->listener = (struct commit_listener){
        .committed = on_committed, .rewritten = on_rewritten, .storage_failed = on_storage_failed, .context = world};
    const struct sequencer_options sequencer_options = {
        .store = world->store, .index = world->index, .listener = &world->listener};
    cr_assert_not(failed(sequencer_open(&sequencer_options, &world->sequencer)));
    cr_assert_eq(feed_head(world->feed), world->model->head);
}

void feed_rooms_close(struct feed_world *world) {
    sequencer_close(world->sequencer);
    feed_close(world->feed);
    index_close(world->index);
    store_close(world->store);
}

/* --- Filters. --------------------------------------------------------------------------------------------------------- */

struct model_filter feed_filter_wanted(struct feed_world *world) {
    static const char *const prefixes[] = {"order", "order-", "order-2", "c"};
    struct model_filter wanted = {0};
    if (random_below(&world->random, 3) == 0) return wanted;
    if (random_below(&world->random, 3) == 0) wanted.streams = 1u << random_below(&world->random, MODEL_STREAMS_COUNT);
    if (random_below(&world->random, 3) == 0) wanted.types = 1u << random_below(&world->random, MODEL_TYPES_COUNT);
    if (random_below(&world->random, 3) == 0) wanted.tags = 1u << random_below(&world->random, MODEL_TAGS_COUNT);
    if (random_below(&world->random, 3) == 0) wanted.prefix = prefixes[random_below(&world->random, 4)];
    return wanted;
}

static uint32_t names_of(uint32_t set, const char *const *all, uint32_t count, struct bytes *ret_names) {
    uint32_t found = 0;
    for (uint32_t index = 0; index < count; index++) {
        if ((set & 1u << index) != 0) ret_names[found++] = bytes_of_text(all[index]);
    }
    return found;
}

struct filter *feed_filter_make(const struct model_filter *wanted) {
    struct bytes streams[MODEL_STREAMS_COUNT];
    struct bytes types[MODEL_TYPES_COUNT];
    struct bytes tags[MODEL_TAGS_COUNT];
    struct bytes prefix = bytes_of_text(wanted->prefix == NULL ? "" : wanted->prefix);
    const struct filter_clause clause = {
        .streams = {streams, names_of(wanted->streams, model_streams, MODEL_STREAMS_COUNT, streams)},
        .types = {types, names_of(wanted->types, model_types, MODEL_TYPES_COUNT, types)},
        .tags = {tags, names_of(wanted->tags, model_tags, MODEL_TAGS_COUNT, tags)},
        .stream_prefixes = {&prefix, wanted->prefix == NULL ? 0 : 1},
    };
    if (clause.streams.count + clause.types.count + clause.tags.count + clause.stream_prefixes.count == 0) return NULL;
    struct filter *filter;
    cr_assert_not(failed(filter_new(&clause, 1, &filter)));
    return filter;
}
