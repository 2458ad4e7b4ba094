/* log_environment.c: a log that the store shares with its readers. */
#include <assert.h>
#include <stdlib.h>

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
    free(log);
    return NULL;
}
