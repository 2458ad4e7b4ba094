/* log_environment.c: a log that the store shares with its readers. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/base/logging.h"

#include "service/store/store_private.h"

result log_environment_open(const struct environment_options *options, struct log_environment **ret_log,
                            struct problem *ret_problem) {
    struct log_environment *log = calloc(1, sizeof *log);
    if (log == NULL) return failure_result(FAILURE_MEMORY);
    const result opened = environment_open(options, &log->environment, ret_problem);
    if (failed(opened)) {
        free(log);
        return opened;
    }
    atomic_init(&log->references_count, 1);
    pthread_mutex_init(&log->mark_mutex, NULL);
    log->mark_descriptor = -1;
    *ret_log = log;
    return RESULT_OK;
}

struct log_environment *log_environment_ref(struct log_environment *log) {
    const unsigned before = atomic_fetch_add(&log->references_count, 1);
    assert(before > 0);
    return log;
}

struct log_environment *log_environment_unref(struct log_environment *log) {
    if (log == NULL || atomic_fetch_sub(&log->references_count, 1) > 1) return NULL;
    environment_close(&log->environment);
    if (log->mark_descriptor >= 0) {
        (void)fdatasync(log->mark_descriptor); /* so that a power cut after a stop leaves all that can be compared */
        close(log->mark_descriptor);
    }
    pthread_mutex_destroy(&log->mark_mutex);
    free(log);
    return NULL;
}

/* --- The mark of the last commit. --------------------------------------------------------------------------------------- */

/* A log without a mark is served: what is missed is the comparison at the next start. */
static void mark_unwritable(struct log_environment *log) {
    log_warn("the mark of the last commit cannot be written: a lost commit would not be noticed at the next start",
             "file", log->environment.file, "error", strerror(errno));
    if (log->mark_descriptor >= 0) close(log->mark_descriptor);
    log->mark_descriptor = -1;
}

result log_environment_mark(struct log_environment *log, uint64_t transaction, uint64_t position, bool is_written) {
    const struct environment *environment = &log->environment;
    struct commit_mark mark;
    const result taken =
        commit_mark_take(environment->descriptor, environment->page_bytes, transaction, position, &mark);
    if (failed(taken)) {
        log_error("the commit is not in the file", "file", environment->file, "commit", log_number(transaction));
        return failure_result(FAILURE_STORAGE);
    }
    if (is_written && !commit_mark_write(log->mark_descriptor, &mark)) mark_unwritable(log);
    pthread_mutex_lock(&log->mark_mutex);
    log->mark = mark;
    log->has_mark = true;
    pthread_mutex_unlock(&log->mark_mutex);
    return RESULT_OK;
}

/* With the mutex held no second commit can follow the marked one, so its meta page is not written meanwhile. */
result log_environment_check(struct log_environment *log) {
    const struct environment *environment = &log->environment;
    result outcome = RESULT_OK;
    pthread_mutex_lock(&log->mark_mutex);
    if (log->has_mark) outcome = commit_mark_check(environment->descriptor, environment->page_bytes, &log->mark);
    pthread_mutex_unlock(&log->mark_mutex);
    if (!failed(outcome)) return RESULT_OK;
    log_error("the pages that lead to all others are damaged", "file", environment->file);
    return failure_result(FAILURE_STORAGE);
}
