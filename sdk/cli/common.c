#include "sdk/cli/common.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVER_DEFAULT "127.0.0.1:50051"

enum {
    KEY_SERVER = 0x200,
    KEY_TIMEOUT,
    KEY_JSON,
    KEY_TLS,
    KEY_TLS_AUTHORITIES,
    KEY_TLS_CERTIFICATE,
    KEY_TLS_KEY,
    KEY_TLS_SERVER_NAME,
    KEY_TOKEN
};

void common_init(struct common *common) {
    static daybook_details details;
    static struct security security;
    const char *server = getenv("DAYBOOK_SERVER");
    *common = (struct common){.server = server != NULL && server[0] != '\0' ? server : SERVER_DEFAULT,
                              .timeout_ms = COMMAND_TIMEOUT_DEFAULT_MS,
                              .security = &security,
                              .details = &details};
    details.size = 0;
    memset(&security, 0, sizeof security);
}

uint64_t common_number(struct argp_state *state, const char *text, const char *what) {
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0) {
        argp_error(state, "%s is \"%s\": a number is needed", what, text);
    }
    return number;
}

static error_t security_parse(int key, const char *argument, struct security *security) {
    switch (key) {
    case KEY_TLS:
        security->tls = true;
        return 0;
    case KEY_TLS_AUTHORITIES:
        security->authorities_file = argument;
        return 0;
    case KEY_TLS_CERTIFICATE:
        security->certificate_file = argument;
        return 0;
    case KEY_TLS_KEY:
        security->key_file = argument;
        return 0;
    case KEY_TLS_SERVER_NAME:
        security->server_name = argument;
        return 0;
    case KEY_TOKEN:
        security->token_file = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct common *common = state->input;
    switch (key) {
    case KEY_SERVER:
        common->server = argument;
        return 0;
    case KEY_TIMEOUT: {
        const uint64_t timeout_ms = common_number(state, argument, "--timeout-ms");
        if (timeout_ms == 0 || timeout_ms > 86400000) argp_error(state, "--timeout-ms: 1 to 86400000 are allowed");
        common->timeout_ms = (uint32_t)timeout_ms;
        return 0;
    }
    case KEY_JSON:
        common->json = true;
        return 0;
    default:
        return security_parse(key, argument, common->security);
    }
}

static const struct argp_option options[] = {
    {"server", KEY_SERVER, "HOST:PORT", 0, "the daemon (DAYBOOK_SERVER, else " SERVER_DEFAULT ")", 10},
    {"timeout-ms", KEY_TIMEOUT, "MILLISECONDS", 0, "how long to wait for an answer (10000)", 10},
    {"json", KEY_JSON, NULL, 0, "one JSON object a line", 10},
    {"tls", KEY_TLS, NULL, 0, "encrypt the connection; the next four mean it, too", 11},
    {"tls-authorities", KEY_TLS_AUTHORITIES, "FILE", 0, "whom to trust (PEM); else the system's authorities", 11},
    {"tls-certificate", KEY_TLS_CERTIFICATE, "FILE", 0, "own certificate for a daemon that asks for one (PEM)", 11},
    {"tls-key", KEY_TLS_KEY, "FILE", 0, "its key (PEM)", 11},
    {"tls-server-name", KEY_TLS_SERVER_NAME, "NAME", 0, "whom the daemon's certificate is for, if not for HOST", 11},
    {"token-file", KEY_TOKEN, "FILE", 0, "send the token in this file with every call, over TLS alone", 11},
    {0},
};

const struct argp common_argp = {.options = options, .parser = parse};

void common_parse(const struct argp *argp, int argc, char **argv, void *input) {
    char name[64];
    (void)snprintf(name, sizeof name, "daybook %s", argv[0]);
    char *command = argv[0];
    argv[0] = name;
    (void)argp_parse(argp, argc, argv, 0, NULL, input);
    argv[0] = command;
}

int common_run(const struct common *common, common_body *body, void *context) {
    daybook_status status;
    daybook_client_options client_options = {.target = common->server};
    if (!security_apply(common->security, &client_options)) return EXIT_USAGE;
    daybook_client *client = daybook_client_open(&client_options, &status);
    if (client == NULL) {
        (void)fprintf(stderr, "daybook: --server \"%s\": %s\n", common->server, status.message);
        return status.code == DAYBOOK_RESOURCE_EXHAUSTED ? EXIT_RESOURCES : EXIT_USAGE;
    }
    upb_Arena *arena = upb_Arena_New();
    const int code = arena == NULL ? common_out_of_memory() : body(common, client, arena, context);
    if (arena != NULL) upb_Arena_Free(arena);
    daybook_client_close(client);
    return code;
}

daybook_call_options common_call_options(const struct common *common) {
    return (daybook_call_options){.timeout_ms = common->timeout_ms, .details = common->details};
}

daybook_call_options common_stream_options(const struct common *common) {
    return (daybook_call_options){.details = common->details};
}

int common_stream_ended(const struct common *common, daybook_next next, const daybook_status *status) {
    daybook_status silence;
    switch (next) {
    case DAYBOOK_NEXT_END:
        return 0;
    case DAYBOOK_NEXT_TIMEOUT:
        daybook_status_set(&silence, DAYBOOK_DEADLINE_EXCEEDED, "no answer within %u ms; see --timeout-ms",
                           common->timeout_ms);
        return common_fail(common, &silence);
    default:
        return common_fail(common, status);
    }
}

/* The digits behind "." as nanoseconds; NULL when there are none, or more than nine. */
static const char *fraction_parse(const char *text, int64_t *ret_nanoseconds) {
    int64_t unit = 100000000;
    const char *at = text;
    *ret_nanoseconds = 0;
    for (; *at >= '0' && *at <= '9' && unit > 0; at++, unit /= 10) *ret_nanoseconds += (*at - '0') * unit;
    return at == text || (*at >= '0' && *at <= '9') ? NULL : at;
}

int64_t common_time(struct argp_state *state, const char *text, const char *what) {
    struct tm parts = {.tm_isdst = 0};
    int64_t nanoseconds = 0;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (end != NULL && *end == '.') end = fraction_parse(end + 1, &nanoseconds);
    const bool is_time = end != NULL && strcmp(end, "Z") == 0;
    const time_t seconds = is_time ? timegm(&parts) : -1;
    if (seconds < 0 || seconds > INT32_MAX * (int64_t)2) {
        argp_error(state, "%s is \"%s\"; a time from 1970 on in UTC like 2026-11-23T19:11:00Z is needed", what, text);
    }
    return (int64_t)seconds * 1000000000 + nanoseconds;
}

int common_finish(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    (void)fputs("daybook: standard output cannot be written\n", stderr);
    return EXIT_OUTPUT;
}
