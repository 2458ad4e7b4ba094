/* health.c: a table of names, and watchers that are sent what the table says of theirs.
 *
 * A watcher has one message in flight. Whenever that has left, or the table changes, it is compared with what it was sent
 * last: a client that reads slowly misses states in between, never the last one. */
#include "sdk/runtime/health.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.grpc.h"

#define STATUS_SERVING     grpc_health_v1_HealthCheckResponse_SERVING
#define STATUS_NOT_SERVING grpc_health_v1_HealthCheckResponse_NOT_SERVING
#define STATUS_UNKNOWN     grpc_health_v1_HealthCheckResponse_SERVICE_UNKNOWN

/* A HealthCheckResponse and its arena. */
#define RESPONSE_BLOCK_BYTES 512u

/* "" and the services come before the program's own names. */
#define NAMES_MAX (1u + DAYBOOK__SERVICES_MAX + DAYBOOK__HEALTH_NAMES_MAX)

struct health_name {
    const char *text;
    bool serving;
};

struct watcher {
    struct watcher *previous;
    struct watcher *next;
    struct health *health;
    daybook_server_stream *stream;
    upb_StringView name; /* of the request, which lives as long as the stream */
    int32_t status_sent; /* -1: none */
    bool is_sending;
    bool is_finished;
};

struct health {
    struct daybook_server *server;
    pthread_mutex_t mutex; /* guards everything below */
    bool draining;
    struct health_name names[NAMES_MAX];
    size_t names_count;
    char names_own[DAYBOOK__HEALTH_NAMES_MAX][DAYBOOK__HEALTH_NAME_BYTES_MAX + 1];
    size_t names_own_count;
    struct watcher *watchers;
    size_t watchers_count;
};

static bool is_named(const struct health_name *name, upb_StringView text) {
    return strlen(name->text) == text.size && memcmp(name->text, text.data, text.size) == 0;
}

static struct health_name *find(struct health *health, upb_StringView text) {
    for (size_t i = 0; i < health->names_count; i++) {
        if (is_named(&health->names[i], text)) return &health->names[i];
    }
    return NULL;
}

static int32_t status_of(struct health *health, upb_StringView text) {
    const struct health_name *name = find(health, text);
    if (name == NULL) return STATUS_UNKNOWN;
    return name->serving && !health->draining ? STATUS_SERVING : STATUS_NOT_SERVING;
}

/* A response in the caller's block, to be serialised before that goes. */
static const grpc_health_v1_HealthCheckResponse *response_of(void *block, int32_t status) {
    upb_Arena *arena = upb_Arena_Init(block, RESPONSE_BLOCK_BYTES, NULL);
    grpc_health_v1_HealthCheckResponse *response = grpc_health_v1_HealthCheckResponse_new(arena);
    assert(response != NULL);
    grpc_health_v1_HealthCheckResponse_set_status(response, status);
    return response;
}

/* --- Check -------------------------------------------------------------------------------------------------------- */

static void handle_check(void *context, daybook_server_call *call, const grpc_health_v1_HealthCheckRequest *request) {
    struct health *health = context;
    pthread_mutex_lock(&health->mutex);
    int32_t status = status_of(health, grpc_health_v1_HealthCheckRequest_service(request));
    pthread_mutex_unlock(&health->mutex);
    if (status == STATUS_UNKNOWN) {
        daybook_server_call_fail(call, DAYBOOK_NOT_FOUND, "the health of this service is not known", NULL, 0);
        return;
    }
    _Alignas(16) char block[RESPONSE_BLOCK_BYTES];
    grpc_health_v1_Health_Check_reply(call, response_of(block, status));
}

/* --- Watch; all of it with the health locked ---------------------------------------------------------------------- */

static void finish(struct watcher *watcher, daybook_code code, const char *message) {
    if (watcher->is_finished) return;
    watcher->is_finished = true;
    daybook_server_stream_finish(watcher->stream, code, message, NULL, 0);
}

static void on_sent(daybook_server_stream *stream, bool ok, void *context);

/* Sends what the watcher does not know yet. When the server drains, and it knows that, its stream ends. */
static void update(struct watcher *watcher) {
    if (watcher->is_sending || watcher->is_finished) return;
    int32_t status = status_of(watcher->health, watcher->name);
    if (status != watcher->status_sent) {
        watcher->status_sent = status;
        watcher->is_sending = true;
        _Alignas(16) char block[RESPONSE_BLOCK_BYTES];
        grpc_health_v1_Health_Watch_send(watcher->stream, response_of(block, status), on_sent, watcher);
    } else if (watcher->health->draining) {
        finish(watcher, DAYBOOK_UNAVAILABLE, "the server is draining");
    }
}

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    (void)stream;
    struct watcher *watcher = context;
    pthread_mutex_lock(&watcher->health->mutex);
    watcher->is_sending = false;
    if (ok)
        update(watcher);
    else
        finish(watcher, DAYBOOK_CANCELLED, "the watcher has gone");
    pthread_mutex_unlock(&watcher->health->mutex);
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    (void)stream;
    struct watcher *watcher = context;
    pthread_mutex_lock(&watcher->health->mutex);
    finish(watcher, DAYBOOK_CANCELLED, "the watcher has gone");
    pthread_mutex_unlock(&watcher->health->mutex);
}

static void on_closed(void *context) {
    struct watcher *watcher = context;
    struct health *health = watcher->health;
    pthread_mutex_lock(&health->mutex);
    if (watcher->previous != NULL)
        watcher->previous->next = watcher->next;
    else
        health->watchers = watcher->next;
    if (watcher->next != NULL) watcher->next->previous = watcher->previous;
    health->watchers_count--;
    pthread_mutex_unlock(&health->mutex);
}

static const daybook_server_stream_events watcher_events = {.cancelled = on_cancelled, .closed = on_closed};

static void add(struct health *health, struct watcher *watcher) {
    watcher->next = health->watchers;
    if (watcher->next != NULL) watcher->next->previous = watcher;
    health->watchers = watcher;
    health->watchers_count++;
    daybook_server_stream_watch(watcher->stream, &watcher_events, watcher);
    update(watcher);
}

static void handle_watch(void *context, daybook_server_stream *stream,
                         const grpc_health_v1_HealthCheckRequest *request) {
    struct health *health = context;
    struct watcher *watcher = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *watcher);
    if (watcher == NULL) {
        daybook_server_stream_finish(stream, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for another watcher", NULL, 0);
        return;
    }
    *watcher = (struct watcher){.health = health,
                                .stream = stream,
                                .name = grpc_health_v1_HealthCheckRequest_service(request),
                                .status_sent = -1};
    pthread_mutex_lock(&health->mutex);
    if (health->watchers_count < DAYBOOK__HEALTH_WATCHERS_MAX)
        add(health, watcher);
    else
        finish(watcher, DAYBOOK_RESOURCE_EXHAUSTED, "too many watchers; at most 256 are served");
    pthread_mutex_unlock(&health->mutex);
}

/* --- The server's side -------------------------------------------------------------------------------------------- */

static const grpc_health_v1_Health_handlers handlers = {.Check = handle_check, .Watch = handle_watch};

struct health *daybook__health_open(struct daybook_server *server, daybook_status *ret_status) {
    struct health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the server's health");
        return NULL;
    }
    health->server = server;
    pthread_mutex_init(&health->mutex, NULL);
    if (!grpc_health_v1_Health_serve(server, &handlers, health, ret_status)) return daybook__health_close(health);
    return health;
}

static void update_all(struct health *health) {
    for (struct watcher *watcher = health->watchers; watcher != NULL; watcher = watcher->next) update(watcher);
}

void daybook__health_start(struct health *health) {
    const struct daybook_server *server = health->server;
    pthread_mutex_lock(&health->mutex);
    health->names[health->names_count++] = (struct health_name){.text = "", .serving = true};
    for (size_t i = 0; i < server->services_count; i++) {
        health->names[health->names_count++] =
            (struct health_name){.text = server->services[i]->full_name, .serving = true};
    }
    pthread_mutex_unlock(&health->mutex);
}

/* Copies a name of the program's own into the table. */
static struct health_name *add_name(struct health *health, const char *text) {
    assert(health->names_own_count < DAYBOOK__HEALTH_NAMES_MAX);
    size_t size = strnlen(text, DAYBOOK__HEALTH_NAME_BYTES_MAX + 1);
    assert(size <= DAYBOOK__HEALTH_NAME_BYTES_MAX);
    char *own = health->names_own[health->names_own_count++];
    memcpy(own, text, size + 1);
    struct health_name *name = &health->names[health->names_count++];
    name->text = own;
    return name;
}

void daybook__health_set(struct health *health, const char *text, bool serving) {
    pthread_mutex_lock(&health->mutex);
    struct health_name *name = find(health, upb_StringView_FromString(text));
    if (name == NULL) name = add_name(health, text);
    name->serving = serving;
    update_all(health);
    pthread_mutex_unlock(&health->mutex);
}

void daybook__health_drain(struct health *health) {
    pthread_mutex_lock(&health->mutex);
    health->draining = true;
    update_all(health);
    pthread_mutex_unlock(&health->mutex);
}

struct health *daybook__health_close(struct health *health) {
    if (health == NULL) return NULL;
    assert(health->watchers == NULL);
    pthread_mutex_destroy(&health->mutex);
    free(health);
    return NULL;
}
