#include "service/config.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/limits.h"

enum setting_kind {
    SETTING_TEXT,
    SETTING_LOG_LEVEL,
    SETTING_LOG_FORMAT,
    SETTING_ID_INDEX,
    SETTING_NUMBER,
    SETTING_SWITCH,
    SETTING_TASK_TEXT, /* of one start: a flag alone, no variable */
    SETTING_TASK_SWITCH
};

/* The one table: flag --name VALUE, variable DAYBOOK_NAME, default, allowed numbers. */
struct setting {
    const char *name;
    const char *argument; /* NULL for a switch */
    const char *help;
    const char *fallback; /* NULL: not set */
    enum setting_kind kind;
    size_t offset;
    uint64_t minimum;
    uint64_t maximum;
};

#define SETTING_AT(field) offsetof(struct config, field)

static const struct setting settings[] = {
    {"data", "DIR", "directory of the store, made when it is not there", "./data", SETTING_TEXT, SETTING_AT(data), 0,
     0},
    {"listen", "HOST:PORT", "where gRPC listens; port 0 takes a free one", "127.0.0.1:50051", SETTING_TEXT,
     SETTING_AT(listen), 0, 0},
    {"log-level", "LEVEL", "debug, info, warn or error", "info", SETTING_LOG_LEVEL, SETTING_AT(log_level_text), 0, 0},
    {"log-format", "FORMAT", "text or json", "text", SETTING_LOG_FORMAT, SETTING_AT(log_format_text), 0, 0},
    {"event-bytes-max", "BYTES", "largest encoded event", "1048576", SETTING_NUMBER, SETTING_AT(event_bytes_max), 1024,
     EVENT_BYTES_MAX_CEILING},
    {"drain-ms", "MILLISECONDS", "how long SIGTERM waits for open calls", "25000", SETTING_NUMBER, SETTING_AT(drain_ms),
     0, 600000},
    {"stall-ms", "MILLISECONDS", "after so long without progress of the disk, health is NOT_SERVING; 0: never", "10000",
     SETTING_NUMBER, SETTING_AT(stall_ms), 0, 600000},
    {"keepalive-ms", "MILLISECONDS", "a connection that has been silent for so long is pinged", "30000", SETTING_NUMBER,
     SETTING_AT(keepalive_ms), KEEPALIVE_MS_MIN, KEEPALIVE_MS_MAX},
    {"keepalive-timeout-ms", "MILLISECONDS", "and closed when it does not answer within so long", "10000",
     SETTING_NUMBER, SETTING_AT(keepalive_timeout_ms), KEEPALIVE_MS_MIN, KEEPALIVE_MS_MAX},
    {"grpc-threads", "COUNT", "threads that answer calls; 0: half as many as there are cores, at most 8", "0",
     SETTING_NUMBER, SETTING_AT(grpc_threads), 0, GRPC_THREADS_COUNT_MAX},
    {"reader-threads", "COUNT", "threads that read for Read and Subscribe", "2", SETTING_NUMBER,
     SETTING_AT(reader_threads), 1, READER_THREADS_COUNT_MAX},
    {"connections-max", "COUNT", "connections that are accepted, as far as there are descriptors; 0: as many as come",
     "10000", SETTING_NUMBER, SETTING_AT(connections_max), 0, 1000000},
    {"retention-interval-ms", "MILLISECONDS", "how often events that have become too old are looked for", "60000",
     SETTING_NUMBER, SETTING_AT(retention_interval_ms), RETENTION_INTERVAL_MS_MIN, 86400000},
    {"id-index", "WHICH",
     "ids by which appends made again are recognised: permanent (all), or window:N (of the N newest events)",
     "permanent", SETTING_ID_INDEX, SETTING_AT(id_index_text), 0, 0},
    {"log-map-bytes", "BYTES", "largest size of the log's file (address space, not memory)", "1099511627776",
     SETTING_NUMBER, SETTING_AT(log_map_bytes), MIB(16), GIB(16384)},
    {"remote-file-system", NULL, "allow the data directory on a network file system, where LMDB is not safe", "false",
     SETTING_SWITCH, SETTING_AT(remote_file_system), 0, 0},
    {"tls-certificate", "FILE",
     "certificate of the daemon, then those between it and its authority (PEM): connections are encrypted", NULL,
     SETTING_TEXT, SETTING_AT(tls_certificate), 0, 0},
    {"tls-key", "FILE", "key of the certificate (PEM, without a passphrase)", NULL, SETTING_TEXT, SETTING_AT(tls_key),
     0, 0},
    {"tls-client-authorities", "FILE", "authorities of clients (PEM): only clients with a certificate of theirs get in",
     NULL, SETTING_TEXT, SETTING_AT(tls_client_authorities), 0, 0},
    {"verify", NULL, "check everything that is stored in DIR, say what is wrong, and end", "false", SETTING_TASK_SWITCH,
     SETTING_AT(verify), 0, 0},
    {"restore", "FILE", "make a store of a backup in DIR, which has none, and end; -: from standard input", NULL,
     SETTING_TASK_TEXT, SETTING_AT(restore), 0, 0},
    {"accept-loss", NULL, "serve a store that has lost its newest commits; their positions are given anew", "false",
     SETTING_TASK_SWITCH, SETTING_AT(accept_loss), 0, 0},
};

enum { SETTINGS_COUNT = sizeof settings / sizeof settings[0], OPTION_KEY_FIRST = 0x100 };

struct parse {
    struct config *config;
    struct problem *problem;
    result outcome;
};

static result number_set(const struct setting *setting, const char *text, const char *origin, struct config *config,
                         struct problem *ret_problem) {
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || number < setting->minimum ||
        number > setting->maximum) {
        problem_set(ret_problem, "%s is \"%s\": a number from %" PRIu64 " to %" PRIu64 " is needed", origin, text,
                    setting->minimum, setting->maximum);
        return failure_result(FAILURE_INPUT);
    }
    *(uint64_t *)((char *)config + setting->offset) = number;
    return RESULT_OK;
}

static result switch_set(const struct setting *setting, const char *text, const char *origin, struct config *config,
                         struct problem *ret_problem) {
    const bool on = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!on && strcmp(text, "false") != 0 && strcmp(text, "0") != 0) {
        problem_set(ret_problem, "%s is \"%s\": true or false is needed", origin, text);
        return failure_result(FAILURE_INPUT);
    }
    *(bool *)((char *)config + setting->offset) = on;
    return RESULT_OK;
}

/* "permanent", or "window:" and a number. */
static result id_index_parse(const char *text, uint64_t *ret_window) {
    static const char prefix[] = "window:";
    if (strcmp(text, "permanent") == 0) {
        *ret_window = 0;
        return RESULT_OK;
    }
    if (strncmp(text, prefix, strlen(prefix)) != 0) return failure_result(FAILURE_INPUT);
    const char *digits = text + strlen(prefix);
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(digits, &end, 10);
    if (!isdigit((unsigned char)digits[0]) || *end != '\0' || errno != 0 || number == 0 ||
        number > IDS_WINDOW_EVENTS_COUNT_MAX) {
        return failure_result(FAILURE_INPUT);
    }
    *ret_window = number;
    return RESULT_OK;
}

static result text_set(const struct setting *setting, const char *text, const char *origin, struct config *config,
                       struct problem *ret_problem) {
    if (text[0] == '\0') {
        problem_set(ret_problem, "%s is empty", origin);
        return failure_result(FAILURE_INPUT);
    }
    if (setting->kind == SETTING_LOG_LEVEL && failed(log_level_parse(text, &config->log_level))) {
        problem_set(ret_problem, "%s is \"%s\": debug, info, warn or error is needed", origin, text);
        return failure_result(FAILURE_INPUT);
    }
    if (setting->kind == SETTING_LOG_FORMAT && failed(log_format_parse(text, &config->log_format))) {
        problem_set(ret_problem, "%s is \"%s\": text or json is needed", origin, text);
        return failure_result(FAILURE_INPUT);
    }
    if (setting->kind == SETTING_ID_INDEX && failed(id_index_parse(text, &config->ids_window))) {
        problem_set(ret_problem, "%s is \"%s\": permanent, or window:N with N from 1 to %" PRIu64 " is needed", origin,
                    text, (uint64_t)IDS_WINDOW_EVENTS_COUNT_MAX);
        return failure_result(FAILURE_INPUT);
    }
    *(const char **)((char *)config + setting->offset) = text;
    return RESULT_OK;
}

static result setting_set(const struct setting *setting, const char *text, const char *origin, struct config *config,
                          struct problem *ret_problem) {
    switch (setting->kind) {
    case SETTING_NUMBER:
        return number_set(setting, text, origin, config, ret_problem);
    case SETTING_SWITCH:
    case SETTING_TASK_SWITCH:
        return switch_set(setting, text, origin, config, ret_problem);
    default:
        return text_set(setting, text, origin, config, ret_problem);
    }
}

/* "log-level" -> "DAYBOOK_LOG_LEVEL" */
static void variable_name(const struct setting *setting, char *out, size_t size) {
    (void)snprintf(out, size, "DAYBOOK_%s", setting->name);
    for (char *at = out; *at != '\0'; at++) *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static bool is_task(const struct setting *setting) {
    return setting->kind == SETTING_TASK_TEXT || setting->kind == SETTING_TASK_SWITCH;
}

static result defaults_and_environment(struct config *config, struct problem *ret_problem) {
    for (size_t index = 0; index < SETTINGS_COUNT; index++) {
        char name[64];
        variable_name(&settings[index], name, sizeof name);
        const char *value = is_task(&settings[index]) ? NULL : getenv(name);
        if (value == NULL) value = settings[index].fallback;
        if (value == NULL) continue;
        TRY(setting_set(&settings[index], value, name, config, ret_problem));
    }
    return RESULT_OK;
}

static error_t option_parse(int key, char *argument, struct argp_state *state) {
    struct parse *parse = state->input;
    if (failed(parse->outcome)) return 0; /* the first mistake is the one that is told */
    if (key == ARGP_KEY_ARG) {
        problem_set(parse->problem, "\"%s\" is not understood; see daybookd --help", argument);
        parse->outcome = failure_result(FAILURE_INPUT);
        return 0;
    }
    if (key < OPTION_KEY_FIRST || key >= OPTION_KEY_FIRST + (int)SETTINGS_COUNT) return ARGP_ERR_UNKNOWN;
    const struct setting *setting = &settings[key - OPTION_KEY_FIRST];
    char origin[64];
    (void)snprintf(origin, sizeof origin, "--%s", setting->name);
    parse->outcome = setting_set(setting, argument == NULL ? "true" : argument, origin, parse->config, parse->problem);
    return 0;
}

static const char documentation[] =
    "daybookd: an event store for microservices, on gRPC and LMDB."
    "\vEach option but --verify, --restore and --accept-loss is also a variable: --log-level is DAYBOOK_LOG_LEVEL. A flag "
    "wins over its variable.\n\n"
    "Certificates, keys and authorities are read again when their files change, and by SIGHUP: connections go on, new ones "
    "get the new ones. What is wrong is logged, and then the old ones stay.\n\n"
    "Signals: SIGTERM and SIGINT drain and exit 0; a second one exits at once. SIGHUP reads certificates again.\n\n"
    "Exit codes: 0 stopped as asked, 64 a wrong option, 65 the store or the backup is damaged, has lost "
    "what was acknowledged, or is of another format, 69 "
    "the address cannot be bound, 70 out of memory or threads, or the own port no longer answers, 73 the directory cannot "
    "be used, 74 the disk failed or a page in use is damaged, 75 another daemon holds the directory.";

static result flags(int argc, char **argv, struct config *config, struct problem *ret_problem) {
    struct argp_option options[SETTINGS_COUNT + 1] = {{0}};
    char helps[SETTINGS_COUNT][160];
    for (size_t index = 0; index < SETTINGS_COUNT; index++) {
        const struct setting *setting = &settings[index];
        (void)snprintf(helps[index], sizeof helps[index], "%s (default: %s)", setting->help,
                       setting->fallback == NULL ? "none" : setting->fallback);
        options[index] = (struct argp_option){
            .name = setting->name, .key = OPTION_KEY_FIRST + (int)index, .arg = setting->argument, .doc = helps[index]};
    }
    const struct argp argp = {.options = options, .parser = option_parse, .doc = documentation};
    struct parse parse = {.config = config, .problem = ret_problem, .outcome = RESULT_OK};
    argp_program_version = "daybookd " DAYBOOK_VERSION;
    argp_err_exit_status = 64; /* EX_USAGE */
    (void)argp_parse(&argp, argc, argv, 0, NULL, &parse);
    return parse.outcome;
}

/* Half of what TLS needs is a mistake, and must not become a daemon without it. */
static result tls_check(const struct config *config, struct problem *ret_problem) {
    if (config->tls_certificate != NULL && config->tls_key == NULL) {
        problem_set(ret_problem, "--tls-certificate is given without --tls-key");
        return failure_result(FAILURE_INPUT);
    }
    if (config->tls_certificate == NULL && config->tls_key != NULL) {
        problem_set(ret_problem, "--tls-key is given without --tls-certificate");
        return failure_result(FAILURE_INPUT);
    }
    if (config->tls_certificate == NULL && config->tls_client_authorities != NULL) {
        problem_set(ret_problem, "--tls-client-authorities is given without --tls-certificate and --tls-key");
        return failure_result(FAILURE_INPUT);
    }
    return RESULT_OK;
}

static const char *text_or_none(const char *text) {
    return text == NULL ? "none" : text;
}

result config_parse(int argc, char **argv, struct config *ret_config, struct problem *ret_problem) {
    struct config config = {0};
    TRY(defaults_and_environment(&config, ret_problem));
    TRY(flags(argc, argv, &config, ret_problem));
    TRY(tls_check(&config, ret_problem));
    if (config.verify && config.restore != NULL) {
        problem_set(ret_problem, "--verify and --restore are given together; a restore verifies what it has made");
        return failure_result(FAILURE_INPUT);
    }
    *ret_config = config;
    return RESULT_OK;
}

void config_log(const struct config *config) {
    log_info("configuration", "version", DAYBOOK_VERSION, "data", config->data, "listen", config->listen, "log_level",
             config->log_level_text, "log_format", config->log_format_text, "event_bytes_max",
             log_number(config->event_bytes_max), "drain_ms", log_number(config->drain_ms), "stall_ms",
             log_number(config->stall_ms), "keepalive_ms", log_number(config->keepalive_ms), "keepalive_timeout_ms",
             log_number(config->keepalive_timeout_ms), "grpc_threads", log_number(config->grpc_threads),
             "reader_threads", log_number(config->reader_threads), "connections_max",
             log_number(config->connections_max), "retention_interval_ms", log_number(config->retention_interval_ms),
             "id_index", config->id_index_text, "log_map_bytes", log_number(config->log_map_bytes),
             "remote_file_system", config->remote_file_system ? "true" : "false", "tls_certificate",
             text_or_none(config->tls_certificate), "tls_key", text_or_none(config->tls_key), "tls_client_authorities",
             text_or_none(config->tls_client_authorities));
}
