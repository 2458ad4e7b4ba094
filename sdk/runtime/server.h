/* server.h: what the server's files share: the server itself and the methods it serves.
 *
 * Ownership: the program owns the server; queues, methods and requests are parts of it.
 * Threads: everything above the mutex is fixed once the server has started; what is below belongs to it.
 * Errors: as daybook/server.h says. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_H
#define DAYBOOK_SDK_RUNTIME_SERVER_H

#include <pthread.h>

#include "daybook/server.h"
#include "sdk/runtime/options.h"
#include "sdk/runtime/server_queue.h"

/* A server is one program's; a few services of a few methods each. */
#define DAYBOOK__SERVICES_MAX 64u
#define DAYBOOK__METHODS_MAX  512u

struct health;
struct reflection;
struct server_arming;
struct server_tls;

/* A method with the handlers that serve it. */
struct server_method {
    const daybook_method *method;
    const void *handlers;
    void *context;
    void *registered; /* gRPC's handle */
};

/* Calls that arrive while the server drains. They get their answer, UNAVAILABLE, only when their clients have been told to
 * go: see daybook_server_drain. */
struct server_parking {
    daybook_server_call *calls;
    uint32_t count;   /* of all that ever came */
    bool is_released; /* nobody is kept any more */
};

/* Of all unary calls that are open: what they are allowed to be, and what they are. */
struct server_load {
    uint32_t calls_max;
    uint64_t bytes_max;
    _Atomic uint64_t calls;
    _Atomic uint64_t bytes;
    _Atomic uint64_t refused_count;
};

struct daybook_server {
    grpc_server *core;
    struct loop loops[DAYBOOK__THREADS_MAX];
    struct server_queue *queues; /* one for each loop */
    uint32_t queues_count;
    struct server_tls *tls; /* NULL: connections are not encrypted */
    uint16_t port;
    bool started;         /* set when nothing above the mutex changes any more */
    atomic_bool draining; /* calls that arrive now are parked */
    bool without_reflection;
    uint64_t request_memory_bytes_max;

    const daybook_service *services[DAYBOOK__SERVICES_MAX];
    size_t services_count;
    struct server_method methods[DAYBOOK__METHODS_MAX];
    size_t methods_count;
    size_t methods_added_count;  /* the first so many are the program's, the rest health's and reflection's */
    daybook_server_admit *admit; /* NULL: nobody is asked */
    void *admit_context;
    struct server_arming *armings;
    size_t armings_count;

    struct health *health;
    struct reflection *reflection;

    /* How far a shutdown has come. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct server_parking parking;
    struct server_load load;
    struct server_answers_sum answers;
    struct loop_operation shutdown;
    bool core_is_down;
    uint32_t queues_idle;
};

/* A queue says once that nothing is armed nor open on it any more, from its thread. */
void daybook__server_queue_has_become_idle(struct daybook_server *server);

#endif
