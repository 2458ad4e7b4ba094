/* daybookd: reads its settings, opens the daemon, waits for a reason to stop; or verifies or restores a directory and ends. */
#include <stdio.h>

#include "service/base/clock.h"
#include "service/config.h"
#include "service/daemon.h"
#include "service/offline/offline.h"
#include "service/ops/accept_limit.h"
#include "service/ops/process.h"
#include "service/ops/signals.h"
#include "service/store/map_faults.h"

#define REST_INTERVAL_MS 1000
/* Answers that are on their way get this long when the disk or the port has failed. */
#define FAILURE_DRAIN_MS 1000

static int fail(enum daemon_exit code, const struct problem *problem) {
    (void)fprintf(stderr, "daybookd: %s\n", problem->text);
    return (int)code;
}

/* How connections are protected. */
static const char *tls_text(const struct config *config) {
    if (config->tls_certificate == NULL) return "off";
    return config->tls_client_authorities == NULL ? "server" : "mutual";
}

static int serve(const struct config *config, struct signals *signals) {
    struct problem problem;
    enum daemon_exit code = DAEMON_EXIT_OK;
    const int64_t begun_ns = clock_monotonic_ns();
    const uint64_t descriptors_count = process_descriptors_raise();
    const uint64_t connections_max = accept_limit_set(config->connections_max, descriptors_count);
    map_faults_install(DAEMON_EXIT_DATA, DAEMON_EXIT_STORAGE);
    struct daemon *daemon = daemon_open(config, signals, &code, &problem);
    if (daemon == NULL) return fail(code, &problem);
    map_faults_exit_code(DAEMON_EXIT_STORAGE);
    log_info("serving", "port", log_number(daemon_port(daemon)), "started_ms",
             log_number((uint64_t)(clock_monotonic_ns() - begun_ns) / 1000000), "descriptors_max",
             log_number(descriptors_count), "connections_max", log_number(connections_max), "tls", tls_text(config));

    enum stop_reason reason;
    while ((reason = signals_wait(signals, REST_INTERVAL_MS)) == STOP_NOT_YET || reason == STOP_NOT_BUT_RELOAD) {
        if (reason == STOP_NOT_BUT_RELOAD) daemon_reload(daemon);
        daemon_rest(daemon);
    }
    if (reason == STOP_FAILURE) code = daemon_failure(daemon);
    log_info("draining", "reason", reason == STOP_SIGNAL ? "signal" : "failure");
    daemon_drain(daemon, reason == STOP_SIGNAL ? (uint32_t)config->drain_ms : FAILURE_DRAIN_MS);
    daemon_close(daemon);
    log_info("stopped");
    return (int)code;
}

/* What is done to the directory instead of serving it. */
static int task_run(const struct config *config) {
    struct problem problem = {.text = ""};
    const struct offline_options options = {.directory = config->data,
                                            .map_bytes = config->log_map_bytes,
                                            .remote_file_system_allowed = config->remote_file_system};
    /* A verification has children that may die of damaged pages, and tells more of them. */
    if (!config->verify) map_faults_install(DAEMON_EXIT_STORAGE, DAEMON_EXIT_STORAGE);
    const result outcome =
        config->verify ? offline_verify(&options, &problem) : offline_restore(&options, config->restore, &problem);
    return failed(outcome) ? fail(daemon_exit_of(outcome.failure), &problem) : DAEMON_EXIT_OK;
}

int main(int argc, char **argv) {
    struct problem problem;
    struct config config;
    struct signals signals;
    process_memory_configure();
    if (failed(config_parse(argc, argv, &config, &problem))) return fail(DAEMON_EXIT_USAGE, &problem);
    log_configure(config.log_level, config.log_format);
    if (config.verify || config.restore != NULL) return task_run(&config);
    config_log(&config);
    if (failed(signals_init(&signals))) {
        problem_set(&problem, "the kernel gives no descriptors for signals");
        return fail(DAEMON_EXIT_RESOURCES, &problem);
    }
    const int code = serve(&config, &signals);
    signals_deinit(&signals);
    return code;
}
