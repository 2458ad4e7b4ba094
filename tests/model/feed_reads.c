/* Finite reads: from anywhere, either way, filtered, limited; against a scan of the list. */
#include <criterion/criterion.h>

#include "service/feed/feed.h"
#include "service/record/filter.h"
#include "tests/model/feed_world.h"
#include "tests/model/responses.h"

/* Whether the event at a position belongs to the read. */
static bool read_wants(const struct feed_world *world, uint64_t position, const struct read_options *options,
                       const struct model_filter *wanted) {
    const struct model_event *event = &world->model->events[position - 1];
    if (!model_matches(event, wanted)) return false;
    const uint64_t number = options->stream.size > 0 ? event->revision : position;
    if (options->stream.size > 0 && !bytes_equal(options->stream, bytes_of_text(model_streams[event->stream]))) {
        return false;
    }
    if (options->from == 0) return true;
    return options->direction == READING_FORWARD ? number >= options->from : number <= options->from;
}

/* Compares everything the read brought with the list. */
static void read_check(struct feed_world *world, struct reader *reader, const struct read_options *options,
                       const struct model_filter *wanted) {
    const bool backward = options->direction == READING_BACKWARD;
    uint64_t position = backward ? world->model->head + 1 : 0;
    uint64_t left = options->limit == 0 ? UINT64_MAX : options->limit;
    struct feed_message message;
    while (reader_receive(reader, 0, &message)) {
        struct response response = response_read(bytes_of(message.data, message.size));
        struct bytes record;
        cr_assert_eq(response.fields[2], world->model->head);
        while (response_take(&response, &record)) {
            do position += backward ? (uint64_t)-1 : 1;
            while (position >= 1 && position <= world->model->head && !read_wants(world, position, options, wanted));
            cr_assert_gt(left, 0);
            cr_assert_eq(model_check_record(world->model, record), position);
            left--;
        }
        message.release(message.context);
    }
    for (; left > 0;) {
        position += backward ? (uint64_t)-1 : 1;
        if (position < 1 || position > world->model->head) break;
        cr_assert_not(read_wants(world, position, options, wanted), "position %lu is missing", (unsigned long)position);
    }
}

void feed_step_read(struct feed_world *world) {
    struct model_filter wanted =
        random_below(&world->random, 2) == 0 ? feed_filter_wanted(world) : (struct model_filter){0};
    struct filter *filter = feed_filter_make(&wanted);
    const uint32_t stream = (uint32_t)random_below(&world->random, MODEL_STREAMS_COUNT);
    const bool has_stream = random_below(&world->random, 2) == 0;
    const uint64_t span = has_stream ? world->model->revisions[stream] : world->model->head;
    const struct read_options options = {
        .stream = has_stream ? bytes_of_text(model_streams[stream]) : bytes_of(NULL, 0),
        .from = random_below(&world->random, 2) == 0 ? 0 : random_below(&world->random, span + 3),
        .direction = random_below(&world->random, 2) == 0 ? READING_FORWARD : READING_BACKWARD,
        .limit = random_below(&world->random, 2) == 0 ? 0 : random_below(&world->random, 40),
        .filter = filter};
    struct reader reader;
    reader_init(&reader, random_below(&world->random, 2) == 0);
    cr_assert_not(failed(feed_read(world->feed, &options, &reader_sink, &reader, &reader.reading)));
    reader_wait_end(&reader);
    if (has_stream && world->model->revisions[stream] == 0) {
        cr_assert_eq(reader.failure, FAILURE_NOT_FOUND);
    } else {
        cr_assert_eq(reader.failure, FAILURE_NONE, "%s", failure_name(reader.failure));
        cr_assert_not_null(reader.first, "a read sends at least its head");
        read_check(world, &reader, &options, &wanted);
    }
    reader_finish(&reader);
    filter_free(filter);
}
