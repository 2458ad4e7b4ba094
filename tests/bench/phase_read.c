#include "tests/bench/phases.h"

#include "tests/bench/connection.h"
#include "tests/bench/measure.h"

#include <inttypes.h>
#include <stdio.h>

#define CONNECT_TIMEOUT_MS 10000u

/* What a read has seen so far. */
struct read_totals {
    uint64_t events_count;
    uint64_t messages_count;
    uint64_t bytes_count;
};

/* Counts the events of one message. False: it is not protobuf. */
static bool count_events(const struct peer *peer, grpc_byte_buffer *message, struct read_totals *totals) {
    uint64_t events_count = 0;
    if (!message_count_fields(message, peer->read_events_field, &events_count)) return false;
    totals->events_count += events_count;
    totals->messages_count++;
    totals->bytes_count += grpc_byte_buffer_length(message);
    return true;
}

/* Makes the read on an open connection. */
static bool read_all(const struct phase_options *options, const struct connection *connection,
                     struct read_totals *totals, char ret_error[CALL_ERROR_BYTES]) {
    struct wire_writer request;
    wire_writer_init(&request);
    options->peer->write_read(&request);
    struct stream_call call;
    grpc_slice slice = grpc_slice_from_static_buffer(request.data, request.size);
    stream_start(&call, connection, options->peer->read_method, slice);

    bool ok = true;
    grpc_byte_buffer *message = NULL;
    while ((message = stream_next(&call)) != NULL) {
        ok = count_events(options->peer, message, totals) && ok;
        grpc_byte_buffer_destroy(message);
    }
    bool ended = stream_finish(&call, ret_error);
    wire_writer_deinit(&request);
    if (ended && !ok) (void)snprintf(ret_error, CALL_ERROR_BYTES, "an answer is not protobuf");
    return ended && ok;
}

static void print_result(const char *name, const struct read_totals *totals, const struct measure_times *times,
                         uint64_t elapsed_ns) {
    double seconds = (double)elapsed_ns / 1e9;
    double events = (double)totals->events_count;
    double bytes = (double)totals->bytes_count;
    printf("phase=read peer=%s events=%" PRIu64 " events_per_second=%.0f mib_per_second=%.0f", name,
           totals->events_count, events / seconds, bytes / seconds / (1024.0 * 1024.0));
    printf(" bytes_per_event=%.0f bytes_per_message=%.0f", bytes / events, bytes / (double)totals->messages_count);
    printf(" server_us=%.3f client_us=%.3f others_cores=%.2f\n", (double)times->server_us / events,
           (double)times->client_us / events, measure_others_cores(times, elapsed_ns));
}

bool phase_read(const struct phase_options *options) {
    const char *name = options->peer->name;
    if (options->peer->read_method == NULL) {
        (void)fprintf(stderr, "load: %s has nothing to read\n", name);
        return false;
    }
    struct connection connection;
    if (!connection_open(&connection, options->target, CONNECT_TIMEOUT_MS)) {
        (void)fprintf(stderr, "load: %s: no connection to %s\n", name, options->target);
        return false;
    }
    struct read_totals totals = {0};
    char error[CALL_ERROR_BYTES] = "";
    struct measure_times begin = measure_times_now(options->server_pid);
    uint64_t begin_ns = measure_now_ns();
    bool ok = read_all(options, &connection, &totals, error);
    uint64_t elapsed_ns = measure_now_ns() - begin_ns;
    struct measure_times times = measure_times_since(&begin, options->server_pid);
    connection_close(&connection);
    if (!ok) {
        (void)fprintf(stderr, "load: %s: %s\n", name, error);
        return false;
    }
    if (totals.events_count != options->events_count) {
        (void)fprintf(stderr, "load: %s: read %" PRIu64 " events, not %" PRIu64 "\n", name, totals.events_count,
                      options->events_count);
        return false;
    }
    print_result(name, &totals, &times, elapsed_ns);
    return true;
}
