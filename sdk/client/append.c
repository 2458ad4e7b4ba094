/* append.c: the future; see append.h. */
#include "sdk/client/append.h"

#include <assert.h>
#include <stdlib.h>

#include "sdk/base/clock.h"

/* A UUID as a field, and what the lengths around it may grow by. */
#define ID_FIELD_BYTES (UUID_TEXT_BYTES + 8)

/* --- Memory -------------------------------------------------------------------------------------------------------- */

static struct daybook_append *append_free(struct daybook_append *append) {
    if (append == NULL) return NULL;
    if (append->arena != NULL) upb_Arena_Free(append->arena);
    pthread_cond_destroy(&append->changed);
    pthread_mutex_destroy(&append->mutex);
    free(append);
    return NULL;
}

void daybook__append_ref(struct daybook_append *append) {
    pthread_mutex_lock(&append->mutex);
    append->owners_count++;
    pthread_mutex_unlock(&append->mutex);
}

void daybook__append_unref(struct daybook_append *append) {
    pthread_mutex_lock(&append->mutex);
    assert(append->owners_count > 0);
    const bool last = --append->owners_count == 0;
    pthread_mutex_unlock(&append->mutex);
    if (last) append_free(append);
}

static struct daybook_append *append_alloc(void) {
    struct daybook_append *append = calloc(1, sizeof *append);
    if (append == NULL) return NULL;
    pthread_mutex_init(&append->mutex, NULL);
    daybook__clock_condition_init(&append->changed);
    append->owners_count = 1;
    append->arena = upb_Arena_New();
    return append->arena == NULL ? append_free(append) : append;
}

static size_t events_without_id_count(const daybook_v1_AppendRequest *request, size_t *ret_writes_count) {
    size_t count = 0;
    const daybook_v1_Write *const *writes = daybook_v1_AppendRequest_writes(request, ret_writes_count);
    for (size_t write = 0; write < *ret_writes_count; write++) {
        size_t events_count;
        const daybook_v1_Event *const *events = daybook_v1_Write_events(writes[write], &events_count);
        for (size_t index = 0; index < events_count; index++) {
            if (daybook_v1_Event_id(events[index]).size == 0) count++;
        }
    }
    return count;
}

/* Its own copy, made of what would be sent: a request that cannot be sent fails here. */
static bool request_copy(struct daybook_append *append, const daybook_v1_AppendRequest *request,
                         daybook_status *ret_status) {
    size_t size = 0;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, append->arena, &size);
    if (encoded == NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "the request cannot be encoded");
        return false;
    }
    append->request =
        daybook_v1_AppendRequest_parse_ex(encoded, size, NULL, kUpb_DecodeOption_AliasString, append->arena);
    if (append->request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "the request holds text that is not UTF-8");
        return false;
    }
    append->size_bytes = size + ID_FIELD_BYTES * events_without_id_count(append->request, &append->writes_count);
    if (append->size_bytes <= DAYBOOK_APPEND_BYTES_MAX) return true;
    daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "the request has %zu bytes, more than %d",
                       append->size_bytes, DAYBOOK_APPEND_BYTES_MAX);
    return false;
}

struct daybook_append *daybook__append_new(const daybook_v1_AppendRequest *request, daybook_status *ret_status) {
    struct daybook_append *append = append_alloc();
    if (append == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for an append");
        return NULL;
    }
    return request_copy(append, request, ret_status) ? append : append_free(append);
}

bool daybook__append_assign_ids(struct daybook_append *append, struct uuid_source *source) {
    const uint64_t unix_ms = (uint64_t)daybook__clock_unix_ms();
    size_t writes_count;
    daybook_v1_Write **writes = daybook_v1_AppendRequest_mutable_writes(append->request, &writes_count);
    for (size_t write = 0; write < writes_count; write++) {
        size_t events_count;
        daybook_v1_Event **events = daybook_v1_Write_mutable_events(writes[write], &events_count);
        for (size_t index = 0; index < events_count; index++) {
            if (daybook_v1_Event_id(events[index]).size > 0) continue;
            char *text = upb_Arena_Malloc(append->arena, UUID_TEXT_BYTES);
            if (text == NULL || !daybook__uuid_next(source, unix_ms, text)) return false;
            daybook_v1_Event_set_id(events[index], upb_StringView_FromDataAndSize(text, UUID_TEXT_BYTES));
        }
    }
    return true;
}

/* --- The end ------------------------------------------------------------------------------------------------------- */

/* Runs `done`, which was taken out of the append, and leaves it unlocked. */
static void run_unlock(struct daybook_append *append, daybook_append_done *done) {
    if (done != NULL) {
        append->running = true;
        append->runner = pthread_self();
        /* It may free the append, as an owner among others: whoever runs this is another. */
        append->owners_count++;
        void *context = append->context;
        pthread_mutex_unlock(&append->mutex);
        done(append, context);
        pthread_mutex_lock(&append->mutex);
        append->running = false;
    }
    append->told = true;
    pthread_cond_broadcast(&append->changed);
    pthread_mutex_unlock(&append->mutex);
    if (done != NULL) daybook__append_unref(append);
}

static daybook_append_done *done_take(struct daybook_append *append) {
    daybook_append_done *done = append->done;
    append->done = NULL;
    return done;
}

void daybook__append_end(struct daybook_append *append) {
    pthread_mutex_lock(&append->mutex);
    assert(!append->ended);
    append->ended = true;
    run_unlock(append, done_take(append));
}

void daybook_append_on_done(daybook_append *append, daybook_append_done *done, void *context) {
    pthread_mutex_lock(&append->mutex);
    assert(!append->has_done);
    append->has_done = true;
    append->context = context;
    if (append->ended) {
        run_unlock(append, done);
        return;
    }
    append->done = done;
    pthread_mutex_unlock(&append->mutex);
}

bool daybook_append_wait(daybook_append *append, uint32_t wait_ms) {
    const int64_t until_ms = daybook__clock_after_ms(wait_ms);
    pthread_mutex_lock(&append->mutex);
    bool in_time = wait_ms > 0;
    while ((!append->ended || append->running || !append->told) && in_time) {
        assert(!append->running || !pthread_equal(append->runner, pthread_self()));
        in_time = daybook__clock_condition_wait(&append->changed, &append->mutex, until_ms);
    }
    const bool over = append->ended && append->told && !append->running;
    pthread_mutex_unlock(&append->mutex);
    return over;
}

daybook_append *daybook_append_free(daybook_append *append) {
    if (append == NULL) return NULL;
    pthread_mutex_lock(&append->mutex);
    append->done = NULL;
    while (append->running && !pthread_equal(append->runner, pthread_self())) {
        pthread_cond_wait(&append->changed, &append->mutex);
    }
    pthread_mutex_unlock(&append->mutex);
    daybook__append_unref(append);
    return NULL;
}

/* --- What it holds ------------------------------------------------------------------------------------------------- */

/* Asserts the end, and sees everything that was written before it. */
static const struct daybook_append *ended(const daybook_append *append) {
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&append->mutex;
    pthread_mutex_lock(mutex);
    assert(append->ended);
    pthread_mutex_unlock(mutex);
    return append;
}

const daybook_status *daybook_append_status(const daybook_append *append) {
    return &ended(append)->status;
}

const daybook_v1_AppendResponse *daybook_append_result(const daybook_append *append) {
    return ended(append)->response;
}

const daybook_v1_AppendConflicts *daybook_append_conflicts(const daybook_append *append) {
    return ended(append)->conflicts;
}

const daybook_v1_AppendRequest *daybook_append_request(const daybook_append *append) {
    return append->request;
}

uint32_t daybook_append_attempts_count(const daybook_append *append) {
    return ended(append)->attempts_count;
}
