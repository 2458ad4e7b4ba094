/* Backup, as a client sees it: parts that are one whole, one at a time, and a retention that waits no longer than it must. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "daybook/v1/admin.grpc.h"
#include "service/base/digest.h"
#include "service/store/backup.h"
#include "tests/unit/service/api/rooms.h"

#define METHOD_BACKUP "/daybook.v1.Admin/Backup"

TestSuite(backup, .init = rooms_open, .fini = rooms_close);

struct taken {
    daybook_next end;
    size_t parts_count;
    size_t bytes;
    uint64_t head; /* of the first response */
    uint64_t position;
    bool checksum_is_right;
};

static void part_take(struct taken *taken, struct digest *digest, const daybook_v1_BackupResponse *response) {
    const upb_StringView data = daybook_v1_BackupResponse_data(response);
    const upb_StringView checksum = daybook_v1_BackupResponse_checksum(response);
    char text[DIGEST_TEXT_BYTES + 1];
    cr_assert_leq(data.size, BACKUP_PART_BYTES_MAX);
    cr_assert_not(taken->checksum_is_right, "it is in the last");
    if (taken->parts_count == 0) {
        taken->head = daybook_v1_BackupResponse_head(response);
    } else {
        cr_assert_eq(daybook_v1_BackupResponse_head(response), 0);
    }
    digest_add(digest, bytes_of(data.data, data.size));
    digest_text(digest, text);
    taken->checksum_is_right = checksum.size > 0 && answer_text_is(checksum, text);
    taken->position = daybook_v1_BackupResponse_position(response);
    taken->bytes += data.size;
    taken->parts_count++;
}

static struct taken backup_take(void) {
    daybook_status status;
    struct taken taken = {0};
    struct digest *digest;
    const daybook_v1_BackupResponse *response;
    cr_assert_eq(digest_new(&digest).failure, FAILURE_NONE);
    daybook_v1_Admin_Backup_stream *stream =
        daybook_v1_Admin_Backup_open(rooms.client, daybook_v1_BackupRequest_new(rooms.arena), NULL, &status);
    cr_assert_not_null(stream, "%s", status.message);
    while ((taken.end = daybook_v1_Admin_Backup_next(stream, ROOMS_PATIENCE_MS, &response, &status)) ==
           DAYBOOK_NEXT_MESSAGE) {
        part_take(&taken, digest, response);
    }
    daybook_v1_Admin_Backup_close(stream);
    digest_free(digest);
    return taken;
}

static void large_append(void) {
    static char text[900000];
    daybook_v1_AppendRequest *request = rooms_request();
    daybook_v1_Event *event = rooms_event(rooms_write(request, "large"), "T");
    memset(text, 'x', sizeof text);
    daybook_v1_Event_set_text(event, upb_StringView_FromDataAndSize(text, sizeof text));
    (void)rooms_append(request);
}

Test(backup, an_empty_store_is_one_part) {
    const struct taken taken = backup_take();
    cr_assert_eq(taken.end, DAYBOOK_NEXT_END);
    cr_assert_eq(taken.parts_count, 1);
    cr_assert_eq(taken.head, 0);
    cr_assert(taken.checksum_is_right);
}

Test(backup, parts_and_their_checksum) {
    for (int index = 0; index < 5; index++) large_append();
    const struct taken taken = backup_take();
    cr_assert_eq(taken.end, DAYBOOK_NEXT_END);
    cr_assert_eq(taken.parts_count, 5);
    cr_assert_gt(taken.bytes, 4500000);
    cr_assert_eq(taken.head, 5);
    cr_assert_eq(taken.position, 5);
    cr_assert(taken.checksum_is_right);
}

Test(backup, a_second_one_is_refused) {
    struct backup *first;
    cr_assert_eq(backup_begin(rooms.store, &first).failure, FAILURE_NONE);
    struct answer answer = answer_to(rooms.channel, METHOD_BACKUP, upb_StringView_FromDataAndSize("", 0));
    answer_expect(&answer, DAYBOOK_ABORTED, "OPERATION_RUNNING");
    answer_free(&answer);
    backup_end(first);
    cr_assert_eq(backup_take().end, DAYBOOK_NEXT_END);
}

Test(backup, a_client_that_goes_ends_it) {
    for (int index = 0; index < 12; index++) large_append();
    rooms_stream_abandon(METHOD_BACKUP);
    struct taken taken;
    do {
        taken = backup_take(); /* the server hears of the last one's end after its client */
    } while (taken.end != DAYBOOK_NEXT_END);
    cr_assert(taken.checksum_is_right);
}

/* A server that closes waits for the call, which ends when its client is cut off. */
Test(backup, a_server_that_closes_ends_it) {
    for (int index = 0; index < 12; index++) large_append();
    struct raw_call *call = raw_call_request(rooms.channel, METHOD_BACKUP, "", 0);
    free(raw_call_receive(call).data);
    daybook_server_drain(rooms.server, 0);
    (void)raw_call_drain(call);
    cr_assert_neq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
}
