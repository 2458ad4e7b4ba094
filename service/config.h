/* config.h: the daemon's settings: flags before environment variables before defaults, from one table.
 *
 * Ownership: texts point into argv and the environment, which live as long as the process. Threads: read-only once parsed. */
#ifndef SERVICE_CONFIG_H
#define SERVICE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/logging.h"
#include "service/base/result.h"

#define DAYBOOK_VERSION "0.1.0"

struct config {
    const char *data;
    const char *listen;
    const char *log_level_text;
    const char *log_format_text;
    enum log_level log_level;
    enum log_format log_format;
    const char *id_index_text;
    uint64_t ids_window; /* of --id-index; 0: permanent */
    uint64_t event_bytes_max;
    uint64_t drain_ms;
    uint64_t stall_ms;
    uint64_t keepalive_ms;
    uint64_t keepalive_timeout_ms;
    uint64_t grpc_threads; /* 0: the daemon chooses by the number of cores */
    uint64_t reader_threads;
    uint64_t connections_max;
    uint64_t retention_interval_ms;
    uint64_t log_map_bytes;
    bool remote_file_system;
    /* PEM files, NULL when not given: the certificate and its key come together, authorities of clients only with them. */
    const char *tls_certificate;
    const char *tls_key;
    const char *tls_client_authorities;
    /* What to do instead of serving. Flags alone: a variable would do it at every start. */
    bool verify;
    const char *restore; /* a backup's file; NULL: do not */
    /* Serves a store that has lost commits. A flag alone, too: it is a decision about one start. */
    bool accept_loss;
};

/* Parses; --help and --version print and exit 0. FAILURE_INPUT: the problem says which setting is wrong and what is
 * allowed. */
MUST_USE result config_parse(int argc, char **argv, struct config *ret_config, struct problem *ret_problem);

/* Logs every setting, so that a log tells how the daemon ran. */
void config_log(const struct config *config);

#endif
