/* server.c: the server's life: open, services, start, drain, close. */
#include "sdk/runtime/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/clock.h"
#include "sdk/runtime/health.h"
#include "sdk/runtime/reflection.h"
#include "sdk/runtime/server_accept.h"
#include "sdk/runtime/server_arguments.h"
#include "sdk/runtime/server_call.h"
#include "sdk/runtime/server_tls.h"

/* Far longer than a client takes to send its next call after an answer, for machines that have other things to do. */
#define QUIET_MS 50u

static void complete_shutdown(struct loop_operation *operation, bool ok) {
    assert(ok);
    struct daybook_server *server =
        (struct daybook_server *)(void *)((char *)operation - offsetof(struct daybook_server, shutdown));
    pthread_mutex_lock(&server->mutex);
    server->core_is_down = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

void daybook__server_queue_has_become_idle(struct daybook_server *server) {
    pthread_mutex_lock(&server->mutex);
    server->queues_idle++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mutex);
}

/* --- Open --------------------------------------------------------------------------------------------------------- */

/* Frees what `open` has made; the core must be down, if there is one. */
static void free_server(struct daybook_server *server) {
    if (server->core != NULL) grpc_server_destroy(server->core);
    daybook__server_tls_close(server->tls);
    daybook__loops_close(server->loops, server->queues_count);
    for (uint32_t i = 0; i < server->queues_count; i++) daybook__server_queue_close(&server->queues[i]);
    daybook__server_accept_close(server);
    daybook__reflection_close(server->reflection);
    daybook__health_close(server->health);
    free(server->queues);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mutex);
    free(server);
    daybook__core_unref();
}

static bool open_queues(struct daybook_server *server, uint32_t count, daybook_status *ret_status) {
    server->queues = aligned_alloc(_Alignof(struct server_queue), count * sizeof *server->queues);
    if (server->queues == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the server's queues");
        return false;
    }
    memset(server->queues, 0, count * sizeof *server->queues);
    while (server->queues_count < count) {
        struct server_queue *queue = &server->queues[server->queues_count];
        if (!daybook__server_queue_open(queue, server, server->queues_count, ret_status)) return false;
        queue->answers.sum = &server->answers;
        server->queues_count++;
        grpc_server_register_completion_queue(server->core, queue->loop->queue, NULL);
    }
    return true;
}

daybook_server *daybook_server_open(const daybook_server_options *options, daybook_status *ret_status) {
    daybook_server_options resolved;
    if (!daybook__server_options_resolve(options, &resolved, ret_status)) return NULL;
    struct daybook_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the server");
        return NULL;
    }
    daybook__core_ref();
    daybook__clock_condition_init(&server->changed);
    pthread_mutex_init(&server->mutex, NULL);
    server->shutdown.complete = complete_shutdown;
    server->request_memory_bytes_max = resolved.request_memory_bytes_max;
    server->without_reflection = resolved.without_reflection != 0;
    server->load.calls_max = resolved.unary_calls_max;
    server->load.bytes_max = resolved.unary_bytes_max;
    /* Half of the calls are for those who take their answers. An answer holds its request, too. */
    server->answers.count_max = resolved.unary_calls_max / 2;
    server->answers.held_bytes_max = 2 * resolved.unary_bytes_max;
    server->core = daybook__server_core_create(&resolved);
    if ((resolved.tls != NULL && !daybook__server_tls_open(&resolved, &server->tls, ret_status)) ||
        !open_queues(server, resolved.threads_count, ret_status) ||
        !daybook__server_core_listen(server->core, &resolved, server->tls, &server->port, ret_status)) {
        /* Without a queue there is no listener either, so nothing has to be shut down. */
        if (server->queues_count > 0) return daybook_server_close(server);
        free_server(server);
        return NULL;
    }
    return server;
}

/* --- Services and start ------------------------------------------------------------------------------------------- */

static bool has_service(const struct daybook_server *server, const char *full_name) {
    for (size_t i = 0; i < server->services_count; i++) {
        if (strcmp(server->services[i]->full_name, full_name) == 0) return true;
    }
    return false;
}

static grpc_server_register_method_payload_handling payload_of(daybook_method_kind kind) {
    return kind == DAYBOOK_METHOD_UNARY || kind == DAYBOOK_METHOD_SERVER_STREAMING
               ? GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER
               : GRPC_SRM_PAYLOAD_NONE;
}

bool daybook_server_add_service(daybook_server *server, const daybook_service *service, const void *handlers,
                                void *context, daybook_status *ret_status) {
    assert(!server->started);
    if (has_service(server, service->full_name)) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "the service %s was added already",
                           service->full_name);
        return false;
    }
    if (server->services_count == DAYBOOK__SERVICES_MAX ||
        service->methods_count > DAYBOOK__METHODS_MAX - server->methods_count) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED,
                           "%s is too much: a server has at most %u services with %u methods", service->full_name,
                           DAYBOOK__SERVICES_MAX, DAYBOOK__METHODS_MAX);
        return false;
    }
    server->services[server->services_count++] = service;
    for (size_t i = 0; i < service->methods_count; i++) {
        const daybook_method *method = &service->methods[i];
        void *registered = grpc_server_register_method(server->core, method->path, NULL, payload_of(method->kind), 0);
        assert(registered != NULL); /* A path holds its service's name, and that is new. */
        server->methods[server->methods_count++] = (struct server_method){
            .method = method, .handlers = handlers, .context = context, .registered = registered};
    }
    return true;
}

bool daybook_server_start(daybook_server *server, daybook_status *ret_status) {
    assert(!server->started && server->health == NULL);
    server->methods_added_count = server->methods_count;
    server->health = daybook__health_open(server, ret_status);
    if (server->health == NULL) return false;
    if (!server->without_reflection) {
        server->reflection = daybook__reflection_open(server, ret_status);
        if (server->reflection == NULL) return false;
    }
    if (server->tls != NULL && !daybook__server_tls_watch(server->tls, ret_status)) return false;
    if (!daybook__server_accept_open(server, ret_status)) return false;
    daybook__health_start(server->health);
    server->started = true;
    grpc_server_start(server->core);
    daybook__server_accept_arm(server);
    return true;
}

void daybook_server_set_admission(daybook_server *server, daybook_server_admit *admit, void *context) {
    assert(!server->started);
    server->admit = admit;
    server->admit_context = context;
}

uint16_t daybook_server_port(const daybook_server *server) {
    return server->port;
}

void daybook_server_set_serving(daybook_server *server, const char *service, bool serving) {
    assert(server->started);
    daybook__health_set(server->health, service, serving);
}

daybook_server_counts daybook_server_count(const daybook_server *server) {
    daybook_server_counts counts = {0};
    for (uint32_t i = 0; i < server->queues_count; i++) {
        const struct server_queue *queue = &server->queues[i];
        uint64_t ended = atomic_load_explicit(&queue->calls_ended, memory_order_acquire);
        uint64_t started = atomic_load_explicit(&queue->calls_started, memory_order_relaxed);
        counts.calls_started += started;
        counts.calls_failed += atomic_load_explicit(&queue->calls_failed, memory_order_relaxed);
        counts.calls_open += started - ended;
    }
    counts.answers_given_up = atomic_load_explicit(&server->answers.given_up_count, memory_order_relaxed);
    counts.calls_refused = atomic_load_explicit(&server->load.refused_count, memory_order_relaxed);
    counts.unary_open = atomic_load_explicit(&server->load.calls, memory_order_relaxed);
    counts.unary_bytes = atomic_load_explicit(&server->load.bytes, memory_order_relaxed);
    return counts;
}

bool daybook_server_tls_reload(daybook_server *server, daybook_status *ret_status) {
    return server->tls == NULL || daybook__server_tls_reload(server->tls, ret_status);
}

daybook_server_tls_counts daybook_server_tls_count(const daybook_server *server) {
    return server->tls == NULL ? (daybook_server_tls_counts){0} : daybook__server_tls_count(server->tls);
}

/* --- Drain and close ---------------------------------------------------------------------------------------------- */

static bool is_down(const struct daybook_server *server) {
    return server->core_is_down && (!server->started || server->queues_idle == server->queues_count);
}

/* False: calls are still open, or clients still connected. */
static bool wait_until_down(struct daybook_server *server, int64_t until_ms) {
    pthread_mutex_lock(&server->mutex);
    while (!is_down(server) && daybook__clock_condition_wait(&server->changed, &server->mutex, until_ms)) {
    }
    bool down = is_down(server);
    pthread_mutex_unlock(&server->mutex);
    return down;
}

/* Waits until no call has arrived for a while, at most ten times that. */
static void wait_until_quiet(struct daybook_server *server, uint32_t grace_ms) {
    uint32_t wait_ms = grace_ms < QUIET_MS ? grace_ms : QUIET_MS;
    uint32_t count = UINT32_MAX;
    pthread_mutex_lock(&server->mutex);
    for (uint32_t i = 0; i < 10 && count != server->parking.count; i++) {
        count = server->parking.count;
        const int64_t until_ms = daybook__clock_after_ms(wait_ms);
        while (daybook__clock_condition_wait(&server->changed, &server->mutex, until_ms)) {
        }
    }
    pthread_mutex_unlock(&server->mutex);
}

static void drain_services(struct daybook_server *server, uint32_t grace_ms) {
    daybook__health_drain(server->health);
    if (server->reflection != NULL) daybook__reflection_drain(server->reflection);
    atomic_store(&server->draining, true);
    if (grace_ms > 0) wait_until_quiet(server, grace_ms);
}

/* When its shutdown has begun, gRPC resets whatever still arrives, and a client reads that as CANCELLED: it would not try
 * elsewhere. So calls that come late are parked first. A client with all its calls parked sends no more; then the shutdown
 * tells it to go (GOAWAY), and only then its calls are answered with UNAVAILABLE, so that the next go elsewhere. */
void daybook_server_drain(daybook_server *server, uint32_t grace_ms) {
    assert(!atomic_load(&server->draining) && !daybook__loop_is_inside());
    const int64_t until_ms = daybook__clock_after_ms(grace_ms);
    if (server->started)
        drain_services(server, grace_ms);
    else
        atomic_store(&server->draining, true);
    daybook__loop_give(&server->shutdown);
    grpc_server_shutdown_and_notify(server->core, server->loops[0].queue, &server->shutdown);
    daybook__server_call_release_parked(server);
    /* Clients close their connections when their calls have ended; closing on them could cost them an answer that is still
     * in their socket. */
    if (grace_ms > 0 && wait_until_down(server, until_ms)) return;
    grpc_server_cancel_all_calls(server->core);
}

daybook_server *daybook_server_close(daybook_server *server) {
    if (server == NULL) return NULL;
    if (!atomic_load(&server->draining)) daybook_server_drain(server, 0);
    bool down = wait_until_down(server, CLOCK_NEVER_MS);
    assert(down);
    free_server(server);
    return NULL;
}
