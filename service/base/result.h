/* result.h: how a function of the daemon says that it failed.
 *
 * Purpose: operating errors are values that must be used; programmer errors are assertions.
 * Ownership: plain data. Threads: any.
 * Convention: out-parameters are named ret_x, come last and are untouched on failure. */
#ifndef SERVICE_BASE_RESULT_H
#define SERVICE_BASE_RESULT_H

#include <stdbool.h>

enum failure {
    FAILURE_NONE = 0,
    FAILURE_MEMORY,       /* an allocation failed */
    FAILURE_STORAGE,      /* the disk failed: what was written is unknown, the daemon must stop */
    FAILURE_STORAGE_FULL, /* no space left: nothing was written, appends resume when there is space */
    FAILURE_CORRUPT,      /* stored bytes are not what was written */
    FAILURE_NOT_FOUND,    /* there is no such thing */
    FAILURE_LIMIT,        /* a queue, table or buffer is full */
    FAILURE_INPUT,        /* bytes from outside are malformed */
    FAILURE_BUSY,         /* somebody else holds it */
    FAILURE_FORMAT,       /* the store's format is newer than this program, or foreign */
    FAILURE_STOPPED,      /* the daemon is stopping */
    FAILURE_NOT_READY,    /* it is being made; later */
};

/* A struct, so that neither an int nor a bool passes for one by accident. */
typedef struct result {
    enum failure failure;
} result;

#define MUST_USE          __attribute__((warn_unused_result))
#define CLEANUP(function) __attribute__((cleanup(function)))

#define RESULT_OK ((result){FAILURE_NONE})

static inline result failure_result(enum failure failure) {
    return (result){failure};
}

static inline bool failed(result outcome) {
    return outcome.failure != FAILURE_NONE;
}

/* The failure's name for logs, "storage_full". Static text. */
const char *failure_name(enum failure failure);

/* Hands a failure to the caller. */
#define TRY(expression)                                                                                                \
    do {                                                                                                               \
        const result try_outcome = (expression);                                                                       \
        if (failed(try_outcome)) return try_outcome;                                                                   \
    } while (0)

/* One line for the person who starts the daemon: what is wrong and what to do. NULL is allowed where one is filled. */
#define PROBLEM_BYTES 512
struct problem {
    char text[PROBLEM_BYTES];
};
void problem_set(struct problem *ret_problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
