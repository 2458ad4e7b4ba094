#include "service/api/lists.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "service/api/errors.h"
#include "service/base/limits.h"
#include "service/base/thread.h"

struct job {
    struct job *next;
    const struct api *api;
    lists_answer *answer;
    daybook_server_call *call;
    const void *request;
};

struct lists {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* Guarded by mutex. */
    struct job *first;
    struct job **end; /* where the next job is hung up */
    uint32_t count;
    bool is_closing;
};

/* The next job; NULL: the lists close and there is none left. */
static struct job *job_wait(struct lists *lists) {
    pthread_mutex_lock(&lists->mutex);
    while (lists->first == NULL && !lists->is_closing) pthread_cond_wait(&lists->work, &lists->mutex);
    struct job *job = lists->first;
    if (job != NULL) {
        lists->first = job->next;
        if (lists->first == NULL) lists->end = &lists->first;
        lists->count--;
    }
    pthread_mutex_unlock(&lists->mutex);
    return job;
}

static void *thread_run(void *argument) {
    struct lists *lists = argument;
    for (struct job *job = job_wait(lists); job != NULL; job = job_wait(lists)) {
        job->answer(job->api, job->call, job->request); /* the job is gone with its call then */
    }
    return NULL;
}

result lists_open(struct lists **ret_lists) {
    struct lists *lists = calloc(1, sizeof *lists);
    if (lists == NULL) return failure_result(FAILURE_MEMORY);
    lists->end = &lists->first;
    pthread_mutex_init(&lists->mutex, NULL);
    pthread_cond_init(&lists->work, NULL);
    const result started = thread_start("lists", thread_run, lists, &lists->thread);
    if (failed(started)) {
        pthread_cond_destroy(&lists->work);
        pthread_mutex_destroy(&lists->mutex);
        free(lists);
        return started;
    }
    *ret_lists = lists;
    return RESULT_OK;
}

struct lists *lists_close(struct lists *lists) {
    if (lists == NULL) return NULL;
    pthread_mutex_lock(&lists->mutex);
    lists->is_closing = true;
    pthread_cond_signal(&lists->work);
    pthread_mutex_unlock(&lists->mutex);
    pthread_join(lists->thread, NULL);
    assert(lists->count == 0);
    pthread_cond_destroy(&lists->work);
    pthread_mutex_destroy(&lists->mutex);
    free(lists);
    return NULL;
}

void lists_submit(const struct api *api, lists_answer *answer, daybook_server_call *call, const void *request) {
    struct lists *lists = api->lists;
    struct job *job = upb_Arena_Malloc(daybook_server_call_arena(call), sizeof *job);
    if (job == NULL) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    *job = (struct job){.api = api, .answer = answer, .call = call, .request = request};
    pthread_mutex_lock(&lists->mutex);
    const bool has_room = lists->count < LISTS_WAITING_COUNT_MAX;
    if (has_room) {
        *lists->end = job;
        lists->end = &job->next;
        lists->count++;
        pthread_cond_signal(&lists->work);
    }
    pthread_mutex_unlock(&lists->mutex);
    if (has_room) return;
    struct error error;
    error_set(&error, REASON_QUEUE_FULL, "%d lists are waiting, no more are taken; retry", LISTS_WAITING_COUNT_MAX);
    error_fail(call, &error);
}
