/* Defaults and ranges. */
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "sdk/runtime/options.h"

static bool client_ok(daybook_client_options options, daybook_status *status) {
    daybook_client_options resolved;
    if (options.target == NULL) options.target = "127.0.0.1:1";
    return daybook__client_options_resolve(&options, &resolved, status);
}

static bool server_ok(daybook_server_options options, daybook_status *status) {
    daybook_server_options resolved;
    if (options.listen == NULL) options.listen = "127.0.0.1:0";
    return daybook__server_options_resolve(&options, &resolved, status);
}

/* Asserts that options were refused, for the option of that name. */
static void assert_refused(bool ok, const daybook_status *status, const char *name) {
    cr_assert_not(ok, "%s was accepted", name);
    cr_assert_eq(status->code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(status->message, name), "%s: %s", name, status->message);
}

Test(options, zeros_of_a_client_are_the_documented_defaults) {
    daybook_client_options resolved;
    daybook_status status;
    cr_assert(daybook__client_options_resolve(&(daybook_client_options){.target = "x:1"}, &resolved, &status));
    cr_assert_eq(resolved.threads_count, 1);
    cr_assert_eq(resolved.message_bytes_max, 16u * 1024 * 1024 + 64 * 1024);
    cr_assert_eq(resolved.keepalive_ms, 30000);
    cr_assert_eq(resolved.keepalive_timeout_ms, 10000);
    cr_assert_eq(resolved.reconnect_backoff_max_ms, 2000);
    cr_assert_eq(resolved.retry.attempts_max, 5);
    cr_assert_eq(resolved.retry.backoff_first_ms, 100);
    cr_assert_eq(resolved.retry.backoff_max_ms, 2000);
}

Test(options, zeros_of_a_server_are_the_documented_defaults) {
    daybook_server_options resolved;
    daybook_status status;
    cr_assert(daybook__server_options_resolve(&(daybook_server_options){.listen = "x:1"}, &resolved, &status));
    cr_assert_geq(resolved.threads_count, 1);
    cr_assert_leq(resolved.threads_count, 64);
    cr_assert_eq(resolved.message_bytes_max, 16u * 1024 * 1024);
    cr_assert_eq(resolved.metadata_bytes_max, 16u * 1024);
    cr_assert_eq(resolved.concurrent_calls_max, 1024);
    cr_assert_eq(resolved.memory_bytes_max, 256u * 1024 * 1024);
    cr_assert_eq(resolved.unary_calls_max, 16384);
    cr_assert_eq(resolved.unary_bytes_max, 128u * 1024 * 1024);
    cr_assert_eq(resolved.keepalive_ms, 30000);
    cr_assert_eq(resolved.keepalive_timeout_ms, 10000);
    cr_assert_eq(resolved.connection_idle_ms, 600000);
    cr_assert_eq(resolved.handshake_timeout_ms, 10000);
}

Test(options, what_is_set_stays) {
    daybook_client_options options = {.target = "unix:/run/x.sock",
                                      .threads_count = 64,
                                      .message_bytes_max = 1,
                                      .keepalive_ms = 10000,
                                      .keepalive_timeout_ms = 1000,
                                      .reconnect_backoff_max_ms = 100,
                                      .balancing = DAYBOOK_BALANCING_ROUND_ROBIN,
                                      .retry = {.attempts_max = 1, .backoff_first_ms = 1, .backoff_max_ms = 1}};
    daybook_client_options resolved;
    cr_assert(daybook__client_options_resolve(&options, &resolved, NULL));
    cr_assert_eq(memcmp(&options, &resolved, sizeof options), 0);
}

Test(options, a_client_refuses_what_is_out_of_range) {
    daybook_status status;
    assert_refused(client_ok((daybook_client_options){.threads_count = 65}, &status), &status, "threads_count");
    assert_refused(client_ok((daybook_client_options){.message_bytes_max = 1u << 31}, &status), &status,
                   "message_bytes_max");
    assert_refused(client_ok((daybook_client_options){.keepalive_ms = 9999}, &status), &status, "keepalive_ms");
    assert_refused(client_ok((daybook_client_options){.reconnect_backoff_max_ms = 99}, &status), &status,
                   "reconnect_backoff_max_ms");
    assert_refused(client_ok((daybook_client_options){.keepalive_timeout_ms = 999}, &status), &status,
                   "keepalive_timeout_ms");
    assert_refused(client_ok((daybook_client_options){.retry.attempts_max = 101}, &status), &status,
                   "retry.attempts_max");
    assert_refused(client_ok((daybook_client_options){.retry.backoff_max_ms = UINT32_MAX}, &status), &status,
                   "retry.backoff_max_ms");
    assert_refused(client_ok((daybook_client_options){.balancing = (daybook_balancing)7}, &status), &status,
                   "balancing");
    const daybook_tls_options optional = {.client_certificate_optional = 1};
    assert_refused(client_ok((daybook_client_options){.tls = &optional}, &status), &status,
                   "tls.client_certificate_optional");
    const daybook_tls_options nameless = {.server_name = ""};
    assert_refused(client_ok((daybook_client_options){.tls = &nameless}, &status), &status, "tls.server_name");
}

/* The grammar is RFC 6750's, 2.1. */
Test(options, a_bearer_token_is_of_its_grammar) {
    static const char *const good[] = {"a", "mF_9.B5f-4.1JqM", "eyJhbGciOi+/~==", "0="};
    static const char *const bad[] = {"", "=", "a=b", "two words", "a\n", "a\r\nx: y", "caf\xc3\xa9", "a\x7f", "a,b"};
    daybook_status status;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(daybook__bearer_token_check(good[i], true, &status), "%s: %s", good[i], status.message);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(daybook__bearer_token_check(bad[i], true, &status), &status, "token");
        cr_assert_null(strstr(status.message, "two words"), "a secret is never told");
    }
    char longest[DAYBOOK__TOKEN_BYTES_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[DAYBOOK__TOKEN_BYTES_MAX + 1] = '\0';
    assert_refused(daybook__bearer_token_check(longest, true, &status), &status, "8000");
    longest[DAYBOOK__TOKEN_BYTES_MAX] = '\0';
    cr_assert(daybook__bearer_token_check(longest, true, &status));
}

Test(options, a_bearer_token_is_not_shown_to_everybody) {
    daybook_status status;
    const daybook_tls_options tls = {0};
    assert_refused(client_ok((daybook_client_options){.bearer_token = "abc"}, &status), &status,
                   "bearer_token_in_clear");
    cr_assert(client_ok((daybook_client_options){.bearer_token = "abc", .bearer_token_in_clear = 1}, &status));
    cr_assert(client_ok((daybook_client_options){.bearer_token = "abc", .tls = &tls}, &status));
    assert_refused(client_ok((daybook_client_options){.bearer_token = "a b", .tls = &tls}, &status), &status, "token");
}

Test(options, a_server_refuses_what_is_out_of_range) {
    daybook_status status;
    assert_refused(server_ok((daybook_server_options){.threads_count = 65}, &status), &status, "threads_count");
    assert_refused(server_ok((daybook_server_options){.message_bytes_max = UINT32_MAX}, &status), &status,
                   "message_bytes_max");
    assert_refused(server_ok((daybook_server_options){.memory_bytes_max = 1}, &status), &status, "memory_bytes_max");
    assert_refused(server_ok((daybook_server_options){.unary_bytes_max = 1}, &status), &status, "unary_bytes_max");
    assert_refused(server_ok((daybook_server_options){.memory_bytes_max = UINT64_MAX}, &status), &status,
                   "memory_bytes_max");
    assert_refused(server_ok((daybook_server_options){.metadata_bytes_max = 1}, &status), &status,
                   "metadata_bytes_max");
}

Test(options, an_address_is_needed_and_bounded) {
    daybook_status status;
    daybook_client_options resolved;
    assert_refused(daybook__client_options_resolve(NULL, &resolved, &status), &status, "target");
    assert_refused(daybook__client_options_resolve(&(daybook_client_options){0}, &resolved, &status), &status,
                   "target");
    assert_refused(client_ok((daybook_client_options){.target = ""}, &status), &status, "target");
    assert_refused(client_ok((daybook_client_options){.target = "a b:1"}, &status), &status, "target");
    assert_refused(client_ok((daybook_client_options){.target = "a\n:1"}, &status), &status, "target");
    assert_refused(server_ok((daybook_server_options){.listen = ""}, &status), &status, "listen");
    char target[DAYBOOK__TARGET_BYTES_MAX + 2];
    memset(target, 'a', sizeof target);
    target[sizeof target - 1] = '\0';
    assert_refused(client_ok((daybook_client_options){.target = target}, &status), &status, "target");
    target[sizeof target - 2] = '\0';
    cr_assert(client_ok((daybook_client_options){.target = target}, &status));
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

Test(options, only_unary_calls_have_a_default_timeout) {
    daybook_call_options resolved;
    cr_assert(daybook__call_options_resolve(NULL, DAYBOOK_METHOD_UNARY, &resolved, NULL));
    cr_assert_eq(resolved.timeout_ms, DAYBOOK_TIMEOUT_DEFAULT_MS);
    cr_assert(daybook__call_options_resolve(NULL, DAYBOOK_METHOD_SERVER_STREAMING, &resolved, NULL));
    cr_assert_eq(resolved.timeout_ms, DAYBOOK_TIMEOUT_NONE);
    daybook_call_options options = {.timeout_ms = 7};
    cr_assert(daybook__call_options_resolve(&options, DAYBOOK_METHOD_UNARY, &resolved, NULL));
    cr_assert_eq(resolved.timeout_ms, 7);
}

Test(options, headers_are_checked_and_bounded) {
    daybook_header headers[DAYBOOK__HEADERS_MAX + 1];
    for (size_t i = 0; i < DAYBOOK__HEADERS_MAX + 1; i++) {
        headers[i] = (daybook_header){.key = "a", .value = "x"};
    }
    daybook_call_options options = {.headers = headers, .headers_count = DAYBOOK__HEADERS_MAX};
    daybook_call_options resolved;
    daybook_status status = {0};
    cr_assert(daybook__call_options_resolve(&options, DAYBOOK_METHOD_UNARY, &resolved, &status));
    options.headers_count++;
    cr_assert_not(daybook__call_options_resolve(&options, DAYBOOK_METHOD_UNARY, &resolved, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    options.headers_count = 3;
    headers[2].key = "grpc-timeout";
    cr_assert_not(daybook__call_options_resolve(&options, DAYBOOK_METHOD_UNARY, &resolved, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_str_eq(status.message, "header 2 has a key that is reserved for gRPC");
}

/* --- Channel arguments -------------------------------------------------------------------------------------------- */

Test(options, channel_arguments_take_gRPCs_form) {
    struct channel_arguments arguments = {0};
    daybook__channel_arguments_add(&arguments, "grpc.number", 7);
    daybook__channel_arguments_add_text(&arguments, "grpc.text", "seven");
    daybook__channel_arguments_add_common(&arguments, 1234);
    grpc_channel_args list = daybook__channel_arguments_list(&arguments);
    cr_assert_eq(list.num_args, 4);
    cr_assert_eq(list.args[0].type, GRPC_ARG_INTEGER);
    cr_assert_eq(list.args[0].value.integer, 7);
    cr_assert_eq(list.args[1].type, GRPC_ARG_STRING);
    cr_assert_str_eq(list.args[1].value.string, "seven");
    bool sized = false;
    for (size_t i = 0; i < list.num_args; i++) {
        if (strcmp(list.args[i].key, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH) != 0) continue;
        sized = list.args[i].value.integer == 1234;
    }
    cr_assert(sized);
}
