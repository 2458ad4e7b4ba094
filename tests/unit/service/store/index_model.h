/* index_model.h: a plain array that says what the index must answer.
 *
 * Events are made from a seed, with a stream, a type, some tags and an id each, so that terms of all lengths exist: a type
 * that is in half of the events, streams of a few events, ids of one.
 * Ownership: the caller frees the model. Threads: one writer; the reading functions to any thread that has been told of a
 * position after it was made. Errors: a wrong answer is a failed assertion of Criterion; memory is an assertion. */
#ifndef TESTS_UNIT_SERVICE_STORE_INDEX_MODEL_H
#define TESTS_UNIT_SERVICE_STORE_INDEX_MODEL_H

#include <stdint.h>

#include "service/store/index.h"
#include "service/store/store.h"
#include "tests/support/random.h"

struct model;

/* Makes the events of positions 1 to `events_count`. */
struct model *model_new(uint64_t seed, uint32_t events_count);
struct model *model_free(struct model *model);
uint32_t model_events_count(const struct model *model);

/* The entries of an event. */
const struct index_entry *model_event(const struct model *model, uint64_t position, uint32_t *ret_count);

/* The term of its id. */
struct term model_id(const struct model *model, uint64_t position);

/* Adds the events from the one after `position_first - 1` to `position_last`. */
void model_add(const struct model *model, struct index *index, uint64_t position_first, uint64_t position_last);

/* Writes the events into a log, in one transaction: a log from which the index can be built. */
void model_log(const struct model *model, struct store *store, uint64_t position_first, uint64_t position_last);

/* One random question, asked when the events up to `position_least` had been added and answered before those after
 * `position_most` were: the answer must be right for a position in between. */
struct model_query {
    struct term term;
    uint64_t number;
    enum index_direction direction;
    uint32_t count_max;
};
#define MODEL_COUNT_MAX 600
struct model_query model_query_random(const struct model *model, struct random *random, uint64_t position);
void model_check(const struct model *model, const struct model_query *query, const struct index_entry *entries,
                 uint32_t count, uint64_t position_least, uint64_t position_most);

/* Asks the index, while nothing is added, and checks the answer. */
void model_ask(const struct model *model, struct index *index, struct random *random, uint64_t position);

#endif
