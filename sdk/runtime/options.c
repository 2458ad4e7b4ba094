/* options.c: see options.h. */
#include "sdk/runtime/options.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include <grpc/compression.h>
#include <grpc/support/cpu.h>

#include "sdk/runtime/metadata.h"

#define MIB (1024u * 1024u)

/* One number of an options struct: zero becomes the default, all else must be in its range. */
struct number {
    const char *name;
    uint32_t *value;
    uint32_t value_default;
    uint32_t value_min;
    uint32_t value_max;
};

static bool numbers_resolve(const struct number *numbers, size_t count, daybook_status *ret_status) {
    for (size_t i = 0; i < count; i++) {
        const struct number *number = &numbers[i];
        if (*number->value == 0) *number->value = number->value_default;
        if (*number->value < number->value_min || *number->value > number->value_max) {
            daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT,
                               "option %s is %u; it must be %u to %u, or 0 for %u", number->name, *number->value,
                               number->value_min, number->value_max, number->value_default);
            return false;
        }
    }
    return true;
}

static bool address_check(const char *name, const char *address, daybook_status *ret_status) {
    if (address == NULL || address[0] == '\0') {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option %s is missing", name);
        return false;
    }
    size_t size = strnlen(address, DAYBOOK__TARGET_BYTES_MAX + 1);
    if (size > DAYBOOK__TARGET_BYTES_MAX) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option %s is longer than %u bytes", name,
                           DAYBOOK__TARGET_BYTES_MAX);
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (address[i] <= ' ' || address[i] > '~') {
            daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT,
                               "option %s holds a byte that no address has, at index %zu", name, i);
            return false;
        }
    }
    return true;
}

bool daybook__retry_options_resolve(daybook_retry_options *options, daybook_status *ret_status) {
    const struct number numbers[] = {
        {"retry.attempts_max", &options->attempts_max, 5, 1, DAYBOOK__ATTEMPTS_MAX},
        {"retry.backoff_first_ms", &options->backoff_first_ms, 100, 1, INT_MAX},
        {"retry.backoff_max_ms", &options->backoff_max_ms, 2000, 1, INT_MAX},
    };
    return numbers_resolve(numbers, sizeof numbers / sizeof numbers[0], ret_status);
}

bool daybook__bearer_token_check(const char *token, bool may_be_seen, daybook_status *ret_status) {
    const size_t size = strnlen(token, DAYBOOK__TOKEN_BYTES_MAX + 1);
    const size_t characters_count =
        strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");
    const char *problem = NULL;
    if (size > DAYBOOK__TOKEN_BYTES_MAX)
        problem = "has more than 8000 bytes";
    else if (characters_count == 0)
        problem = "is empty, or begins with a character that no token has";
    else if (characters_count + strspn(token + characters_count, "=") != size)
        problem = "has other characters than A-Z a-z 0-9 - . _ ~ + / and = at its end";
    else if (!may_be_seen)
        problem = "would be sent without TLS, for everybody on the way to read; see bearer_token_in_clear";
    if (problem == NULL) return true;
    daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "the bearer token %s", problem);
    return false;
}

/* What a client's numbers cannot say. */
static bool client_security_check(const daybook_client_options *options, daybook_status *ret_status) {
    if (options->tls != NULL && options->tls->client_certificate_optional != 0) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT,
                           "option tls.client_certificate_optional is for servers alone");
        return false;
    }
    if (options->tls != NULL && options->tls->server_name != NULL &&
        !address_check("tls.server_name", options->tls->server_name, ret_status)) {
        return false;
    }
    return options->bearer_token == NULL ||
           daybook__bearer_token_check(options->bearer_token,
                                       options->tls != NULL || options->bearer_token_in_clear != 0, ret_status);
}

bool daybook__client_options_resolve(const daybook_client_options *options, daybook_client_options *ret_resolved,
                                     daybook_status *ret_status) {
    daybook_client_options resolved = options == NULL ? (daybook_client_options){0} : *options;
    const struct number numbers[] = {
        {"threads_count", &resolved.threads_count, 1, 1, DAYBOOK__THREADS_MAX},
        {"message_bytes_max", &resolved.message_bytes_max, 16 * MIB + 64 * 1024, 1, INT_MAX},
        {"keepalive_ms", &resolved.keepalive_ms, 30000, DAYBOOK__KEEPALIVE_MS_MIN, INT_MAX},
        {"keepalive_timeout_ms", &resolved.keepalive_timeout_ms, 10000, 1000, INT_MAX},
        {"reconnect_backoff_max_ms", &resolved.reconnect_backoff_max_ms, 2000, 100, INT_MAX},
    };
    if (!address_check("target", resolved.target, ret_status)) return false;
    if (!numbers_resolve(numbers, sizeof numbers / sizeof numbers[0], ret_status)) return false;
    if (!daybook__retry_options_resolve(&resolved.retry, ret_status)) return false;
    if (resolved.balancing != DAYBOOK_BALANCING_PICK_FIRST && resolved.balancing != DAYBOOK_BALANCING_ROUND_ROBIN) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option balancing is %d, which is none",
                           (int)resolved.balancing);
        return false;
    }
    if (!client_security_check(&resolved, ret_status)) return false;
    *ret_resolved = resolved;
    return true;
}

static uint32_t cores_count(void) {
    unsigned count = gpr_cpu_num_cores();
    return count < 1 ? 1 : count > DAYBOOK__THREADS_MAX ? DAYBOOK__THREADS_MAX : count;
}

/* The worst of what well-behaved clients send: small numbers, packed, take eight bytes for one, and twice that while their
 * array grows. */
#define REQUEST_MEMORY_FACTOR 32

static bool bytes_resolve(const char *name, uint64_t *bytes, uint32_t default_mib, daybook_status *ret_status) {
    if (*bytes == 0) *bytes = (uint64_t)default_mib * MIB;
    if (*bytes >= MIB && *bytes <= SIZE_MAX / 2) return true;
    daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT,
                       "option %s is %llu; it must be at least 1 MiB, or 0 for %u MiB", name,
                       (unsigned long long)*bytes, default_mib);
    return false;
}

bool daybook__server_options_resolve(const daybook_server_options *options, daybook_server_options *ret_resolved,
                                     daybook_status *ret_status) {
    daybook_server_options resolved = options == NULL ? (daybook_server_options){0} : *options;
    const struct number numbers[] = {
        {"threads_count", &resolved.threads_count, cores_count(), 1, DAYBOOK__THREADS_MAX},
        {"message_bytes_max", &resolved.message_bytes_max, 16 * MIB, 1, INT_MAX},
        {"metadata_bytes_max", &resolved.metadata_bytes_max, 16 * 1024, 1024, 16 * MIB},
        {"concurrent_calls_max", &resolved.concurrent_calls_max, 1024, 1, INT_MAX},
        {"unary_calls_max", &resolved.unary_calls_max, 16384, 1, INT_MAX},
        {"keepalive_ms", &resolved.keepalive_ms, 30000, 1000, INT_MAX},
        {"keepalive_timeout_ms", &resolved.keepalive_timeout_ms, 10000, 1000, INT_MAX},
        {"connection_idle_ms", &resolved.connection_idle_ms, 600000, 1000, INT_MAX},
        {"handshake_timeout_ms", &resolved.handshake_timeout_ms, 10000, 1, INT_MAX},
    };
    if (!address_check("listen", resolved.listen, ret_status)) return false;
    if (!numbers_resolve(numbers, sizeof numbers / sizeof numbers[0], ret_status)) return false;
    if (!bytes_resolve("memory_bytes_max", &resolved.memory_bytes_max, 256, ret_status) ||
        !bytes_resolve("unary_bytes_max", &resolved.unary_bytes_max, 128, ret_status)) {
        return false;
    }
    if (resolved.request_memory_bytes_max == 0) {
        resolved.request_memory_bytes_max = REQUEST_MEMORY_FACTOR * (uint64_t)resolved.message_bytes_max;
    }
    *ret_resolved = resolved;
    return true;
}

bool daybook__call_options_resolve(const daybook_call_options *options, daybook_method_kind kind,
                                   daybook_call_options *ret_resolved, daybook_status *ret_status) {
    daybook_call_options resolved = options == NULL ? (daybook_call_options){0} : *options;
    if (resolved.timeout_ms == 0) {
        resolved.timeout_ms = kind == DAYBOOK_METHOD_UNARY ? DAYBOOK_TIMEOUT_DEFAULT_MS : DAYBOOK_TIMEOUT_NONE;
    }
    if (resolved.headers_count > DAYBOOK__HEADERS_MAX) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "%zu headers; at most %u are allowed",
                           resolved.headers_count, DAYBOOK__HEADERS_MAX);
        return false;
    }
    assert(resolved.headers_count == 0 || resolved.headers != NULL);
    for (size_t i = 0; i < resolved.headers_count; i++) {
        const char *problem = daybook__header_check(&resolved.headers[i]);
        if (problem != NULL) {
            daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "header %zu %s", i, problem);
            return false;
        }
    }
    *ret_resolved = resolved;
    return true;
}

void daybook__channel_arguments_add(struct channel_arguments *arguments, const char *key, uint32_t value) {
    assert(arguments->count < DAYBOOK__CHANNEL_ARGUMENTS_MAX);
    assert(value <= INT_MAX);
    /* gRPC's struct is not const-correct; it copies the list before it returns. */
    arguments->items[arguments->count++] =
        (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = (int)value};
}

void daybook__channel_arguments_add_text(struct channel_arguments *arguments, const char *key, const char *value) {
    assert(arguments->count < DAYBOOK__CHANNEL_ARGUMENTS_MAX);
    arguments->items[arguments->count++] =
        (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
}

grpc_channel_args daybook__channel_arguments_list(struct channel_arguments *arguments) {
    return (grpc_channel_args){.num_args = arguments->count, .args = arguments->items};
}

void daybook__channel_arguments_add_common(struct channel_arguments *arguments, uint32_t message_bytes_max) {
    daybook__channel_arguments_add(arguments, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                                   1u << GRPC_COMPRESS_NONE);
    daybook__channel_arguments_add(arguments, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, message_bytes_max);
}
