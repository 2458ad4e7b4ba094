#include "service/base/result.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static const char *const failure_names[] = {
    [FAILURE_NONE] = "none",
    [FAILURE_MEMORY] = "out_of_memory",
    [FAILURE_STORAGE] = "storage_failed",
    [FAILURE_STORAGE_FULL] = "storage_full",
    [FAILURE_CORRUPT] = "storage_corrupt",
    [FAILURE_NOT_FOUND] = "not_found",
    [FAILURE_LIMIT] = "limit_reached",
    [FAILURE_INPUT] = "bad_input",
    [FAILURE_BUSY] = "busy",
    [FAILURE_FORMAT] = "wrong_format",
    [FAILURE_STOPPED] = "stopped",
    [FAILURE_NOT_READY] = "not_ready",
};

const char *failure_name(enum failure failure) {
    assert((size_t)failure < sizeof failure_names / sizeof failure_names[0]);
    return failure_names[failure];
}

void problem_set(struct problem *ret_problem, const char *format, ...) {
    if (ret_problem == NULL) return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_problem->text, sizeof ret_problem->text, format, arguments);
    va_end(arguments);
}
