/* Server streams: messages in order, the four facts of `next`, flow control, cancelling and closing at every moment. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/echo_fixture.h"

static struct echo_fixture fixture;

static void setup(void) {
    fixture = echo_fixture_open();
}

static void teardown(void) {
    echo_fixture_close(&fixture);
}

TestSuite(stream, .init = setup, .fini = teardown, .timeout = 60);

static daybook_stream *open_stream(const struct echo_script *script, const daybook_call_options *options) {
    daybook_status status = {.code = DAYBOOK_UNKNOWN};
    const void *request = echo_request(&fixture, script);
    daybook_stream *stream = daybook_stream_open(fixture.client, &ECHO_STREAM, request, options, &status);
    cr_assert_not_null(stream, "%s", status.message);
    cr_assert_eq(status.code, DAYBOOK_OK);
    return stream;
}

/* Reads one message and asserts that it is the one of that index. */
static const void *read_message(daybook_stream *stream, uint32_t index) {
    const void *message = NULL;
    daybook_status status;
    daybook_next next = daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status);
    cr_assert_eq(next, DAYBOOK_NEXT_MESSAGE, "message %u: %d %s", index, next, status.message);
    cr_assert_eq(daybook_test_EchoResponse_index(message), index);
    return message;
}

static void assert_end(daybook_stream *stream) {
    const void *message = NULL;
    daybook_status status = {.code = DAYBOOK_UNKNOWN};
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), DAYBOOK_NEXT_END);
    cr_assert_eq(status.code, DAYBOOK_OK);
    cr_assert_null(message);
}

static daybook_status assert_error(daybook_stream *stream, daybook_code code) {
    const void *message = NULL;
    daybook_status status;
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, &status), DAYBOOK_NEXT_ERROR);
    cr_assert_eq(status.code, code, "%s: %s", daybook_code_name(status.code), status.message);
    cr_assert_null(message);
    return status;
}

Test(stream, messages_come_in_order_and_then_the_end) {
    daybook_stream *stream = open_stream(&(struct echo_script){.text = "m", .payload_bytes = 100, .count = 1000}, NULL);
    for (uint32_t i = 0; i < 1000; i++) {
        read_message(stream, i);
    }
    assert_end(stream);
    assert_end(stream);
    cr_assert_null(daybook_stream_close(stream));
    cr_assert_null(daybook_stream_close(NULL));
}

Test(stream, a_stream_may_be_empty) {
    daybook_stream *stream = open_stream(&(struct echo_script){0}, NULL);
    assert_end(stream);
    daybook_stream_close(stream);
}

Test(stream, messages_of_every_size_are_whole) {
    static const size_t sizes[] = {0, 1, 20, 1000, 16384, 70000, 300000, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const void *request = echo_request(&fixture, &(struct echo_script){.payload_bytes = sizes[i], .count = 4});
        daybook_stream *stream = daybook_stream_open(fixture.client, &ECHO_STREAM, request, NULL, NULL);
        for (uint32_t index = 0; index < 4; index++) {
            const void *message = read_message(stream, index);
            cr_assert(upb_StringView_IsEqual(daybook_test_EchoResponse_payload(message),
                                             daybook_test_EchoRequest_payload(request)));
        }
        assert_end(stream);
        daybook_stream_close(stream);
    }
}

Test(stream, an_error_follows_the_messages_before_it) {
    struct echo_script script = {
        .count = 3,
        .code = DAYBOOK_OUT_OF_RANGE,
        .message = "gone",
        .details = echo_details(&fixture, "POSITION_TRUNCATED", -1),
    };
    daybook_stream *stream = open_stream(&script, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        read_message(stream, i);
    }
    for (int again = 0; again < 2; again++) {
        daybook_status status = assert_error(stream, DAYBOOK_OUT_OF_RANGE);
        cr_assert_str_eq(status.message, "gone");
        cr_assert_str_eq(status.reason, "POSITION_TRUNCATED");
        cr_assert_not(status.retryable);
    }
    daybook_stream_close(stream);
}

Test(stream, the_details_of_an_error_are_whole) {
    struct echo_script script = {
        .count = 1, .code = DAYBOOK_OUT_OF_RANGE, .details = echo_details(&fixture, "POSITION_TRUNCATED", -1)};
    daybook_details details = {.size = 7};
    daybook_stream *stream = open_stream(&script, &(daybook_call_options){.details = &details});
    read_message(stream, 0);
    (void)assert_error(stream, DAYBOOK_OUT_OF_RANGE);
    cr_assert_eq(details.size, script.details.size);
    cr_assert_arr_eq(details.bytes, script.details.data, details.size);
    daybook_stream_close(stream);
}

Test(stream, nothing_in_time_is_a_timeout_and_no_end) {
    daybook_stream *stream = open_stream(&(struct echo_script){.count = 1, .hold = true}, NULL);
    const void *message = NULL;
    read_message(stream, 0);
    daybook_status status = {.code = DAYBOOK_UNKNOWN};
    cr_assert_eq(daybook_stream_next(stream, 0, &message, &status), DAYBOOK_NEXT_TIMEOUT);
    cr_assert_eq(daybook_stream_next(stream, 20, &message, &status), DAYBOOK_NEXT_TIMEOUT);
    cr_assert_null(message);
    cr_assert_eq(status.code, DAYBOOK_UNKNOWN, "the status is left alone");
    daybook_stream_close(stream);
}

Test(stream, next_accepts_no_status) {
    daybook_stream *stream = open_stream(&(struct echo_script){.code = DAYBOOK_ABORTED}, NULL);
    const void *message = NULL;
    cr_assert_eq(daybook_stream_next(stream, DAYBOOK_TIMEOUT_NONE, &message, NULL), DAYBOOK_NEXT_ERROR);
    daybook_stream_close(stream);
}

Test(stream, the_deadline_ends_it) {
    daybook_stream *stream =
        open_stream(&(struct echo_script){.hold = true}, &(daybook_call_options){.timeout_ms = 30});
    assert_error(stream, DAYBOOK_DEADLINE_EXCEEDED);
    daybook_stream_close(stream);
}

Test(stream, a_reader_may_poll) {
    daybook_stream *stream = open_stream(&(struct echo_script){.count = 500, .payload_bytes = 2000}, NULL);
    uint32_t received = 0;
    for (uint32_t wait_ms = 0;; wait_ms = (wait_ms + 1) % 3) {
        const void *message = NULL;
        daybook_next next = daybook_stream_next(stream, wait_ms, &message, NULL);
        if (next == DAYBOOK_NEXT_TIMEOUT) continue;
        if (next != DAYBOOK_NEXT_MESSAGE) break;
        cr_assert_eq(daybook_test_EchoResponse_index(message), received);
        received++;
    }
    cr_assert_eq(received, 500);
    assert_end(stream);
    daybook_stream_close(stream);
}

Test(stream, a_malformed_message_ends_it) {
    struct echo_script script = {.count = 5, .hold = true, .raw = upb_StringView_FromString("\xff\xff")};
    daybook_stream *stream = open_stream(&script, NULL);
    daybook_status status = assert_error(stream, DAYBOOK_INTERNAL);
    cr_assert_not_null(strstr(status.message, "is not a valid protobuf message"), "%s", status.message);
    assert_error(stream, DAYBOOK_INTERNAL);
    echo_server_wait_cancelled(fixture.server, 1);
    daybook_stream_close(stream);
}

Test(stream, a_bad_header_opens_nothing) {
    daybook_header header = {.key = "Bad Key", .value = "x"};
    daybook_call_options options = {.headers = &header, .headers_count = 1};
    daybook_status status = {0};
    const void *request = echo_request(&fixture, &(struct echo_script){.count = 1});
    cr_assert_null(daybook_stream_open(fixture.client, &ECHO_STREAM, request, &options, &status));
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_null(daybook_stream_open(fixture.client, &ECHO_STREAM, request, &options, NULL));
}

Test(stream, a_reader_that_pauses_makes_the_server_pause) {
    const uint32_t count = 1000;
    daybook_stream *stream = open_stream(&(struct echo_script){.payload_bytes = 256 * 1024, .count = count}, NULL);
    read_message(stream, 0);
    /* The server has one thread: while it answers these it could send all the rest, if it was allowed to. */
    for (uint32_t i = 0; i < 200; i++) {
        const void *response = NULL;
        cr_assert(daybook_call_unary(fixture.client, &ECHO_CALL,
                                     echo_request(&fixture, &(struct echo_script){.count = 1}), NULL, fixture.arena,
                                     &response, NULL));
    }
    cr_assert_lt(echo_server_sent(fixture.server), 200 + count / 4);
    for (uint32_t i = 1; i < count; i++) {
        read_message(stream, i);
    }
    assert_end(stream);
    daybook_stream_close(stream);
}

/* --- Cancelling and closing --------------------------------------------------------------------------------------- */

Test(stream, cancel_before_the_first_message) {
    daybook_stream *stream = open_stream(&(struct echo_script){.hold = true}, NULL);
    daybook_stream_cancel(stream);
    daybook_stream_cancel(stream);
    assert_error(stream, DAYBOOK_CANCELLED);
    assert_error(stream, DAYBOOK_CANCELLED);
    daybook_stream_close(stream);
}

Test(stream, cancel_reaches_the_server) {
    daybook_stream *stream = open_stream(&(struct echo_script){.count = 1, .hold = true}, NULL);
    read_message(stream, 0);
    daybook_stream_cancel(stream);
    assert_error(stream, DAYBOOK_CANCELLED);
    echo_server_wait_cancelled(fixture.server, 1);
    daybook_stream_close(stream);
}

/* Whatever has been read ahead: after a cancel there are no more messages. */
Test(stream, cancel_wins_over_messages_read_ahead) {
    daybook_stream *stream = open_stream(&(struct echo_script){.count = 100, .payload_bytes = 10}, NULL);
    read_message(stream, 0);
    daybook_stream_cancel(stream);
    assert_error(stream, DAYBOOK_CANCELLED);
    daybook_stream_close(stream);
}

Test(stream, cancel_after_the_end_changes_nothing) {
    daybook_stream *stream = open_stream(&(struct echo_script){.count = 1}, NULL);
    read_message(stream, 0);
    assert_end(stream);
    daybook_stream_cancel(stream);
    assert_end(stream);
    daybook_stream_close(stream);
}

static void *cancel(void *argument) {
    echo_server_wait_received(fixture.server, 1);
    daybook_stream_cancel(argument);
    return NULL;
}

Test(stream, cancel_releases_a_waiting_reader) {
    daybook_stream *stream = open_stream(&(struct echo_script){.hold = true}, NULL);
    pthread_t canceller;
    cr_assert_eq(pthread_create(&canceller, NULL, cancel, stream), 0);
    assert_error(stream, DAYBOOK_CANCELLED);
    pthread_join(canceller, NULL);
    daybook_stream_close(stream);
}

/* Closed at once, after some messages, with one read ahead, after the end but before it was read. */
Test(stream, close_at_any_moment) {
    for (uint32_t i = 0; i < 200; i++) {
        daybook_stream *stream =
            open_stream(&(struct echo_script){.count = 8, .payload_bytes = 1000, .hold = i % 2 == 0}, NULL);
        for (uint32_t index = 0; index < i % 9; index++) {
            read_message(stream, index);
        }
        if (i % 7 == 0) daybook_stream_cancel(stream);
        daybook_stream_close(stream);
    }
}

Test(stream, a_large_stream_may_be_closed_in_the_middle) {
    daybook_stream *stream = open_stream(&(struct echo_script){.payload_bytes = 1024 * 1024, .count = 1000}, NULL);
    read_message(stream, 0);
    read_message(stream, 1);
    daybook_stream_close(stream);
    echo_server_wait_cancelled(fixture.server, 1);
    cr_assert_lt(echo_server_sent(fixture.server), 1000);
}

Test(stream, streams_run_side_by_side) {
    daybook_stream *streams[20];
    for (size_t i = 0; i < 20; i++) {
        streams[i] = open_stream(&(struct echo_script){.count = 50, .payload_bytes = 5000}, NULL);
    }
    for (uint32_t index = 0; index < 50; index++) {
        for (size_t i = 0; i < 20; i++) {
            read_message(streams[i], index);
        }
    }
    for (size_t i = 0; i < 20; i++) {
        assert_end(streams[i]);
        daybook_stream_close(streams[i]);
    }
}
