#include "tests/bench/phases.h"

#include "tests/bench/connection.h"
#include "tests/bench/measure.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 10000u
#define START_TIMEOUT_MS   60000u
#define START_POLL_NS      UINT64_C(500000)
#define NS_PER_MS          UINT64_C(1000000)

/* Splits "127.0.0.1:50051". */
static bool parse_target(const char *target, struct sockaddr_in *ret_address) {
    static const char loopback[] = "127.0.0.1:";
    if (strncmp(target, loopback, sizeof loopback - 1) != 0) return false;
    char *end = NULL;
    unsigned long port = strtoul(target + sizeof loopback - 1, &end, 10);
    if (*end != '\0' || port == 0 || port > UINT16_MAX) return false;
    *ret_address = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    return true;
}

/* True when something listens. gRPC's own client would wait at least 100 ms before its second try. */
static bool is_listening(const struct sockaddr_in *address) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return false;
    bool listening = connect(descriptor, (const struct sockaddr *)address, sizeof *address) == 0;
    (void)close(descriptor);
    return listening;
}

/* One try to learn the head; a peer without one has answered when the connection stands. */
static bool try_head(const struct phase_options *options, uint64_t *ret_head, char ret_error[CALL_ERROR_BYTES]) {
    struct connection connection;
    (void)snprintf(ret_error, CALL_ERROR_BYTES, "no connection");
    if (!connection_open(&connection, options->target, CONNECT_TIMEOUT_MS)) return false;
    bool ok = true;
    if (options->peer->head_method != NULL) {
        ok = unary_ask_uint(&connection, options->peer->head_method, options->peer->head_field, CONNECT_TIMEOUT_MS,
                            ret_head, ret_error);
    }
    connection_close(&connection);
    return ok;
}

bool phase_start(const struct phase_options *options) {
    struct sockaddr_in address;
    if (!parse_target(options->target, &address)) {
        (void)fprintf(stderr, "load: '%s' is not 127.0.0.1:PORT\n", options->target);
        return false;
    }
    uint64_t end_ns = measure_now_ns() + START_TIMEOUT_MS * NS_PER_MS;
    uint64_t head = 0;
    char error[CALL_ERROR_BYTES] = "nothing listens";
    bool ready = false;
    while (!ready && measure_now_ns() < end_ns) {
        ready = is_listening(&address) && try_head(options, &head, error);
        if (!ready) measure_wait_until_ns(measure_now_ns() + START_POLL_NS);
    }
    if (!ready) {
        (void)fprintf(stderr, "load: %s at %s does not answer: %s\n", options->peer->name, options->target, error);
        return false;
    }
    double start_ms = options->started_us == 0 ? 0.0 : (double)(measure_wall_us() - options->started_us) / 1000.0;
    printf("phase=start peer=%s head=%" PRIu64 " start_ms=%.1f\n", options->peer->name, head, start_ms);
    return true;
}
