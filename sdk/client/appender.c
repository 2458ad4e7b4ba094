/* appender.c: the appender's door: open, submit, flush, close; see appender.h. */
#include "sdk/client/appender.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

#define TIMEOUT_DEFAULT_MS      30000
#define TIMEOUT_MAX_MS          86400000
#define IN_FLIGHT_DEFAULT       1024
#define IN_FLIGHT_BYTES_DEFAULT (UINT64_C(8) << 20)

/* --- The list ------------------------------------------------------------------------------------------------------ */

void daybook__appender_list_add(struct daybook_appender *appender, struct daybook_append *append) {
    append->next = NULL;
    append->before = appender->last;
    if (appender->last == NULL)
        appender->first = append;
    else
        appender->last->next = append;
    appender->last = append;
    appender->count++;
    appender->size_bytes += append->size_bytes;
    if (appender->stream == NULL) return;
    if (appender->send_next == NULL) appender->send_next = append;
    if (appender->answer_next == NULL) appender->answer_next = append;
}

static void list_remove(struct daybook_appender *appender, struct daybook_append *append) {
    assert(appender->send_next != append && appender->answer_next != append);
    if (append->before == NULL)
        appender->first = append->next;
    else
        append->before->next = append->next;
    if (append->next == NULL)
        appender->last = append->before;
    else
        append->next->before = append->before;
    appender->count--;
    appender->size_bytes -= append->size_bytes;
}

void daybook__appender_end(struct daybook_appender *appender, struct daybook_append *append) {
    daybook__append_end(append);
    pthread_mutex_lock(&appender->mutex);
    list_remove(appender, append);
    pthread_cond_signal(&appender->room);
    pthread_cond_broadcast(&appender->quiet);
    pthread_mutex_unlock(&appender->mutex);
    daybook__append_unref(append);
}

/* --- Open ------------------------------------------------------------------------------------------------------------ */

static struct daybook_appender *appender_free(struct daybook_appender *appender) {
    pthread_cond_destroy(&appender->quiet);
    pthread_cond_destroy(&appender->work);
    pthread_cond_destroy(&appender->sendable);
    pthread_cond_destroy(&appender->room);
    pthread_mutex_destroy(&appender->mutex);
    free(appender);
    return NULL;
}

static struct daybook_appender *appender_new(daybook_client *client, const daybook_appender_options *options) {
    struct daybook_appender *appender = calloc(1, sizeof *appender);
    if (appender == NULL) return NULL;
    appender->client = client;
    appender->timeout_ms = options->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : options->timeout_ms;
    appender->in_flight_max = options->in_flight_max == 0 ? IN_FLIGHT_DEFAULT : options->in_flight_max;
    appender->in_flight_bytes_max =
        options->in_flight_bytes_max == 0 ? IN_FLIGHT_BYTES_DEFAULT : options->in_flight_bytes_max;
    appender->disconnected = options->disconnected;
    appender->context = options->context;
    daybook__backoff_init(&appender->backoff, options->backoff_max_ms);
    pthread_mutex_init(&appender->mutex, NULL);
    daybook__clock_condition_init(&appender->room);
    daybook__clock_condition_init(&appender->sendable);
    daybook__clock_condition_init(&appender->work);
    daybook__clock_condition_init(&appender->quiet);
    return appender;
}

/* Tells both threads to end, now. */
static void abandon(struct daybook_appender *appender) {
    pthread_mutex_lock(&appender->mutex);
    appender->closing = true;
    appender->abandoning = true;
    if (appender->stream != NULL) daybook_v1_EventStore_AppendMany_cancel(appender->stream);
    if (appender->probe != NULL) daybook_call_cancel(appender->probe);
    pthread_cond_broadcast(&appender->sendable);
    pthread_cond_broadcast(&appender->work);
    pthread_mutex_unlock(&appender->mutex);
}

static bool threads_create(struct daybook_appender *appender) {
    if (pthread_create(&appender->receiver, NULL, daybook__appender_receive, appender) != 0) return false;
    if (pthread_create(&appender->sender, NULL, daybook__appender_send, appender) == 0) return true;
    abandon(appender);
    pthread_join(appender->receiver, NULL);
    return false;
}

/* Signals are for the program's own threads, but for what a thread's own fault raises. */
static bool threads_start(struct daybook_appender *appender) {
    static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (size_t index = 0; index < sizeof faults / sizeof faults[0]; index++) sigdelset(&blocked, faults[index]);
    int error = pthread_sigmask(SIG_BLOCK, &blocked, &before);
    assert(error == 0);
    const bool started = threads_create(appender);
    error = pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(error == 0);
    return started;
}

daybook_appender *daybook_appender_open(daybook_client *client, const daybook_appender_options *options,
                                        daybook_status *ret_status) {
    static const daybook_appender_options defaults = {.timeout_ms = 0};
    if (options == NULL) options = &defaults;
    if (options->timeout_ms > TIMEOUT_MAX_MS) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "timeout_ms is %u, more than %d", options->timeout_ms,
                           TIMEOUT_MAX_MS);
        return NULL;
    }
    struct daybook_appender *appender = appender_new(client, options);
    if (appender != NULL && !threads_start(appender)) appender = appender_free(appender);
    if (appender == NULL)
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory or thread for an appender");
    return appender;
}

/* --- Submit ---------------------------------------------------------------------------------------------------------- */

static bool has_room(const struct daybook_appender *appender, size_t size_bytes) {
    if (appender->count == 0) return true;
    return appender->count < appender->in_flight_max &&
           appender->size_bytes + size_bytes <= appender->in_flight_bytes_max;
}

/* Waits for room; locked. False: there is none in time. */
static bool wait_room(struct daybook_appender *appender, size_t size_bytes, uint32_t wait_ms) {
    if (has_room(appender, size_bytes)) return true;
    if (wait_ms == 0) return false;
    assert(!pthread_equal(pthread_self(), appender->receiver));
    const int64_t until_ms = daybook__clock_after_ms(wait_ms);
    for (bool in_time = true; in_time;) {
        in_time = daybook__clock_condition_wait(&appender->room, &appender->mutex, until_ms);
        if (has_room(appender, size_bytes)) return true;
    }
    /* The signal that came too late for this one may do for another, whose append is smaller. */
    pthread_cond_signal(&appender->room);
    return false;
}

/* Puts the append into the list, which has room; locked. */
static void enter(struct daybook_appender *appender, struct daybook_append *append) {
    const bool was_empty = appender->first == NULL;
    append->number = ++appender->numbers_count;
    append->deadline_ms = daybook__clock_after_ms(appender->timeout_ms);
    daybook__append_ref(append); /* the list's; the first one is the program's */
    daybook__appender_list_add(appender, append);
    if (appender->stream != NULL)
        pthread_cond_signal(&appender->sendable);
    else if (was_empty)
        pthread_cond_signal(&appender->work);
}

daybook_write daybook_appender_submit(daybook_appender *appender, const daybook_v1_AppendRequest *request,
                                      uint32_t wait_ms, daybook_append **ret_append, daybook_status *ret_status) {
    struct daybook_append *append = daybook__append_new(request, ret_status);
    if (append == NULL) return DAYBOOK_WRITE_REFUSED;
    pthread_mutex_lock(&appender->mutex);
    daybook_write found = DAYBOOK_WRITE_TAKEN;
    if (appender->closing) {
        found = DAYBOOK_WRITE_OVER;
    } else if (!wait_room(appender, append->size_bytes, wait_ms)) {
        found = DAYBOOK_WRITE_TIMEOUT;
    } else if (!daybook__append_assign_ids(append, &appender->uuids)) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory or no random bytes for ids");
        found = DAYBOOK_WRITE_REFUSED;
    } else {
        enter(appender, append);
    }
    pthread_mutex_unlock(&appender->mutex);
    if (found == DAYBOOK_WRITE_TAKEN)
        *ret_append = append;
    else
        daybook__append_unref(append);
    return found;
}

static daybook_v1_AppendRequest *events_request(const char *stream, const daybook_v1_Event *const *events, size_t count,
                                                upb_Arena *arena) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    daybook_v1_Write *write = request == NULL ? NULL : daybook_v1_AppendRequest_add_writes(request, arena);
    daybook_v1_Event **places = write == NULL ? NULL : daybook_v1_Write_resize_events(write, count, arena);
    if (places == NULL) return NULL;
    daybook_v1_Write_set_stream(write, upb_StringView_FromString(stream));
    /* They are only read: submit copies the request. */
    for (size_t index = 0; index < count; index++) places[index] = (daybook_v1_Event *)(uintptr_t)events[index];
    return request;
}

daybook_write daybook_appender_submit_events(daybook_appender *appender, const char *stream,
                                             const daybook_v1_Event *const *events, size_t count, uint32_t wait_ms,
                                             daybook_append **ret_append, daybook_status *ret_status) {
    assert(count > 0);
    upb_Arena *arena = upb_Arena_New();
    const daybook_v1_AppendRequest *request = arena == NULL ? NULL : events_request(stream, events, count, arena);
    daybook_write found = DAYBOOK_WRITE_REFUSED;
    if (request == NULL)
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for an append");
    else
        found = daybook_appender_submit(appender, request, wait_ms, ret_append, ret_status);
    if (arena != NULL) upb_Arena_Free(arena);
    return found;
}

/* --- The end ----------------------------------------------------------------------------------------------------------- */

/* Waits until nothing up to a number is in the list; locked. */
static bool wait_ended(struct daybook_appender *appender, uint64_t number, int64_t until_ms) {
    assert(!pthread_equal(pthread_self(), appender->receiver));
    for (bool in_time = true;;) {
        if (appender->first == NULL || appender->first->number > number) return true;
        if (!in_time) return false;
        in_time = daybook__clock_condition_wait(&appender->quiet, &appender->mutex, until_ms);
    }
}

bool daybook_appender_flush(daybook_appender *appender, uint32_t wait_ms) {
    const int64_t until_ms = daybook__clock_after_ms(wait_ms);
    pthread_mutex_lock(&appender->mutex);
    const bool flushed = wait_ended(appender, appender->numbers_count, until_ms);
    pthread_mutex_unlock(&appender->mutex);
    return flushed;
}

daybook_appender *daybook_appender_close(daybook_appender *appender, uint32_t grace_ms) {
    if (appender == NULL) return NULL;
    const int64_t until_ms = daybook__clock_after_ms(grace_ms);
    pthread_mutex_lock(&appender->mutex);
    bool in_time = wait_ended(appender, appender->numbers_count, until_ms);
    /* A completion may submit until here, and is the last one then. */
    appender->closing = true;
    appender->half_close = true;
    pthread_cond_broadcast(&appender->sendable);
    pthread_cond_broadcast(&appender->work);
    while (in_time && !appender->over) {
        in_time = daybook__clock_condition_wait(&appender->quiet, &appender->mutex, until_ms);
    }
    pthread_mutex_unlock(&appender->mutex);
    abandon(appender);
    pthread_join(appender->receiver, NULL);
    pthread_join(appender->sender, NULL);
    assert(appender->first == NULL);
    appender_free(appender);
    return NULL;
}
