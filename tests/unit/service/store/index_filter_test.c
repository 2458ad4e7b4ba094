/* Filters of runs: they never hide a term, stop most others, and notice every wrong bit. */
#include "service/store/index_filter.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "service/store/environment.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"

#define CHUNK_BYTES    ((size_t)INDEX_FILTER_CHUNK_BLOCKS_COUNT * INDEX_FILTER_BLOCK_BYTES)
#define TERMS_A_CHUNK  (INDEX_FILTER_CHUNK_BLOCKS_COUNT * INDEX_FILTER_BLOCK_TERMS_COUNT)
#define STRANGER_FIRST (UINT64_C(1) << 32)

struct scene {
    struct temporary_directory directory;
    struct environment environment;
    MDB_dbi table;
};

static struct scene scene_make(void) {
    struct scene scene = {.directory = temporary_directory_make()};
    const struct environment_options options = {
        .directory = scene.directory.path, .map_bytes = GIB(1), .tables_count_max = 1};
    struct problem problem;
    cr_assert_eq(environment_open(&options, &scene.environment, &problem).failure, FAILURE_NONE);
    MDB_txn *transaction;
    cr_assert_eq(mdb_txn_begin(scene.environment.handle, NULL, 0, &transaction), 0);
    cr_assert_eq(mdb_dbi_open(transaction, "filters", MDB_CREATE, &scene.table), 0);
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    return scene;
}

static void scene_remove(struct scene *scene) {
    environment_close(&scene->environment);
    temporary_directory_remove(&scene->directory);
}

static struct term term_numbered(uint64_t number) {
    return term_of(TERM_TAG, bytes_of(&number, sizeof number));
}

static int compare(const void *left, const void *right) {
    return memcmp(left, right, sizeof(struct term));
}

/* The terms with the numbers from 0 to `count`, in their order; the caller frees. */
static struct term *terms_sorted(uint32_t count) {
    struct term *terms = malloc((count + 1) * sizeof *terms);
    cr_assert_not_null(terms);
    for (uint32_t number = 0; number < count; number++) terms[number] = term_numbered(number);
    qsort(terms, count, sizeof *terms, compare);
    return terms;
}

static void filter_map(const struct scene *scene, struct index_filter *filter) {
    MDB_txn *reader;
    cr_assert_eq(mdb_txn_begin(scene->environment.handle, NULL, MDB_RDONLY, &reader), 0);
    cr_assert_eq(index_filter_reserve(filter).failure, FAILURE_NONE);
    cr_assert_eq(index_filter_map(filter, reader).failure, FAILURE_NONE);
    mdb_txn_abort(reader);
}

/* Writes the filter of the first `count` terms, over two transactions, and maps it. */
static struct index_filter filter_make(const struct scene *scene, uint32_t number, uint32_t count) {
    struct index_filter filter = {.table = scene->table,
                                  .number = number,
                                  .blocks_count = index_filter_blocks_count(count),
                                  .seed = index_filter_seed(1 + number, 1000 + number)};
    struct term *terms = terms_sorted(count);
    struct index_filter_writer *writer = malloc(sizeof *writer);
    cr_assert_not_null(writer);
    index_filter_writer_init(writer, &filter);
    MDB_txn *transaction;
    cr_assert_eq(mdb_txn_begin(scene->environment.handle, NULL, 0, &transaction), 0);
    for (uint32_t index = 0; index < count; index++) {
        if (index == count / 2) {
            cr_assert_eq(mdb_txn_commit(transaction), 0);
            cr_assert_eq(mdb_txn_begin(scene->environment.handle, NULL, 0, &transaction), 0);
        }
        cr_assert_eq(index_filter_writer_add(writer, transaction, terms[index]).failure, FAILURE_NONE);
    }
    cr_assert_eq(index_filter_writer_end(writer, transaction).failure, FAILURE_NONE);
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    free(writer);
    free(terms);
    filter_map(scene, &filter);
    return filter;
}

static void filter_remove(const struct scene *scene, struct index_filter *filter) {
    MDB_txn *transaction;
    uint64_t chunks_count = 0;
    cr_assert_eq(mdb_txn_begin(scene->environment.handle, NULL, 0, &transaction), 0);
    cr_assert_eq(index_filter_remove(filter, transaction, &chunks_count).failure, FAILURE_NONE);
    cr_assert_eq(chunks_count, (filter->blocks_count - 1) / INDEX_FILTER_CHUNK_BLOCKS_COUNT + 1);
    cr_assert_eq(mdb_txn_commit(transaction), 0);
    index_filter_release(filter);
}

static bool may_have(const struct index_filter *filter, struct term term) {
    bool has = false;
    cr_assert_eq(index_filter_look(filter, term, &has).failure, FAILURE_NONE);
    return has;
}

/* The sizes around the ends of blocks and chunks. */
static const uint32_t sizes[] = {
    0,    1, INDEX_FILTER_BLOCK_TERMS_COUNT - 1, INDEX_FILTER_BLOCK_TERMS_COUNT, 1000, TERMS_A_CHUNK - 1, TERMS_A_CHUNK,
    50000};
#define SIZES_COUNT (sizeof sizes / sizeof sizes[0])

static void check(const struct index_filter *filter, uint32_t count) {
    for (uint32_t number = 0; number < count; number++) {
        index_filter_prefetch(filter, term_numbered(number));
        cr_assert(may_have(filter, term_numbered(number)));
    }
    uint32_t taken_count = 0;
    for (uint32_t question = 0; question < 10000; question++) {
        if (may_have(filter, term_numbered(STRANGER_FIRST + question))) taken_count++;
    }
    cr_assert_lt(taken_count, 10000 * 2 / 100);
}

Test(index_filter, never_hides_a_term_and_stops_most_others) {
    for (size_t round = 0; round < SIZES_COUNT; round++) {
        struct scene scene = scene_make();
        struct index_filter filter = filter_make(&scene, 0, sizes[round]);
        check(&filter, sizes[round]);
        index_filter_release(&filter);
        scene_remove(&scene);
    }
}

/* What is noted must outlive the reader and whatever happens to other filters of the table. */
Test(index_filter, stays_where_it_is_while_others_come_and_go) {
    struct random random = random_start("index filter neighbours");
    struct scene scene = scene_make();
    enum { FILTERS_COUNT = 12 };
    struct index_filter filters[FILTERS_COUNT];
    uint32_t counts[FILTERS_COUNT];
    for (uint32_t number = 0; number < FILTERS_COUNT; number++) {
        counts[number] = 1 + (uint32_t)random_below(&random, 2 * TERMS_A_CHUNK);
        filters[number] = filter_make(&scene, number, counts[number]);
    }
    for (uint32_t round = 0; round < 60; round++) {
        const uint32_t victim = (uint32_t)random_below(&random, FILTERS_COUNT);
        filter_remove(&scene, &filters[victim]);
        counts[victim] = 1 + (uint32_t)random_below(&random, 2 * TERMS_A_CHUNK);
        filters[victim] = filter_make(&scene, victim, counts[victim]);
        const uint32_t other = (uint32_t)random_below(&random, FILTERS_COUNT);
        check(&filters[other], counts[other]);
    }
    for (uint32_t number = 0; number < FILTERS_COUNT; number++) {
        check(&filters[number], counts[number]);
        index_filter_release(&filters[number]);
    }
    scene_remove(&scene);
}

/* Puts a copy that may be changed in the place of the first chunk; the caller frees. */
static uint8_t *chunk_copy(struct index_filter *filter) {
    uint8_t *copy = malloc(CHUNK_BYTES);
    cr_assert_not_null(copy);
    memcpy(copy, filter->chunks[0], CHUNK_BYTES);
    filter->chunks[0] = copy;
    return copy;
}

Test(index_filter, every_flipped_bit_is_damage_and_never_an_answer) {
    struct scene scene = scene_make();
    struct index_filter filter = filter_make(&scene, 0, INDEX_FILTER_BLOCK_TERMS_COUNT - 1); /* one block */
    cr_assert_eq(filter.blocks_count, 1);
    uint8_t *copy = chunk_copy(&filter);
    for (uint32_t bit = 0; bit < 8 * INDEX_FILTER_BLOCK_BYTES; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool has;
        cr_assert_eq(index_filter_look(&filter, term_numbered(bit), &has).failure, FAILURE_CORRUPT);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert(may_have(&filter, term_numbered(0)));
    free(copy);
    index_filter_release(&filter);
    scene_remove(&scene);
}

Test(index_filter, a_block_from_another_place_is_damage) {
    struct scene scene = scene_make();
    struct index_filter filter = filter_make(&scene, 0, 1000);
    struct index_filter other = filter_make(&scene, 1, 1000); /* the same bits, of another run */
    bool has;
    const uint8_t *chunk = filter.chunks[0];
    filter.chunks[0] = other.chunks[0];
    for (uint32_t number = 0; number < 1000; number++) {
        cr_assert_eq(index_filter_look(&filter, term_numbered(number), &has).failure, FAILURE_CORRUPT);
    }
    filter.chunks[0] = chunk;
    uint8_t *copy = chunk_copy(&filter);
    memmove(copy, copy + INDEX_FILTER_BLOCK_BYTES, CHUNK_BYTES - INDEX_FILTER_BLOCK_BYTES);
    for (uint32_t number = 0; number < 1000; number++) {
        cr_assert_eq(index_filter_look(&filter, term_numbered(number), &has).failure, FAILURE_CORRUPT);
    }
    free(copy);
    index_filter_release(&filter);
    index_filter_release(&other);
    scene_remove(&scene);
}

Test(index_filter, one_that_is_not_complete_cannot_be_mapped) {
    for (uint32_t victim = 0; victim < 3; victim++) {
        struct scene scene = scene_make();
        struct index_filter filter = filter_make(&scene, 7, 2 * TERMS_A_CHUNK + 1);
        MDB_txn *transaction;
        const uint32_t numbers[2] = {htobe32(7), htobe32(victim)};
        MDB_val key = {.mv_size = sizeof numbers, .mv_data = (void *)(uintptr_t)numbers};
        cr_assert_eq(mdb_txn_begin(scene.environment.handle, NULL, 0, &transaction), 0);
        cr_assert_eq(mdb_del(transaction, scene.table, &key, NULL), 0);
        cr_assert_eq(index_filter_map(&filter, transaction).failure, FAILURE_CORRUPT);
        mdb_txn_abort(transaction);
        index_filter_release(&filter);
        scene_remove(&scene);
    }
}

Test(index_filter, a_removed_one_leaves_nothing) {
    struct scene scene = scene_make();
    struct index_filter filter = filter_make(&scene, 3, 2 * TERMS_A_CHUNK);
    struct index_filter neighbour = filter_make(&scene, 4, 10);
    filter_remove(&scene, &filter);
    MDB_txn *transaction;
    MDB_stat statistics;
    cr_assert_eq(mdb_txn_begin(scene.environment.handle, NULL, MDB_RDONLY, &transaction), 0);
    cr_assert_eq(mdb_stat(transaction, scene.table, &statistics), 0);
    cr_assert_eq(statistics.ms_entries, 1);
    mdb_txn_abort(transaction);
    check(&neighbour, 10);
    index_filter_release(&neighbour);
    scene_remove(&scene);
}
