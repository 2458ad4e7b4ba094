/* The same log of groups gives the same bytes: two replicas with their own timing, index and restarts end with equal tables,
 * all of them, byte for byte. */
#include <criterion/criterion.h>
#include <lmdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/commit/committer.h"
#include "service/record/filter.h"
#include "service/store/terms.h"
#include "tests/support/random.h"
#include "tests/support/stores.h"
#include "tests/unit/service/commit/appends.h"

#define GROUPS_COUNT      150
#define GROUP_APPENDS_MAX 5
#define APPENDS_COUNT_MAX (GROUPS_COUNT * GROUP_APPENDS_MAX)
#define STREAMS_COUNT     6
#define CONSUMERS_COUNT   3
#define TABLES_MAX        16
#define START_NS          1700000000000000000

static const char *const streams[STREAMS_COUNT] = {"a-1", "a-2", "b-1", "b", "c", "c-1"};
static const char *const types[] = {"Opened", "Closed"};
static const char *const tags[] = {"t:0", "t:1", "t:2"};
static const char *const consumers[CONSUMERS_COUNT] = {"x", "y", "z"};

/* One entry of the log. */
struct group {
    struct append *appends[GROUP_APPENDS_MAX];
    uint32_t appends_count;
    int64_t now_ns;
};

/* What an append was told. */
struct outcome {
    enum append_outcome outcome;
    bool replayed;
    uint32_t conflicts_count;
    uint64_t first_position;
};

/* A machine that reads the log at its own pace. */
struct replica {
    struct temporary_directory directory;
    uint32_t run_events_count;
    uint64_t restart_one_in; /* 0: never */
    struct random random;
    struct store *store;
    struct index *index;
    struct committer committer;
    struct outcome outcomes[APPENDS_COUNT_MAX];
    uint32_t outcomes_count;
};

static void replica_begin(struct replica *replica) {
    replica->store = stores_open(replica->directory.path);
    const struct temporary_path path = temporary_path(&replica->directory, "index");
    const struct index_options options = {.directory = path.text,
                                          .map_bytes = STORES_MAP_BYTES,
                                          .run_events_count = replica->run_events_count,
                                          .store_id = store_id(replica->store)};
    struct problem problem = {.text = ""};
    cr_assert_not(failed(index_open(&options, &replica->index, &problem)), "%s", problem.text);
    cr_assert_eq(terms_catch_up(replica->store, replica->index).failure, FAILURE_NONE);
    cr_assert_eq(committer_init(&replica->committer, replica->store, replica->index, &appends_listener).failure,
                 FAILURE_NONE);
}

static void replica_end(struct replica *replica) {
    committer_deinit(&replica->committer);
    index_close(replica->index);
    store_close(replica->store);
}

/* --- The log. ---------------------------------------------------------------------------------------------------------- */

static struct group groups[GROUPS_COUNT];
static struct append *made[APPENDS_COUNT_MAX]; /* by all groups before */
static uint32_t made_count;
static struct append_checkpoint checkpoints[APPENDS_COUNT_MAX];
static struct append_condition conditions[APPENDS_COUNT_MAX];
static struct filter *filters[APPENDS_COUNT_MAX];
static struct append_stream_change changes[APPENDS_COUNT_MAX];
static struct append_rewrite rewrites[APPENDS_COUNT_MAX];

static struct append_condition condition_make(struct random *random, struct filter **ret_filter) {
    const struct bytes type = bytes_of_text(types[random_below(random, 2)]);
    const struct bytes tag = bytes_of_text(tags[random_below(random, 3)]);
    const struct filter_clause clause = {.types = {&type, 1}, .tags = {&tag, (uint32_t)random_below(random, 2)}};
    cr_assert_not(failed(filter_new(&clause, 1, ret_filter)));
    return (struct append_condition){.filter = *ret_filter, .after = random_below(random, made_count + 1)};
}

/* Settings, a deletion or an erasure, as the edge makes them of a call. */
static struct append *change_make(struct random *random) {
    static const uint64_t positions[] = {1, 3, 5};
    const struct bytes stream = bytes_of_text(streams[random_below(random, STREAMS_COUNT)]);
    const enum stream_change_kind kind = random_below(random, 3) == 0 ? STREAM_CHANGE_DELETE : STREAM_CHANGE_SETTINGS;
    struct append *append = append_new();
    if (random_below(random, 3) == 0 && made_count > APPENDS_COUNT_MAX / 4) {
        append_event_add(append, "$erasures", "$EventsErased", NULL, 0);
        rewrites[made_count] =
            (struct append_rewrite){.kind = REWRITE_ERASE, .positions = positions, .positions_count = 3};
        append_request_of(append)->rewrite = &rewrites[made_count];
        return append;
    }
    if (kind == STREAM_CHANGE_DELETE) append_event_add(append, (const char *)stream.data, "$StreamDeleted", NULL, 0);
    changes[made_count] = (struct append_stream_change){.kind = kind,
                                                        .stream = stream,
                                                        .term = term_of(TERM_STREAM, stream),
                                                        .max_count = random_below(random, 20),
                                                        .truncate_before = random_below(random, 5),
                                                        .metadata = stream};
    append_request_of(append)->change = &changes[made_count];
    return append;
}

/* A new append, or one that was made before, as it was or with something else in it. */
static struct append *append_make(struct random *random) {
    if (random_below(random, 12) == 0) return change_make(random);
    if (made_count > 0 && random_below(random, 6) == 0) {
        struct append *again = append_copy(made[random_below(random, made_count)]);
        if (append_request_of(again)->writes_count == 0) {
            append_free(again);
            return change_make(random);
        }
        if (random_below(random, 3) == 0) append_event_change(again, 0, 0);
        return again;
    }
    struct append *append = append_new();
    const char *stream = streams[random_below(random, STREAMS_COUNT)];
    const uint64_t revision = random_below(random, 12);
    const enum expectation expectation = (enum expectation)random_below(random, 3);
    append_write_add(append, stream, 1 + (uint32_t)random_below(random, 4), expectation, revision);
    for (uint64_t more = random_below(random, 3); more > 0; more--) {
        const uint32_t first = (uint32_t)random_below(random, 3);
        append_event_add(append, streams[random_below(random, STREAMS_COUNT)], types[random_below(random, 2)],
                         tags + first, first < 2 ? 1 : 0);
    }
    if (random_below(random, 4) == 0) append_check_add(append, streams[0], EXPECT_EXISTS, 0);
    if (random_below(random, 4) == 0) {
        conditions[made_count] = condition_make(random, &filters[made_count]);
        append_condition_set(append, &conditions[made_count]);
    }
    if (random_below(random, 4) == 0) {
        checkpoints[made_count] =
            (struct append_checkpoint){.consumer = bytes_of_text(consumers[random_below(random, CONSUMERS_COUNT)]),
                                       .position = 1 + random_below(random, made_count + 1)};
        append_request_of(append)->checkpoint = &checkpoints[made_count];
    }
    return append;
}

/* The clock of the one who wrote the log now and then goes back. */
static void groups_make(struct random *random) {
    for (uint32_t index = 0; index < GROUPS_COUNT; index++) {
        struct group *group = &groups[index];
        group->now_ns = START_NS + index * 1000000 - (int64_t)random_below(random, 5000000);
        group->appends_count = 1 + (uint32_t)random_below(random, GROUP_APPENDS_MAX);
        for (uint32_t append = 0; append < group->appends_count; append++) {
            group->appends[append] = append_make(random);
            made[made_count++] = group->appends[append];
        }
    }
}

/* --- Applying it. ------------------------------------------------------------------------------------------------------ */

static void outcomes_note(struct replica *replica, const struct group *group) {
    for (uint32_t index = 0; index < group->appends_count; index++) {
        const struct append_request *request = append_request_of(group->appends[index]);
        const bool committed = request->outcome == APPEND_COMMITTED;
        replica->outcomes[replica->outcomes_count++] =
            (struct outcome){.outcome = request->outcome,
                             .replayed = request->replayed,
                             .conflicts_count = committed ? 0 : request->conflicts_count,
                             .first_position = committed ? request->results[0].first_position : 0};
    }
}

static void group_commit(struct replica *replica, const struct group *group) {
    struct log_group entry = {.requests = {.requests_count = group->appends_count}, .now_ns = group->now_ns};
    for (uint32_t index = group->appends_count; index > 0; index--) {
        struct append_request *request = append_request_of(group->appends[index - 1]);
        request->next = entry.requests.first;
        request->outcome = APPEND_PENDING;
        request->replayed = false;
        request->conflicts_count = 0;
        entry.requests.first = request;
        entry.requests.events_count += request->events_count;
        entry.requests.size_bytes += request->size_bytes;
    }
    uint32_t events_count;
    cr_assert_eq(committer_commit(&replica->committer, &entry, &events_count).failure, FAILURE_NONE);
    outcomes_note(replica, group);
}

/* The groups are shared: one replica at a time applies one, whichever comes first. */
static pthread_mutex_t groups_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *replica_run(void *context) {
    struct replica *replica = context;
    replica_begin(replica);
    for (uint32_t index = 0; index < GROUPS_COUNT; index++) {
        pthread_mutex_lock(&groups_mutex);
        group_commit(replica, &groups[index]);
        pthread_mutex_unlock(&groups_mutex);
        for (uint64_t yields = random_below(&replica->random, 3); yields > 0; yields--) sched_yield();
        if (replica->restart_one_in == 0 || random_below(&replica->random, replica->restart_one_in) != 0) continue;
        replica_end(replica);
        replica_begin(replica);
    }
    replica_end(replica);
    return NULL;
}

/* --- What is on disk. -------------------------------------------------------------------------------------------------- */

static uint64_t hash_add(uint64_t hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t index = 0; index < size; index++) hash = (hash ^ bytes[index]) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

static uint64_t table_hash(MDB_txn *transaction, const char *name, uint64_t *entries_count) {
    MDB_dbi table;
    MDB_cursor *cursor;
    cr_assert_eq(mdb_dbi_open(transaction, name, 0, &table), 0, "%s", name);
    cr_assert_eq(mdb_cursor_open(transaction, table, &cursor), 0);
    uint64_t hash = 0xcbf29ce484222325u;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == 0; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        /* The one thing that is a store's own. */
        if (strcmp(name, "meta") == 0 && bytes_equal(bytes_of(key.mv_data, key.mv_size), bytes_of_text("store_id"))) {
            continue;
        }
        hash = hash_add(hash, &key.mv_size, sizeof key.mv_size);
        hash = hash_add(hash, key.mv_data, key.mv_size);
        hash = hash_add(hash, &value.mv_size, sizeof value.mv_size);
        hash = hash_add(hash, value.mv_data, value.mv_size);
        (*entries_count)++;
    }
    cr_assert_eq(code, MDB_NOTFOUND);
    mdb_cursor_close(cursor);
    return hash;
}

/* A hash over every table of the log, under its name, whichever tables there are. */
static uint64_t state_hash(const struct replica *replica, uint64_t *ret_entries_count) {
    const struct temporary_path path = temporary_path(&replica->directory, "log");
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi names;
    MDB_cursor *cursor;
    cr_assert_eq(mdb_env_create(&environment), 0);
    cr_assert_eq(mdb_env_set_maxdbs(environment, TABLES_MAX), 0);
    cr_assert_eq(mdb_env_set_mapsize(environment, STORES_MAP_BYTES), 0);
    cr_assert_eq(mdb_env_open(environment, path.text, MDB_RDONLY, 0600), 0, "%s", path.text);
    cr_assert_eq(mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction), 0);
    cr_assert_eq(mdb_dbi_open(transaction, NULL, 0, &names), 0);
    cr_assert_eq(mdb_cursor_open(transaction, names, &cursor), 0);
    uint64_t hash = 0;
    uint32_t tables_count = 0;
    *ret_entries_count = 0;
    MDB_val key;
    int code = mdb_cursor_get(cursor, &key, NULL, MDB_FIRST);
    for (; code == 0; code = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT)) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)key.mv_size, (const char *)key.mv_data);
        const uint64_t of_table = table_hash(transaction, name, ret_entries_count);
        hash = hash_add(hash_add(hash, name, strlen(name)), &of_table, sizeof of_table);
        tables_count++;
    }
    mdb_cursor_close(cursor);
    cr_assert_geq(tables_count, 4, "events, streams, checkpoints, meta");
    mdb_txn_abort(transaction);
    mdb_env_close(environment);
    return hash;
}

static struct replica replicas[2];

Test(state_hash, the_same_log_gives_the_same_bytes, .timeout = 300) {
    struct random random = random_start("state_hash");
    groups_make(&random);
    pthread_t threads[2];
    for (uint32_t index = 0; index < 2; index++) {
        struct replica *replica = &replicas[index];
        replica->directory = temporary_directory_make();
        replica->run_events_count = index == 0 ? 0 : 16;
        replica->restart_one_in = index == 0 ? 0 : 10;
        replica->random.state = random_next(&random);
        cr_assert_eq(pthread_create(&threads[index], NULL, replica_run, replica), 0);
    }
    for (uint32_t index = 0; index < 2; index++) pthread_join(threads[index], NULL);
    uint64_t entries_counts[2];
    const uint64_t hashes[2] = {state_hash(&replicas[0], &entries_counts[0]),
                                state_hash(&replicas[1], &entries_counts[1])};
    uint32_t outcomes_seen[APPEND_EXPIRED + 1] = {0};
    uint32_t replays_count = 0;
    for (uint32_t index = 0; index < made_count; index++) {
        const struct outcome *one = &replicas[0].outcomes[index];
        const struct outcome *other = &replicas[1].outcomes[index];
        cr_assert_eq(one->outcome, other->outcome, "append %u", index);
        cr_assert(one->replayed == other->replayed && one->conflicts_count == other->conflicts_count);
        cr_assert_eq(one->first_position, other->first_position);
        outcomes_seen[one->outcome]++;
        replays_count += one->replayed ? 1 : 0;
    }
    cr_assert_eq(entries_counts[0], entries_counts[1]);
    cr_assert_eq(hashes[0], hashes[1]);
    /* Everything has happened, or equality would say little. */
    cr_assert(outcomes_seen[APPEND_COMMITTED] > 20 && replays_count > 0 && outcomes_seen[APPEND_REVISION_CONFLICT] > 0);
    cr_assert(outcomes_seen[APPEND_CONDITION_FAILED] > 0 && outcomes_seen[APPEND_ID_CONFLICT] > 0);
    for (uint32_t index = 0; index < made_count; index++) {
        append_free(made[index]);
        filter_free(filters[index]);
    }
    for (uint32_t index = 0; index < 2; index++) temporary_directory_remove(&replicas[index].directory);
}
