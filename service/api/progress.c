#include "service/api/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/base/thread.h"

#define NANOSECONDS_PER_MILLISECOND 1000000
#define NANOSECONDS_PER_SECOND      1000000000

struct progress {
    daybook_server_stream *stream;
    struct progress_job job;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool has_started;
    bool has_ended;
    bool is_in_flight;
    bool is_cancelled;
    bool has_failed;
    struct error error;
};

static void message_sent(daybook_server_stream *stream, bool ok, void *context) {
    struct progress *progress = context;
    (void)stream;
    (void)ok; /* a client that has gone is told of by on_cancelled */
    pthread_mutex_lock(&progress->mutex);
    progress->is_in_flight = false;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->mutex);
}

/* Without the mutex while it sends: the server's own locks are its business. */
static void message_send(struct progress *progress, bool is_last) {
    progress->is_in_flight = true;
    pthread_mutex_unlock(&progress->mutex);
    progress->job.send(progress->job.context, progress->stream, is_last, message_sent, progress);
    pthread_mutex_lock(&progress->mutex);
}

/* Waits for the next message's time, or for the end. */
static void interval_wait(struct progress *progress) {
    const int64_t until_ns = clock_monotonic_ns() + (int64_t)PROGRESS_INTERVAL_MS * NANOSECONDS_PER_MILLISECOND;
    const struct timespec until = {.tv_sec = until_ns / NANOSECONDS_PER_SECOND,
                                   .tv_nsec = until_ns % NANOSECONDS_PER_SECOND};
    int outcome = 0;
    while (!progress->has_ended && outcome == 0) {
        outcome = pthread_cond_timedwait(&progress->changed, &progress->mutex, &until);
    }
}

static void *report(void *context) {
    struct progress *progress = context;
    pthread_mutex_lock(&progress->mutex);
    while (!progress->has_started) pthread_cond_wait(&progress->changed, &progress->mutex);
    while (!progress->has_ended) {
        if (!progress->is_in_flight && !progress->is_cancelled) message_send(progress, false);
        interval_wait(progress);
    }
    while (progress->is_in_flight) pthread_cond_wait(&progress->changed, &progress->mutex);
    const bool has_failed = progress->has_failed;
    if (!has_failed && !progress->is_cancelled) message_send(progress, true);
    while (progress->is_in_flight) pthread_cond_wait(&progress->changed, &progress->mutex);
    const struct error error = progress->error;
    daybook_server_stream *stream = progress->stream;
    pthread_mutex_unlock(&progress->mutex);
    /* From here on the stream's end may free the progress. */
    if (has_failed) {
        error_finish(stream, &error);
    } else {
        daybook_server_stream_finish(stream, DAYBOOK_OK, "", NULL, 0);
    }
    return NULL;
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    struct progress *progress = context;
    (void)stream;
    pthread_mutex_lock(&progress->mutex);
    progress->is_cancelled = true;
    if (progress->has_started) progress->job.cancel(progress->job.context);
    pthread_mutex_unlock(&progress->mutex);
}

static void on_closed(void *context) {
    struct progress *progress = context;
    pthread_cond_destroy(&progress->changed);
    pthread_mutex_destroy(&progress->mutex);
    free(progress);
}

static const daybook_server_stream_events stream_events = {.cancelled = on_cancelled, .closed = on_closed};

static struct progress *progress_new(daybook_server_stream *stream, const struct progress_job *job) {
    struct progress *progress = calloc(1, sizeof *progress);
    if (progress == NULL) return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&progress->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&progress->mutex, NULL);
    progress->stream = stream;
    progress->job = *job;
    return progress;
}

struct progress *progress_open(daybook_server_stream *stream, const struct progress_job *job) {
    struct progress *progress = progress_new(stream, job);
    if (progress != NULL) daybook_server_stream_watch(stream, &stream_events, progress);
    /* Its last act is the end of the stream, which the server's close waits for. */
    const result started = progress == NULL ? failure_result(FAILURE_MEMORY) : thread_start_detached(report, progress);
    if (!failed(started)) return progress;
    struct error error;
    error_of_failure(&error, started.failure);
    error_finish(stream, &error);
    return NULL;
}

/* The thread waits for this before it ends the stream, so that what the handler has is there until its last act. */
static void start(struct progress *progress, const struct error *error) {
    pthread_mutex_lock(&progress->mutex);
    progress->has_started = true;
    if (error != NULL) {
        progress->error = *error;
        progress->has_failed = true;
        progress->has_ended = true;
    } else if (progress->is_cancelled) {
        progress->job.cancel(progress->job.context);
    }
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->mutex);
}

void progress_started(struct progress *progress) {
    start(progress, NULL);
}

void progress_refuse(struct progress *progress, const struct error *error) {
    start(progress, error);
}

void progress_end(struct progress *progress, const struct error *error) {
    pthread_mutex_lock(&progress->mutex);
    progress->has_failed = error != NULL;
    if (error != NULL) progress->error = *error;
    progress->has_ended = true;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->mutex);
}
