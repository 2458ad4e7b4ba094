#include "tests/model/api_world.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#include "sdk/runtime/codec.h"
#include "service/api/append_streams.h"
#include "service/api/lists.h"
#include "service/base/limits.h"
#include "service/commit/compactor.h"
#include "service/commit/sequencer.h"
#include "service/feed/feed.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/terms.h"

#define MAP_BYTES        MIB(256)
#define RUN_EVENTS_COUNT 64
#define TAIL_BYTES       20000

/* --- Rooms. -------------------------------------------------------------------------------------------------------------- */

static void on_committed(void *context, struct chunk *chunk) {
    const struct api_rooms *rooms = context;
    feed_committed(rooms->feed, chunk);
}

static void on_rewritten(void *context) {
    const struct api_rooms *rooms = context;
    feed_rewritten(rooms->feed);
}

static void on_storage_failed(void *context, enum failure failure) {
    (void)context;
    cr_assert_fail("the store failed: %s", failure_name(failure));
}

static void store_and_index_open(struct api_rooms *rooms) {
    struct problem problem;
    const struct temporary_path path = temporary_path(&rooms->directory, "data");
    const struct temporary_path index_path = temporary_path(&rooms->directory, "data/index");
    const struct store_options store_options = {.directory = path.text, .map_bytes = MAP_BYTES};
    cr_assert_not(failed(store_open(&store_options, &rooms->store, &problem)), "%s", problem.text);
    const struct index_options index_options = {.directory = index_path.text,
                                                .map_bytes = MAP_BYTES,
                                                .run_events_count = RUN_EVENTS_COUNT,
                                                .store_id = store_id(rooms->store),
                                                .log_position_end = store_position_last(rooms->store) + 1,
                                                .store = rooms->store};
    cr_assert_not(failed(index_open(&index_options, &rooms->index, &problem)), "%s", problem.text);
    cr_assert_not(failed(terms_catch_up(rooms->store, rooms->index)));
}

/* Without the retention's thread: it is run when its turn comes, so that what is removed is known. */
static void server_open(struct api_rooms *rooms) {
    daybook_status status;
    cr_assert_not(failed(append_streams_new(&rooms->append_streams)));
    cr_assert_not(failed(lists_open(&rooms->lists)));
    rooms->api = (struct api){.sequencer = rooms->sequencer,
                              .feed = rooms->feed,
                              .store = rooms->store,
                              .compactor = rooms->compactor,
                              .append_streams = rooms->append_streams,
                              .index = rooms->index,
                              .lists = rooms->lists,
                              .version = "0.0.0",
                              .store_id = store_id(rooms->store),
                              .event_bytes_max = EVENT_BYTES_MAX_DEFAULT};
    const daybook_server_options options = {
        .listen = "127.0.0.1:0", .threads_count = 2, .message_bytes_max = REQUEST_BYTES_MAX};
    rooms->server = daybook_server_open(&options, &status);
    cr_assert_not_null(rooms->server, "%s", status.message);
    cr_assert(api_serve(&rooms->api, rooms->server, &status), "%s", status.message);
    cr_assert(daybook_server_start(rooms->server, &status), "%s", status.message);
}

void api_rooms_open(struct api_rooms *rooms) {
    store_and_index_open(rooms);
    const struct feed_options feed_options = {.store = rooms->store,
                                              .index = rooms->index,
                                              .head = store_position_last(rooms->store),
                                              .tail_bytes_max = TAIL_BYTES};
    cr_assert_not(failed(feed_open(&feed_options, &rooms->feed)));
    rooms->listener = (struct commit_listener){
        .committed = on_committed, .rewritten = on_rewritten, .storage_failed = on_storage_failed, .context = rooms};
    const struct sequencer_options sequencer_options = {
        .store = rooms->store, .index = rooms->index, .listener = &rooms->listener};
    cr_assert_not(failed(sequencer_open(&sequencer_options, &rooms->sequencer)));
    cr_assert_not(failed(compactor_open(rooms->store, rooms->index, rooms->sequencer, &rooms->compactor)));
    server_open(rooms);
    for (uint32_t client = 0; client < API_CLIENTS_COUNT; client++) {
        rooms->channels[client] = raw_channel_open(daybook_server_port(rooms->server));
    }
}

void api_rooms_close(struct api_rooms *rooms) {
    for (uint32_t client = 0; client < API_CLIENTS_COUNT; client++) raw_channel_close(rooms->channels[client]);
    daybook_server_close(rooms->server);
    lists_close(rooms->lists);
    compactor_close(rooms->compactor);
    sequencer_close(rooms->sequencer);
    append_streams_free(rooms->append_streams);
    feed_close(rooms->feed);
    index_close(rooms->index);
    store_close(rooms->store);
}

/* --- Chance. ------------------------------------------------------------------------------------------------------------- */

uint64_t api_below(struct api_world *world, uint64_t limit) {
    return random_below(&world->random, limit);
}

bool api_one_in(struct api_world *world, uint64_t count) {
    return random_below(&world->random, count) == 0;
}

static struct reference_names names_of(struct api_world *world, const char *const *names, uint64_t count,
                                       uint64_t names_max) {
    struct reference_names chosen = {.count = 1 + (uint32_t)api_below(world, names_max)};
    for (uint32_t index = 0; index < chosen.count; index++) chosen.names[index] = names[api_below(world, count)];
    return chosen;
}

static struct reference_clause clause_of(struct api_world *world, bool is_for_condition) {
    static const char *const prefixes[] = {"order", "order-", "c", "cart-", "stock-", "x", "O", "Order", "S", "$"};
    struct reference_clause clause = {0};
    if (api_one_in(world, 3)) clause.types = names_of(world, reference_types, REFERENCE_TYPES_COUNT, 3);
    if (api_one_in(world, 2)) clause.tags = names_of(world, reference_tags, REFERENCE_TAGS_COUNT, 2);
    if (api_one_in(world, 3)) clause.streams = names_of(world, reference_streams, REFERENCE_STREAMS_COUNT + 1, 3);
    if (api_one_in(world, 6)) clause.stream_prefixes = names_of(world, prefixes, 10, 2);
    if (api_one_in(world, 6)) clause.type_prefixes = names_of(world, prefixes, 10, 2);
    const uint32_t led_count = clause.types.count + clause.tags.count + clause.streams.count;
    const uint32_t count = led_count + clause.stream_prefixes.count + clause.type_prefixes.count;
    if (count == 0 || (is_for_condition && led_count == 0)) {
        clause.tags = names_of(world, reference_tags, REFERENCE_TAGS_COUNT, 2);
    }
    return clause;
}

struct reference_filter api_filter(struct api_world *world, bool is_for_condition) {
    struct reference_filter filter = {0};
    if (api_one_in(world, is_for_condition ? 12 : 3)) return filter;
    filter.count = 1 + (uint32_t)(api_one_in(world, 3) ? api_below(world, REFERENCE_CLAUSES_MAX) : 0);
    for (uint32_t index = 0; index < filter.count; index++) filter.clauses[index] = clause_of(world, is_for_condition);
    return filter;
}

typedef bool add_name(daybook_v1_Clause *clause, upb_StringView name, upb_Arena *arena);

static void names_add(daybook_v1_Clause *clause, const struct reference_names *names, add_name *add, upb_Arena *arena) {
    for (uint32_t index = 0; index < names->count; index++) {
        cr_assert(add(clause, upb_StringView_FromString(names->names[index]), arena));
    }
}

daybook_v1_Filter *api_filter_message(struct api_world *world, const struct reference_filter *filter) {
    daybook_v1_Filter *message = daybook_v1_Filter_new(world->arena);
    for (uint32_t index = 0; index < filter->count; index++) {
        const struct reference_clause *source = &filter->clauses[index];
        daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(message, world->arena);
        names_add(clause, &source->types, daybook_v1_Clause_add_types, world->arena);
        names_add(clause, &source->tags, daybook_v1_Clause_add_tags, world->arena);
        names_add(clause, &source->streams, daybook_v1_Clause_add_streams, world->arena);
        names_add(clause, &source->stream_prefixes, daybook_v1_Clause_add_stream_prefixes, world->arena);
        names_add(clause, &source->type_prefixes, daybook_v1_Clause_add_type_prefixes, world->arena);
    }
    return message;
}

/* --- Calls. -------------------------------------------------------------------------------------------------------------- */

static struct raw_channel *any_channel(struct api_world *world) {
    return world->rooms.channels[api_below(world, API_CLIENTS_COUNT)];
}

static upb_StringView encode(struct api_world *world, const void *message, const upb_MiniTable *layout) {
    char *data;
    size_t size;
    cr_assert_eq(upb_Encode(message, layout, 0, world->arena, &data, &size), kUpb_EncodeStatus_Ok);
    return upb_StringView_FromDataAndSize(data, size);
}

struct answer api_call(struct api_world *world, const char *method, const void *request, const upb_MiniTable *layout) {
    return api_call_bytes(world, method, encode(world, request, layout));
}

struct answer api_call_when_ready(struct api_world *world, const char *method, const void *request,
                                  const upb_MiniTable *layout) {
    for (;;) {
        struct answer answer = api_call(world, method, request, layout);
        const bool is_ready = answer.status.code != DAYBOOK_UNAVAILABLE;
        if (is_ready) return answer;
        answer_expect(&answer, DAYBOOK_UNAVAILABLE, "NOT_READY");
        answer_free(&answer);
        sched_yield();
    }
}

struct answer api_call_bytes(struct api_world *world, const char *method, upb_StringView request) {
    return answer_to(any_channel(world), method, request);
}

const void *api_response(struct api_world *world, const struct answer *answer, const upb_MiniTable *layout) {
    cr_assert_not_null(answer->response.data, "%d %s", answer->status.code, answer->status.message);
    const void *message = NULL;
    cr_assert_eq(
        daybook__codec_decode_bytes(answer->response.data, answer->response.size, layout, world->arena, &message),
        CODEC_OK);
    return message;
}

struct raw_call *api_stream(struct api_world *world, const char *method, const void *request,
                            const upb_MiniTable *layout) {
    const upb_StringView encoded = encode(world, request, layout);
    return raw_call_request(any_channel(world), method, encoded.data, encoded.size);
}

const char *api_expect(const struct answer *answer, int code, const char *reason) {
    if (code == DAYBOOK_OK) {
        cr_assert_eq(answer->status.code, DAYBOOK_OK, "%s", answer->status.message);
    } else {
        answer_expect(answer, code, reason);
    }
    return reason;
}
