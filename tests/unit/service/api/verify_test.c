/* Verify, as a client sees it: what is wrong and how far it is, one at a time. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "daybook/v1/admin.grpc.h"
#include "service/store/verification.h"
#include "tests/unit/service/api/rooms.h"

#define METHOD_VERIFY "/daybook.v1.Admin/Verify"
#define EVENTS_COUNT  300

TestSuite(verify, .init = rooms_open, .fini = rooms_close);

struct verified {
    daybook_next end;
    uint64_t checked_count;
    uint64_t events_count;
    uint64_t problems_count; /* as it is told */
    size_t positions_count;  /* as they are listed */
    size_t texts_count;
    uint64_t positions[2 * EVENTS_COUNT];
};

static struct verified verify(void) {
    daybook_status status;
    struct verified verified = {0};
    const daybook_v1_VerifyResponse *response;
    daybook_v1_Admin_Verify_stream *stream =
        daybook_v1_Admin_Verify_open(rooms.client, daybook_v1_VerifyRequest_new(rooms.arena), NULL, &status);
    cr_assert_not_null(stream, "%s", status.message);
    while ((verified.end = daybook_v1_Admin_Verify_next(stream, ROOMS_PATIENCE_MS, &response, &status)) ==
           DAYBOOK_NEXT_MESSAGE) {
        size_t count;
        const uint64_t *positions = daybook_v1_VerifyResponse_corrupt_positions(response, &count);
        for (size_t index = 0; index < count; index++)
            verified.positions[verified.positions_count++] = positions[index];
        (void)daybook_v1_VerifyResponse_problems(response, &count);
        verified.texts_count += count;
        verified.checked_count = daybook_v1_VerifyResponse_events_checked_count(response);
        verified.events_count = daybook_v1_VerifyResponse_events_count(response);
        verified.problems_count = daybook_v1_VerifyResponse_problems_count(response);
    }
    daybook_v1_Admin_Verify_close(stream);
    return verified;
}

Test(verify, a_sound_store) {
    for (int index = 0; index < 20; index++) rooms_append_one("s", "T");
    const struct verified verified = verify();
    cr_assert_eq(verified.end, DAYBOOK_NEXT_END);
    cr_assert_eq(verified.checked_count, 20);
    cr_assert_eq(verified.events_count, 20);
    cr_assert_eq(verified.problems_count + verified.positions_count + verified.texts_count, 0);
}

Test(verify, an_empty_store) {
    const struct verified verified = verify();
    cr_assert_eq(verified.end, DAYBOOK_NEXT_END);
    cr_assert_eq(verified.events_count, 0);
}

/* Changes the type of every event. */
static void damage(void) {
    size_t size;
    const struct temporary_path path = temporary_path(&rooms.directory, "data/log/data.mdb");
    uint8_t *whole = temporary_file_read(path.text, &size);
    const int file = open(path.text, O_RDWR | O_CLOEXEC);
    cr_assert_geq(file, 0);
    for (uint8_t *at = whole; (at = memmem(at, size - (size_t)(at - whole), "Damaged", 7)) != NULL; at++) {
        cr_assert_eq(pwrite(file, "d", 1, at - whole), 1);
    }
    close(file);
    free(whole);
}

/* More than are kept for one message: the reading waits for the client, and nothing is lost. */
Test(verify, names_every_position) {
    for (int index = 0; index < EVENTS_COUNT; index++) rooms_append_one("s", index % 3 == 0 ? "T" : "Damaged");
    damage();
    const struct verified verified = verify();
    cr_assert_eq(verified.end, DAYBOOK_NEXT_END);
    cr_assert_eq(verified.problems_count, EVENTS_COUNT * 2 / 3);
    cr_assert_eq(verified.positions_count, EVENTS_COUNT * 2 / 3);
    cr_assert_eq(verified.texts_count, EVENTS_COUNT * 2 / 3);
    size_t count = 0;
    for (uint64_t index = 0; index < EVENTS_COUNT; index++) {
        if (index % 3 != 0) cr_assert_eq(verified.positions[count++], index + 1);
    }
}

static void ignore(void *context, uint64_t position, const char *text) {
    (void)context;
    (void)position;
    (void)text;
}

Test(verify, a_second_one_is_refused) {
    struct verification *first;
    const struct verification_options options = {.store = rooms.store, .found = ignore};
    cr_assert_eq(verification_begin(&options, &first).failure, FAILURE_NONE);
    struct answer answer = answer_to(rooms.channel, METHOD_VERIFY, upb_StringView_FromDataAndSize("", 0));
    answer_expect(&answer, DAYBOOK_ABORTED, "OPERATION_RUNNING");
    answer_free(&answer);
    verification_end(first);
    cr_assert_eq(verify().end, DAYBOOK_NEXT_END);
}

Test(verify, a_client_that_goes_ends_it) {
    for (int index = 0; index < EVENTS_COUNT; index++) rooms_append_one("s", "Damaged");
    damage();
    rooms_stream_abandon(METHOD_VERIFY);
    struct verified verified;
    do {
        verified = verify(); /* the server hears of the last one's end after its client */
    } while (verified.end != DAYBOOK_NEXT_END);
    cr_assert_eq(verified.positions_count, EVENTS_COUNT);
}
