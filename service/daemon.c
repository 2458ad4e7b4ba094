#include "service/daemon.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daybook/server.h"
#include "service/api/api.h"
#include "service/api/append_streams.h"
#include "service/api/lists.h"
#include "service/base/clock.h"
#include "service/base/limits.h"
#include "service/commit/compactor.h"
#include "service/commit/sequencer.h"
#include "service/feed/feed.h"
#include "service/ops/accept_limit.h"
#include "service/ops/port_watch.h"
#include "service/ops/process.h"
#include "service/ops/signals.h"
#include "service/retention/retention.h"
#include "service/store/index.h"
#include "service/store/index_names.h"
#include "service/store/store.h"
#include "service/store/terms.h"

/* Health names beside the services': what Kubernetes' probes ask for. Liveness stays when the daemon drains. */
#define HEALTH_READINESS "readiness"
#define HEALTH_LIVENESS  "liveness"

struct daemon {
    struct store *store;
    struct index *index;
    struct feed *feed;
    struct sequencer *sequencer;
    struct compactor *compactor;
    struct retention *retention;
    struct append_streams *append_streams;
    struct lists *lists;
    struct commit_listener listener;
    struct api api;
    daybook_server *server;
    bool is_encrypted;
    struct port_watch *port_watch; /* NULL: the address is not one of TCP */
    struct signals *signals;
    atomic_bool port_is_deaf;
    uint64_t stall_ms;
    bool is_stalled;
    bool store_failed;
    uint64_t refused_count; /* connections, as logged */
    uint64_t work_count;    /* at the last rest */
    bool memory_used;       /* since memory was given back */
    int64_t trimmed_ns;     /* when that was, by clock_monotonic_ns */
};

static void on_committed(void *context, struct chunk *chunk) {
    const struct daemon *daemon = context;
    feed_committed(daemon->feed, chunk);
}

static void on_rewritten(void *context) {
    const struct daemon *daemon = context;
    feed_rewritten(daemon->feed);
}

static void on_storage_failed(void *context, enum failure failure) {
    const struct daemon *daemon = context;
    log_error("the disk failed: nothing is acknowledged any more; restart and retry with the same event ids", "failure",
              failure_name(failure));
    signals_fail(daemon->signals);
}

static void on_port_deaf(void *context) {
    struct daemon *daemon = context;
    log_error("the own port no longer answers: the daemon ends and must be started anew", "port",
              log_number(daemon_port(daemon)));
    atomic_store(&daemon->port_is_deaf, true);
    signals_fail(daemon->signals);
}

/* What new connections are shown from here on. */
static void certificate_log(const struct daemon *daemon, const char *message) {
    const daybook_server_tls_counts counts = daybook_server_tls_count(daemon->server);
    const time_t expires_s = (time_t)counts.expires_s;
    struct tm parts = {0};
    char text[sizeof "2026-01-02T03:04:05Z"] = "";
    (void)gmtime_r(&expires_s, &parts);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (counts.expires_s * INT64_C(1000000000) <= clock_wall_ns()) {
        log_warn("the certificate has expired: clients will refuse it", "expires_at", text);
    } else {
        log_info(message, "expires_at", text);
    }
}

static void on_tls_reloaded(const daybook_status *status, void *context) {
    const struct daemon *daemon = context;
    if (status->code == DAYBOOK_OK) {
        certificate_log(daemon, "new connections get the certificate that was read anew");
    } else {
        log_error("the certificates were not read anew: new connections get those before", "problem", status->message);
    }
}

enum daemon_exit daemon_exit_of(enum failure failure) {
    switch (failure) {
    case FAILURE_BUSY:
        return DAEMON_EXIT_BUSY;
    case FAILURE_FORMAT:
    case FAILURE_CORRUPT:
        return DAEMON_EXIT_DATA;
    case FAILURE_INPUT:
    case FAILURE_NOT_FOUND:
        return DAEMON_EXIT_DIRECTORY;
    case FAILURE_STORAGE:
    case FAILURE_STORAGE_FULL:
        return DAEMON_EXIT_STORAGE;
    default:
        return DAEMON_EXIT_RESOURCES;
    }
}

static result index_prepare(struct daemon *daemon, uint64_t ids_window, struct problem *ret_problem) {
    char directory[PATH_MAX];
    (void)snprintf(directory, sizeof directory, "%s/index", store_directory(daemon->store));
    const struct index_options options = {.directory = directory,
                                          .store_id = store_id(daemon->store),
                                          .ids_window = ids_window,
                                          .log_position_end = store_position_last(daemon->store) + 1,
                                          .store = daemon->store};
    TRY(index_open(&options, &daemon->index, ret_problem));
    const result caught_up = terms_catch_up(daemon->store, daemon->index);
    if (failed(caught_up)) {
        problem_set(ret_problem, "the log in %s cannot be read (%s); restore it from a backup",
                    store_directory(daemon->store), failure_name(caught_up.failure));
    }
    return caught_up;
}

/* Everything below the server, in the order in which an event passes through. */
static result rooms_open(struct daemon *daemon, const struct config *config, struct problem *ret_problem) {
    const struct store_options store_options = {.directory = config->data,
                                                .map_bytes = config->log_map_bytes,
                                                .loss_accepted = config->accept_loss,
                                                .remote_file_system_allowed = config->remote_file_system};
    TRY(store_open(&store_options, &daemon->store, ret_problem));
    TRY(index_prepare(daemon, config->ids_window, ret_problem));
    problem_set(ret_problem, "out of memory or threads at the start");
    const struct feed_options feed_options = {.store = daemon->store,
                                              .index = daemon->index,
                                              .reader_threads_count = (uint32_t)config->reader_threads,
                                              .head = store_position_last(daemon->store)};
    TRY(feed_open(&feed_options, &daemon->feed));
    TRY(append_streams_new(&daemon->append_streams));
    daemon->listener = (struct commit_listener){
        .committed = on_committed, .rewritten = on_rewritten, .storage_failed = on_storage_failed, .context = daemon};
    const struct sequencer_options sequencer_options = {
        .store = daemon->store, .index = daemon->index, .listener = &daemon->listener};
    TRY(sequencer_open(&sequencer_options, &daemon->sequencer));
    TRY(compactor_open(daemon->store, daemon->index, daemon->sequencer, &daemon->compactor));
    const struct retention_options retention_options = {.store = daemon->store,
                                                        .index = daemon->index,
                                                        .sequencer = daemon->sequencer,
                                                        .interval_ms = config->retention_interval_ms};
    TRY(retention_open(&retention_options, &daemon->retention));
    return lists_open(&daemon->lists);
}

/* Half of the cores answer calls: the sequencer, the readers and the index need the others, and a stream whose message and
 * connection are seen by the same thread costs an eighth less than one that two threads pass between them. Not more than a
 * few by default: a container sees all cores of its node. */
static uint32_t grpc_threads_count(const struct config *config) {
    if (config->grpc_threads > 0) return (uint32_t)config->grpc_threads;
    const uint32_t half = process_cores_count() / 2;
    if (half == 0) return 1;
    return half < GRPC_THREADS_COUNT_DEFAULT_MAX ? half : GRPC_THREADS_COUNT_DEFAULT_MAX;
}

static bool server_open(struct daemon *daemon, const struct config *config, daybook_status *ret_status) {
    const daybook_tls_options tls = {.certificate_file = config->tls_certificate,
                                     .key_file = config->tls_key,
                                     .authorities_file = config->tls_client_authorities};
    const daybook_server_options options = {.listen = config->listen,
                                            .message_bytes_max = REQUEST_BYTES_MAX,
                                            .keepalive_ms = (uint32_t)config->keepalive_ms,
                                            .keepalive_timeout_ms = (uint32_t)config->keepalive_timeout_ms,
                                            .request_memory_bytes_max = REQUEST_MEMORY_BYTES_MAX,
                                            .threads_count = grpc_threads_count(config),
                                            .tls = config->tls_certificate == NULL ? NULL : &tls,
                                            .tls_reloaded = on_tls_reloaded,
                                            .tls_reloaded_context = daemon};
    daemon->is_encrypted = options.tls != NULL;
    daemon->api = (struct api){.sequencer = daemon->sequencer,
                               .feed = daemon->feed,
                               .compactor = daemon->compactor,
                               .retention = daemon->retention,
                               .store = daemon->store,
                               .append_streams = daemon->append_streams,
                               .index = daemon->index,
                               .lists = daemon->lists,
                               .version = DAYBOOK_VERSION,
                               .started_ns = clock_wall_ns(),
                               .store_id = store_id(daemon->store),
                               .connections_refused = accept_refused_count,
                               .event_bytes_max = config->event_bytes_max};
    daemon->server = daybook_server_open(&options, ret_status);
    daemon->api.server = daemon->server;
    if (daemon->server == NULL || !api_serve(&daemon->api, daemon->server, ret_status) ||
        !daybook_server_start(daemon->server, ret_status)) {
        return false;
    }
    if (daemon->is_encrypted) certificate_log(daemon, "connections are encrypted");
    daybook_server_set_serving(daemon->server, HEALTH_LIVENESS, true);
    daybook_server_set_serving(daemon->server, HEALTH_READINESS, true);
    return true;
}

/* A server that nobody watches is better than none. */
static void port_watch_start(struct daemon *daemon, const struct config *config) {
    const struct port_watch_options options = {.listen = config->listen,
                                               .port = daemon_port(daemon),
                                               .is_encrypted = config->tls_certificate != NULL,
                                               .threads_name = "grpc-server-",
                                               .deaf = on_port_deaf,
                                               .context = daemon};
    const result opened = port_watch_open(&options, &daemon->port_watch);
    if (failed(opened)) log_warn("the own port is not watched", "failure", failure_name(opened.failure));
}

struct daemon *daemon_open(const struct config *config, struct signals *signals, enum daemon_exit *ret_exit,
                           struct problem *ret_problem) {
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (daemon == NULL) {
        *ret_exit = DAEMON_EXIT_RESOURCES;
        problem_set(ret_problem, "out of memory");
        return NULL;
    }
    daemon->signals = signals;
    daemon->stall_ms = config->stall_ms;
    const result opened = rooms_open(daemon, config, ret_problem);
    if (failed(opened)) {
        *ret_exit = daemon_exit_of(opened.failure);
        return daemon_close(daemon);
    }
    daybook_status status;
    if (!server_open(daemon, config, &status)) {
        *ret_exit = status.code == DAYBOOK_RESOURCE_EXHAUSTED ? DAEMON_EXIT_RESOURCES
                    : status.code == DAYBOOK_INVALID_ARGUMENT ? DAEMON_EXIT_USAGE
                                                              : DAEMON_EXIT_ADDRESS;
        problem_set(ret_problem, "cannot serve on %s: %s", config->listen, status.message);
        return daemon_close(daemon);
    }
    port_watch_start(daemon, config);
    return daemon;
}

enum daemon_exit daemon_failure(const struct daemon *daemon) {
    return atomic_load(&daemon->port_is_deaf) ? DAEMON_EXIT_RESOURCES : DAEMON_EXIT_STORAGE;
}

uint16_t daemon_port(const struct daemon *daemon) {
    return daybook_server_port(daemon->server);
}

void daemon_reload(struct daemon *daemon) {
    if (!daemon->is_encrypted) {
        log_info("SIGHUP reads certificates anew, and there are none");
        return;
    }
    daybook_status status = {.code = DAYBOOK_OK};
    const bool ok = daybook_server_tls_reload(daemon->server, &status);
    assert(ok == (status.code == DAYBOOK_OK));
    on_tls_reloaded(&status, daemon);
}

/* A disk that does not answer: clients and orchestrators should go elsewhere, those that wait still get their answer when it
 * does. The process is alive, and a restart would not help. */
static void stall_watch(struct daemon *daemon) {
    const int64_t since_ns = sequencer_writing_since_ns(daemon->sequencer);
    const int64_t stall_ns = (int64_t)daemon->stall_ms * 1000000;
    const bool is_stalled = stall_ns > 0 && since_ns != 0 && clock_monotonic_ns() - since_ns > stall_ns;
    if (is_stalled == daemon->is_stalled) return;
    daemon->is_stalled = is_stalled;
    daybook_server_set_serving(daemon->server, "", !is_stalled);
    daybook_server_set_serving(daemon->server, HEALTH_READINESS, !is_stalled);
    if (is_stalled) {
        log_warn("the disk does not answer: health is NOT_SERVING", "stall_ms", log_number(daemon->stall_ms));
    } else {
        log_info("the disk answers again: health is SERVING");
    }
}

/* A store that nobody writes to does not notice by itself that its first pages are damaged. */
static void store_watch(struct daemon *daemon) {
    if (daemon->store_failed || !failed(store_check(daemon->store))) return;
    daemon->store_failed = true;
    on_storage_failed(daemon, FAILURE_STORAGE);
}

/* What malloc keeps is given back after a burst, because nobody may need it soon, and now and then in any case: under load
 * because threads that come and go (a compaction's, gRPC's) leave it in arenas of their own, one after the other; at rest
 * because connections that come and go are no work. */
static void memory_watch(struct daemon *daemon, bool rests) {
    const int64_t now_ns = clock_monotonic_ns();
    const bool is_due = now_ns - daemon->trimmed_ns > (int64_t)MEMORY_TRIM_INTERVAL_MS * 1000000;
    if (!rests) daemon->memory_used = true;
    if (!is_due && !(rests && daemon->memory_used)) return;
    process_memory_trim();
    daemon->trimmed_ns = clock_monotonic_ns();
    daemon->memory_used = !rests;
    log_debug("memory is given back", "took_us", log_number((uint64_t)(daemon->trimmed_ns - now_ns) / 1000));
}

/* At most a line a second. */
static void refusals_log(struct daemon *daemon) {
    const uint64_t refused_count = accept_refused_count();
    if (refused_count == daemon->refused_count) return;
    log_warn("connections were refused: there are as many as may be", "refused",
             log_number(refused_count - daemon->refused_count), "refused_in_all", log_number(refused_count));
    daemon->refused_count = refused_count;
}

void daemon_rest(struct daemon *daemon) {
    stall_watch(daemon);
    store_watch(daemon);
    refusals_log(daemon);
    const uint64_t work_count =
        sequencer_count(daemon->sequencer).requests_committed + feed_count(daemon->feed).messages_sent;
    index_names_rest(daemon->index, clock_monotonic_ns());
    memory_watch(daemon, work_count == daemon->work_count);
    daemon->work_count = work_count;
}

void daemon_drain(struct daemon *daemon, uint32_t grace_ms) {
    daemon->port_watch = port_watch_close(daemon->port_watch);
    daybook_server_set_serving(daemon->server, HEALTH_READINESS, false);
    feed_drain(daemon->feed);
    api_drain(&daemon->api);
    compactor_stop(daemon->compactor);
    daybook_server_drain(daemon->server, grace_ms);
}

/* The server first, because its calls are answered by the lists, the sequencer and the feed; the store last. */
struct daemon *daemon_close(struct daemon *daemon) {
    if (daemon == NULL) return NULL;
    port_watch_close(daemon->port_watch);
    daybook_server_close(daemon->server);
    retention_close(daemon->retention);
    lists_close(daemon->lists);
    compactor_close(daemon->compactor);
    sequencer_close(daemon->sequencer);
    append_streams_free(daemon->append_streams);
    feed_close(daemon->feed);
    index_close(daemon->index);
    store_close(daemon->store);
    free(daemon);
    return NULL;
}
