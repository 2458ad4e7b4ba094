/* A process that adds is killed at any moment; what is on disk must be whole, and go on. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/base/limits.h"
#include "service/store/index.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/store/index_model.h"

#define STORE_ID      "01890a5d-ac96-774b-bcce-b302099a8057"
#define KILLS_COUNT   40
#define EVENTS_COUNT  12000
#define EVENTS_A_LIFE (2 * EVENTS_COUNT / KILLS_COUNT)

static struct index *index_opened(const char *directory, uint32_t run_events_count) {
    const struct index_options options = {
        .directory = directory,
        .map_bytes = GIB(1),
        .run_events_count = run_events_count,
        .store_id = STORE_ID,
    };
    struct index *index = NULL;
    struct problem problem = {.text = ""};
    const result outcome = index_open(&options, &index, &problem);
    cr_assert_eq(outcome.failure, FAILURE_NONE, "%s", problem.text);
    return index;
}

/* Adds to the end and says after each event up to where runs are listed. */
__attribute__((noreturn)) static void child_run(const struct model *model, const char *directory,
                                                uint32_t run_events_count, int told) {
    struct index *index = index_opened(directory, run_events_count);
    for (uint64_t position = index_position(index) + 1; position <= EVENTS_COUNT; position++) {
        model_add(model, index, position, position);
        const uint64_t listed = index_position(index);
        if (write(told, &listed, sizeof listed) != (ssize_t)sizeof listed) _exit(2);
    }
    _exit(0);
}

/* Lets a child add some events and kills it. Returns the last position it had told; 0 when it had no time to. */
static uint64_t child_kill(const struct model *model, const char *directory, uint32_t run_events_count,
                           uint64_t events_count) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(ends[0]);
        child_run(model, directory, run_events_count, ends[1]);
    }
    close(ends[1]);
    uint64_t listed = 0;
    uint64_t told = 0;
    for (uint64_t count = 0; count < events_count; count++) {
        if (read(ends[0], &told, sizeof told) != (ssize_t)sizeof told) break;
        listed = told;
    }
    cr_assert_eq(kill(child, SIGKILL), 0);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "the child failed by itself");
    close(ends[0]);
    return listed;
}

Test(index_crash, a_kill_loses_no_listed_run, .timeout = 240) {
    struct random random = random_start("index crash");
    const struct temporary_directory directory = temporary_directory_make();
    const struct temporary_path path = temporary_path(&directory, "index");
    struct model *model = model_new(random_next(&random), EVENTS_COUNT);
    const uint32_t run_events_count = 1 + (uint32_t)random_below(&random, 30);
    uint64_t position_least = 0;
    for (uint32_t kill_number = 0; kill_number < KILLS_COUNT && position_least < EVENTS_COUNT; kill_number++) {
        const uint64_t events_count = random_below(&random, EVENTS_A_LIFE);
        const uint64_t listed = child_kill(model, path.text, run_events_count, events_count);
        if (listed > position_least) position_least = listed;
        struct index *index = index_opened(path.text, run_events_count);
        cr_assert_geq(index_position(index), position_least);
        position_least = index_position(index);
        const uint64_t rest = EVENTS_COUNT - position_least;
        const uint64_t position = position_least + random_below(&random, rest < 200 ? rest + 1 : 200);
        model_add(model, index, position_least + 1, position);
        for (uint32_t question = 0; question < 300; question++) model_ask(model, index, &random, position);
        index_close(index);
    }
    cr_assert_gt(position_least, 0);
    model_free(model);
    temporary_directory_remove(&directory);
}
