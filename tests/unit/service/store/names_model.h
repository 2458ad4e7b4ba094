/* names_model.h: a store with random names, and a plain table that says what its catalogue must answer.
 *
 * Names are of 1 byte, of 255 bytes that differ in the last ones, of bytes up to 0xff, and beginnings of each other. One event in
 * twenty has neither type nor tags, as a removed one.
 * Ownership: the caller closes. Threads: one. Errors: a wrong answer is a failed assertion of Criterion. */
#ifndef TESTS_UNIT_SERVICE_STORE_NAMES_MODEL_H
#define TESTS_UNIT_SERVICE_STORE_NAMES_MODEL_H

#include "service/store/index.h"
#include "service/store/index_names.h"
#include "service/store/store.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"

#define NAMES_MODEL_NAMES_COUNT 120 /* a third of them of each kind */

struct names_model_name {
    enum term_kind kind;
    char text[256];
    struct name_figures figures; /* events_count 0: no event has it yet */
};

struct names_model {
    struct random random;
    struct temporary_directory directory;
    struct temporary_path index_path;
    uint32_t run_events_count;
    struct store *store;
    struct index *index;
    uint64_t position; /* of the last event */
    struct names_model_name names[NAMES_MODEL_NAMES_COUNT];
};

struct names_model *names_model_open(const char *test_name, uint32_t run_events_count);
struct names_model *names_model_close(struct names_model *model);
/* Closes the index, and opens it again with what it has to catch up with. */
void names_model_close_index(struct names_model *model);
void names_model_open_index(struct names_model *model);

/* Appends this many random events, in commits of a few. */
void names_model_append(struct names_model *model, uint32_t count);

/* Waits until the runs are as far as they come without further events. */
void names_model_wait(const struct names_model *model);

/* Asks for one random list and for one random name, which must be right. */
void names_model_ask(struct names_model *model);
/* Asks for everything of each kind. */
void names_model_ask_all(const struct names_model *model);

#endif
