/* Backup: a copy of the store, sent part by part; the next part is made when the one before has left. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "service/api/api.h"
#include "service/api/errors.h"
#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/base/logging.h"
#include "service/base/thread.h"
#include "service/feed/feed.h"
#include "service/retention/retention.h"
#include "service/store/backup.h"

#define NANOSECONDS_PER_MILLISECOND 1000000
#define NANOSECONDS_PER_SECOND      1000000000

struct backup_call {
    const struct api *api;
    daybook_server_stream *stream;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool is_sending;
    bool is_cancelled;
};

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    struct backup_call *call = context;
    (void)stream;
    pthread_mutex_lock(&call->mutex);
    call->is_sending = false;
    if (!ok) call->is_cancelled = true;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->mutex);
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    struct backup_call *call = context;
    (void)stream;
    pthread_mutex_lock(&call->mutex);
    call->is_cancelled = true;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->mutex);
}

/* Waits until the last part has left. FAILURE_STOPPED: the client has gone, or the server drains. FAILURE_LIMIT: the client takes
 * nothing, and the retention waits for it. */
static result sent_wait(struct backup_call *call) {
    const int64_t until_ns = clock_monotonic_ns() + (int64_t)BACKUP_STALL_MS * NANOSECONDS_PER_MILLISECOND;
    pthread_mutex_lock(&call->mutex);
    bool is_stalled = false;
    while (call->is_sending && !call->is_cancelled && !is_stalled && !feed_is_draining(call->api->feed)) {
        const int64_t now_ns = clock_monotonic_ns();
        const int64_t wake_ns = now_ns + (int64_t)PROGRESS_INTERVAL_MS * NANOSECONDS_PER_MILLISECOND;
        const struct timespec wake = {.tv_sec = wake_ns / NANOSECONDS_PER_SECOND,
                                      .tv_nsec = wake_ns % NANOSECONDS_PER_SECOND};
        (void)pthread_cond_timedwait(&call->changed, &call->mutex, &wake);
        is_stalled = call->is_sending && now_ns >= until_ns;
    }
    const bool is_stopped = call->is_cancelled || feed_is_draining(call->api->feed);
    pthread_mutex_unlock(&call->mutex);
    if (is_stopped) return failure_result(FAILURE_STOPPED);
    return is_stalled ? failure_result(FAILURE_LIMIT) : RESULT_OK;
}

static void part_send(struct backup_call *call, const struct backup *backup, struct bytes part,
                      daybook_v1_BackupResponse *response) {
    char checksum[DIGEST_TEXT_BYTES + 1];
    daybook_v1_BackupResponse_set_data(response, upb_StringView_FromDataAndSize((const char *)part.data, part.size));
    daybook_v1_BackupResponse_set_position(response, backup_position(backup));
    if (backup_is_last(backup)) {
        backup_checksum(backup, checksum);
        daybook_v1_BackupResponse_set_checksum(response, upb_StringView_FromString(checksum));
    }
    pthread_mutex_lock(&call->mutex);
    call->is_sending = true;
    pthread_mutex_unlock(&call->mutex);
    /* Serialised before it returns: neither the part nor the checksum is needed any more. */
    daybook_v1_Admin_Backup_send(call->stream, response, on_sent, call);
}

static result parts_send(struct backup_call *call, struct backup *backup, daybook_v1_BackupResponse *response) {
    daybook_v1_BackupResponse_set_head(response, backup_head(backup));
    do {
        struct bytes part;
        TRY(backup_next(backup, &part));
        TRY(sent_wait(call));
        part_send(call, backup, part, response);
        daybook_v1_BackupResponse_set_head(response, 0); /* in the first alone */
    } while (!backup_is_last(backup));
    return sent_wait(call);
}

static void error_of_backup(struct error *ret_error, enum failure failure, const struct backup *backup) {
    switch (failure) {
    case FAILURE_BUSY:
        error_set(ret_error, REASON_OPERATION_RUNNING, "a backup is being made already; wait for its end");
        return;
    case FAILURE_LIMIT:
        if (backup == NULL) break;
        error_set(ret_error, REASON_OPERATION_RUNNING,
                  "the backup was given up: its client has taken nothing for %u seconds", BACKUP_STALL_MS / 1000);
        return;
    case FAILURE_CORRUPT:
        if (backup == NULL) {
            error_set(ret_error, REASON_STORAGE_CORRUPT,
                      "a stored row is damaged, so there is no backup; verify tells more, restore an earlier one");
        } else {
            error_set(ret_error, REASON_STORAGE_CORRUPT,
                      "the event at position %" PRIu64
                      " is damaged, so there is no backup; verify tells more, restore an earlier one",
                      backup_position(backup) + 1);
        }
        return;
    case FAILURE_STORAGE_FULL:
        error_set(ret_error, REASON_STORAGE_FULL,
                  "no space is left on the server's disk for the rows of the backup; make space and retry");
        return;
    default:
        break;
    }
    error_of_failure(ret_error, failure);
}

/* Returns whether the backup is complete; else why not. */
static bool backup_make(struct backup_call *call, struct error *ret_error) {
    daybook_v1_BackupResponse *response = daybook_v1_BackupResponse_new(daybook_server_stream_arena(call->stream));
    struct backup *backup = NULL;
    result outcome = response == NULL ? failure_result(FAILURE_MEMORY) : backup_begin(call->api->store, &backup);
    if (!failed(outcome)) outcome = parts_send(call, backup, response);
    if (failed(outcome)) error_of_backup(ret_error, outcome.failure, backup);
    backup_end(backup);
    return !failed(outcome);
}

static void *backup_run(void *context) {
    struct backup_call *call = context;
    struct error error;
    /* Before the snapshot that everything is measured by. */
    retention_pause(call->api->retention);
    const bool is_complete = backup_make(call, &error);
    retention_resume(call->api->retention);
    /* With the finish the stream may close, and `call` be gone. */
    if (is_complete) {
        daybook_server_stream_finish(call->stream, DAYBOOK_OK, "", NULL, 0);
    } else {
        log_info("a backup has ended early", "reason", error.message);
        error_finish(call->stream, &error);
    }
    return NULL;
}

static void on_closed(void *context) {
    struct backup_call *call = context;
    pthread_cond_destroy(&call->changed);
    pthread_mutex_destroy(&call->mutex);
    free(call);
}

static const daybook_server_stream_events stream_events = {.cancelled = on_cancelled, .closed = on_closed};

static struct backup_call *call_new(const struct api *api, daybook_server_stream *stream) {
    struct backup_call *call = calloc(1, sizeof *call);
    if (call == NULL) return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&call->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&call->mutex, NULL);
    call->api = api;
    call->stream = stream;
    return call;
}

void api_backup(void *context, daybook_server_stream *stream, const daybook_v1_BackupRequest *request) {
    struct error error;
    struct backup_call *call = call_new(context, stream);
    (void)request;
    if (call != NULL) {
        daybook_server_stream_watch(stream, &stream_events, call);
        /* Nobody joins it: the server is not closed before its stream has ended. */
        if (!failed(thread_start_detached(backup_run, call))) return;
    }
    error_of_failure(&error, FAILURE_MEMORY);
    error_finish(stream, &error);
}
