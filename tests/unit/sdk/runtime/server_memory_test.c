/* server_memory_test.c: a server that runs out of memory for calls refuses them and goes on. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/sdk/runtime/server_fixture.h"

static atomic_bool without_memory;

/* In the place of the C library's: the runtime takes the memory of its calls, and nothing else, from here. */
void *aligned_alloc(size_t alignment, size_t size) {
    void *memory = NULL;
    if (atomic_load(&without_memory) || posix_memalign(&memory, alignment, size) != 0) return NULL;
    return memory;
}

static void hold(void *context, daybook_server_stream *stream) {
    atomic_store((daybook_server_stream * _Atomic *)context, stream);
}

static void assert_refused(struct fixture *fixture, const char *path) {
    struct raw_call *call = raw_call_start(fixture->channel, path, RAW_TIMEOUT_NONE, NULL);
    raw_call_send(call, "", 0);
    struct raw_status status = raw_call_finish(call);
    cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(status.message, "the server has no memory for the call");
    raw_call_free(call);
}

Test(server_memory, a_call_without_memory_is_refused) {
    struct fixture fixture;
    daybook_server_stream *_Atomic stream = NULL;
    fixture_open(&fixture, (struct fixture_handlers){.unary = fixture_echo, .bidirectional = hold}, &stream, 1);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL).code, DAYBOOK_OK);
    (void)fixture_counts_when_idle(&fixture);

    /* A stream that stays takes the slot that the first call has left behind. */
    struct raw_call *open = raw_call_start(fixture.channel, FIXTURE_BIDIRECTIONAL, RAW_TIMEOUT_NONE, NULL);
    raw_call_receive_headers(open);
    atomic_store(&without_memory, true);
    for (int i = 0; i < 10; i++) {
        assert_refused(&fixture, FIXTURE_UNARY);
        assert_refused(&fixture, FIXTURE_SERVER_STREAM);
        assert_refused(&fixture, FIXTURE_BIDIRECTIONAL);
        assert_refused(&fixture, "/not/served");
    }
    atomic_store(&without_memory, false);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, "", 0, NULL).code, DAYBOOK_OK);
    daybook_server_stream_finish(atomic_load(&stream), DAYBOOK_OK, NULL, NULL, 0);
    cr_assert_eq(raw_call_finish(open).code, DAYBOOK_OK);
    raw_call_free(open);
    daybook_server_counts counts = fixture_counts_when_idle(&fixture);
    cr_assert_eq(counts.calls_started, 43);
    cr_assert_eq(counts.calls_failed, 40);
    fixture_close(&fixture);
}

/* Fields that nobody knows are kept: a request takes at least what it is long. */
Test(server_memory, a_request_that_takes_too_much_while_it_is_decoded_is_refused) {
    enum { FIELDS_BYTES = 64 * 1024 };
    struct fixture fixture;
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = fixture_echo}, NULL,
                      (daybook_server_options){.threads_count = 1, .request_memory_bytes_max = FIELDS_BYTES / 2});
    char *fields = malloc(FIELDS_BYTES);
    cr_assert_not_null(fields);
    for (size_t at = 0; at < FIELDS_BYTES; at += 2) {
        fields[at] = 0x10; /* number 2, a varint */
        fields[at + 1] = 0x01;
    }
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, fields, FIELDS_BYTES, NULL).code,
                 DAYBOOK_RESOURCE_EXHAUSTED);
    cr_assert_eq(raw_unary(fixture.channel, FIXTURE_UNARY, fields, FIELDS_BYTES / 64, NULL).code, DAYBOOK_OK);
    free(fields);
    fixture_close(&fixture);
}

Test(server_memory, a_server_without_memory_does_not_open) {
    daybook_status status;
    atomic_store(&without_memory, true);
    cr_assert_null(daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0"}, &status));
    cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED);
}
