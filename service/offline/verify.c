#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/offline/offline.h"
#include "service/store/directory.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/verification.h"

/* A store that has ended so many children is told of by what was found until then. */
#define DEATHS_COUNT_MAX 1000

/* What a child tells its parent, also when it does not come to its end. */
struct shared {
    _Atomic uint64_t reading; /* verification.h; 0: the store is being opened */
    uint64_t found_count;     /* by all children */
    uint64_t events_count;
    bool index_is_passed; /* its opening has ended a child */
    bool log_is_begun;    /* what comes after that */
    bool log_is_damaged;  /* something else than the index is */
    bool is_done;
    enum failure failure;
    struct problem problem;
};

static void found_print(void *context, uint64_t position, const char *text) {
    struct shared *shared = context;
    (void)position;
    if (atomic_load(&shared->reading) != VERIFICATION_READS_INDEX) shared->log_is_damaged = true;
    (void)puts(text);
    (void)fflush(stdout);
    shared->found_count++;
}

/* --- The child. ----------------------------------------------------------------------------------------------------------- */

/* NULL: there is none that could be looked at; one that is missing or foreign is made anew at the next start. */
static struct index *index_look(struct store *store, struct shared *shared) {
    char directory[PATH_MAX];
    struct index *index = NULL;
    struct problem problem = {.text = ""};
    if (shared->index_is_passed) return NULL;
    (void)snprintf(directory, sizeof directory, "%s/index", store_directory(store));
    const struct index_options options = {.directory = directory,
                                          .store_id = store_id(store),
                                          .log_position_end = store_position_last(store) + 1,
                                          .is_inspected = true};
    atomic_store(&shared->reading, VERIFICATION_READS_INDEX);
    if (index_open(&options, &index, &problem).failure == FAILURE_CORRUPT) {
        (void)printf("the index is damaged (%s); it is built anew at the next start\n", problem.text);
        shared->found_count++;
    }
    atomic_store(&shared->reading, 0);
    return index;
}

static result store_read(struct store *store, struct shared *shared, uint64_t position_after) {
    struct verification *verification;
    bool is_done = false;
    const struct verification_options options = {.store = store,
                                                 .index = index_look(store, shared),
                                                 .found = found_print,
                                                 .context = shared,
                                                 .position_after = position_after,
                                                 .reading = &shared->reading};
    shared->log_is_begun = true;
    problem_set(&shared->problem, "the store cannot be read; see the log lines");
    TRY(verification_begin(&options, &verification));
    result outcome = RESULT_OK;
    while (!failed(outcome) && !is_done) outcome = verification_step(verification, &is_done);
    shared->events_count = verification_progress(verification).events_count;
    verification_end(verification);
    return outcome;
}

static void child_run(const struct offline_options *options, struct shared *shared, uint64_t position_after) {
    const struct rlimit none = {0};
    const struct store_options store_options = {.directory = options->directory,
                                                .map_bytes = options->map_bytes,
                                                .is_inspected = true,
                                                .remote_file_system_allowed = options->remote_file_system_allowed};
    struct store *store = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &none); /* its death is expected */
    result outcome = store_open(&store_options, &store, &shared->problem);
    if (!failed(outcome)) outcome = store_read(store, shared, position_after);
    /* Not closed: a damaged store has no further chance to end this process before it has told. */
    shared->failure = outcome.failure;
    shared->is_done = true;
    (void)fflush(stdout);
    _exit(0);
}

/* --- The parent. ---------------------------------------------------------------------------------------------------------- */

/* How a child ended that did not come to its end. */
static const char *death_text(int status) {
    return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it ended";
}

/* Tells of the death. False: there is nothing behind it to go on with. */
static bool death_tell(const char *directory, struct shared *shared, int status, uint64_t *position_after) {
    const uint64_t reading = shared->reading;
    shared->found_count++;
    if (reading == 0) {
        shared->log_is_damaged = true;
        (void)printf("the log cannot be opened: its pages are damaged (%s)\n", death_text(status));
        return false;
    }
    if (reading == VERIFICATION_READS_INDEX) {
        (void)printf(
            "the index cannot be read: its pages are damaged (%s); remove %s/index, and it is built anew at the next "
            "start\n",
            death_text(status), directory);
        shared->index_is_passed = true;
        return !shared->log_is_begun; /* else it was the last thing to look at */
    }
    shared->log_is_damaged = true;
    if (reading == VERIFICATION_READS_ROWS) {
        (void)printf("the rows of streams and checkpoints cannot be read: their pages are damaged (%s)\n",
                     death_text(status));
        return false;
    }
    (void)printf("the event at position %" PRIu64 " cannot be read: its page is damaged (%s)\n", reading,
                 death_text(status));
    *position_after = reading;
    return true;
}

static result child_wait(const struct offline_options *options, struct shared *shared, uint64_t position_after,
                         int *ret_status, struct problem *ret_problem) {
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child < 0) {
        problem_set(ret_problem, "cannot start a process: %s", strerror(errno));
        return failure_result(FAILURE_MEMORY);
    }
    if (child == 0) child_run(options, shared, position_after);
    while (waitpid(child, ret_status, 0) < 0) {
        if (errno == EINTR) continue;
        problem_set(ret_problem, "cannot wait for a process: %s", strerror(errno));
        return failure_result(FAILURE_MEMORY);
    }
    return RESULT_OK;
}

static result children_run(const struct offline_options *options, struct shared *shared, struct problem *ret_problem) {
    uint64_t position_after = 0;
    for (uint32_t deaths_count = 0; deaths_count < DEATHS_COUNT_MAX; deaths_count++) {
        int status = 0;
        shared->reading = 0;
        TRY(child_wait(options, shared, position_after, &status, ret_problem));
        if (shared->is_done || !death_tell(options->directory, shared, status, &position_after)) return RESULT_OK;
    }
    (void)printf("behind position %" PRIu64 " nothing was looked at: too much is damaged\n", position_after);
    return RESULT_OK;
}

/* `ret_is_there`: whether the directory has such a file. A disk that does not tell fails. */
static result file_find(const char *directory, const char *name, bool *ret_is_there, struct problem *ret_problem) {
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    const bool is_there = stat(path, &status) == 0;
    if (!is_there && errno != ENOENT && errno != ENOTDIR) {
        const int error = errno;
        problem_set(ret_problem, "cannot inspect %s: %s", path, strerror(error));
        return failure_result(directory_failure(error));
    }
    *ret_is_there = is_there;
    return RESULT_OK;
}

/* So that nothing is made where nothing is. */
static result store_find(const char *directory, struct problem *ret_problem) {
    bool is_there = false;
    TRY(file_find(directory, "FORMAT", &is_there, ret_problem));
    if (is_there) return RESULT_OK;
    TRY(file_find(directory, "log/data.mdb", &is_there, ret_problem));
    if (is_there) {
        problem_set(ret_problem, "%s has a log, but its FORMAT is missing; restore it from a backup", directory);
        return failure_result(FAILURE_CORRUPT);
    }
    problem_set(ret_problem, "%s has no store (--data says where it is)", directory);
    return failure_result(FAILURE_NOT_FOUND);
}

result offline_verify(const struct offline_options *options, struct problem *ret_problem) {
    TRY(store_find(options->directory, ret_problem));
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        problem_set(ret_problem, "out of memory");
        return failure_result(FAILURE_MEMORY);
    }
    result outcome = children_run(options, shared, ret_problem);
    if (!failed(outcome) && shared->failure != FAILURE_NONE) {
        *ret_problem = shared->problem;
        outcome = failure_result(shared->failure);
    } else if (!failed(outcome) && shared->found_count > 0) {
        problem_set(ret_problem, "%s is damaged (problems: %" PRIu64 "); %s", options->directory, shared->found_count,
                    shared->log_is_damaged
                        ? "restore it from a backup"
                        : "only the index is: remove its directory, or call Reindex, and it is built anew");
        outcome = failure_result(FAILURE_CORRUPT);
    }
    if (!failed(outcome)) {
        (void)printf("%" PRIu64 " events checked, nothing is wrong\n", shared->events_count);
        (void)fflush(stdout);
    }
    (void)munmap(shared, sizeof *shared);
    return outcome;
}
