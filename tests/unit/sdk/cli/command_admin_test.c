/* `daybook stats`, `compact` and `reindex`: figures and progress. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/timestamp.upb.h"
#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"
#include "tests/unit/sdk/cli/scripted_server.h"

TestSuite(command_admin, .init = scripted_open, .fini = scripted_close);

static void tell_stats(void) {
    daybook_v1_GetStatsResponse *stats = daybook_v1_GetStatsResponse_new(scripted.arena);
    daybook_v1_GetStatsResponse_set_store_id(stats, upb_StringView_FromString("the-store\x1b"));
    daybook_v1_GetStatsResponse_set_version(stats, upb_StringView_FromString("0.1.0"));
    google_protobuf_Timestamp_set_seconds(daybook_v1_GetStatsResponse_mutable_started_at(stats, scripted.arena), 1);
    daybook_v1_GetStatsResponse_set_head(stats, 1);
    daybook_v1_GetStatsResponse_set_indexed_position(stats, 2);
    daybook_v1_GetStatsResponse_set_log_bytes(stats, 3 << 20);
    daybook_v1_GetStatsResponse_set_index_bytes(stats, 4);
    daybook_v1_GetStatsResponse_set_subscriptions_count(stats, 5);
    daybook_v1_GetStatsResponse_set_index_runs_count(stats, 6);
    daybook_v1_GetStatsResponse_set_index_tail_events_count(stats, 7);
    daybook_v1_GetStatsResponse_set_index_waits_count(stats, 8);
    daybook_v1_GetStatsResponse_set_names_position(stats, 9);
    daybook_v1_GetStatsResponse_set_queue_requests_count(stats, 10);
    daybook_v1_GetStatsResponse_set_queue_rejected_count(stats, 11);
    daybook_v1_GetStatsResponse_set_events_appended_count(stats, 12);
    daybook_v1_GetStatsResponse_set_queue_expired_count(stats, 15);
    daybook_v1_GetStatsResponse_set_calls_open_count(stats, 16);
    daybook_v1_GetStatsResponse_set_calls_open_bytes(stats, 17);
    daybook_v1_GetStatsResponse_set_calls_refused_count(stats, 18);
    daybook_v1_GetStatsResponse_set_answers_given_up_count(stats, 22);
    daybook_v1_GetStatsResponse_set_connections_refused_count(stats, 19);
    daybook_v1_GetStatsResponse_set_append_many_bytes(stats, 20 << 10);
    daybook_v1_GetStatsResponse_set_append_many_refused_count(stats, 21);
    daybook_v1_GetStatsResponse_set_events_removed_count(stats, 13);
    daybook_v1_GetStatsResponse_set_events_read_count(stats, 14);
    scripted_tell(ADMIN(GetStats), stats);
}

Test(command_admin, stats_are_a_line_each) {
    tell_stats();
    cr_assert_eq(RUN(command_stats, NULL, "stats"), 0);
    cr_assert_str_eq(said.out, "store                   the-store\\x1b\n"
                               "version                 0.1.0\n"
                               "started                 1970-01-01T00:00:01.000Z\n"
                               "head                    1\n"
                               "log                     3.0 MiB\n"
                               "index                   4 bytes\n"
                               "indexed in runs up to   2\n"
                               "index runs              6\n"
                               "index events in memory  7\n"
                               "waits for the index     8\n"
                               "names up to             9\n"
                               "subscriptions           5\n"
                               "requests waiting        10\n"
                               "requests rejected       11\n"
                               "requests expired        15\n"
                               "calls open              16\n"
                               "their requests          17 bytes\n"
                               "calls refused           18\n"
                               "answers not taken       22\n"
                               "AppendMany calls hold   20.0 KiB\n"
                               "their refused requests  21\n"
                               "connections refused     19\n"
                               "events appended         12\n"
                               "events read             14\n"
                               "events removed          13\n");
}

Test(command_admin, stats_are_one_object_with_json) {
    tell_stats();
    cr_assert_eq(RUN(command_stats, NULL, "stats", "--json"), 0);
    cr_assert_str_eq(
        said.out,
        "{\"store_id\":\"the-store\\u001B\",\"version\":\"0.1.0\","
        "\"started_at\":\"1970-01-01T00:00:01.000000000Z\",\"head\":1,\"log_bytes\":3145728,"
        "\"index_bytes\":4,\"indexed_position\":2,\"index_runs_count\":6,\"index_tail_events_count\":7,"
        "\"index_waits_count\":8,\"names_position\":9,\"subscriptions_count\":5,"
        "\"queue_requests_count\":10,\"queue_rejected_count\":11,\"queue_expired_count\":15,"
        "\"calls_open_count\":16,\"calls_open_bytes\":17,\"calls_refused_count\":18,\"answers_given_up_count\":22,"
        "\"append_many_bytes\":20480,\"append_many_refused_count\":21,"
        "\"connections_refused_count\":19,\"events_appended_count\":12,"
        "\"events_read_count\":14,\"events_removed_count\":13,"
        "\"tls_reloads_count\":0,\"tls_reload_failures_count\":0}\n");
}

static void tell_stats_of_tls(void) {
    daybook_v1_GetStatsResponse *stats = daybook_v1_GetStatsResponse_new(scripted.arena);
    google_protobuf_Timestamp_set_seconds(
        daybook_v1_GetStatsResponse_mutable_tls_certificate_expires_at(stats, scripted.arena), 2);
    daybook_v1_GetStatsResponse_set_tls_reloads_count(stats, 3);
    daybook_v1_GetStatsResponse_set_tls_reload_failures_count(stats, 4);
    scripted_tell(ADMIN(GetStats), stats);
}

Test(command_admin, stats_of_tls_say_when_the_certificate_ends) {
    tell_stats_of_tls();
    cr_assert_eq(RUN(command_stats, NULL, "stats"), 0);
    expect_words(said.out, "certificate ends        1970-01-01T00:00:02.000Z\n"
                           "certificate reloads     3\n"
                           "reloads that failed     4\n");
    tell_stats_of_tls();
    cr_assert_eq(RUN(command_stats, NULL, "stats", "--json"), 0);
    expect_words(said.out, "\"tls_certificate_expires_at\":\"1970-01-01T00:00:02.000000000Z\",\"tls_reloads_count\":3,"
                           "\"tls_reload_failures_count\":4}");
}

Test(command_admin, stats_of_an_older_daemon_are_1) {
    cr_assert_eq(RUN(command_stats, NULL, "stats"), EXIT_REFUSED);
    expect_words(said.err, "it is older than this command");
}

/* --- compact. --------------------------------------------------------------------------------------------------------- */

static void tell_compact(uint64_t copied, uint64_t all, uint64_t reclaimed_bytes) {
    daybook_v1_CompactResponse *response = daybook_v1_CompactResponse_new(scripted.arena);
    daybook_v1_CompactResponse_set_events_copied_count(response, copied);
    daybook_v1_CompactResponse_set_events_count(response, all);
    daybook_v1_CompactResponse_set_reclaimed_bytes(response, reclaimed_bytes);
    scripted_tell(ADMIN(Compact), response);
}

Test(command_admin, compact_shows_its_progress_and_what_it_gave_back) {
    tell_compact(0, 1000, 0);
    tell_compact(1, 1000, 0);
    tell_compact(500, 1000, 0);
    tell_compact(1000, 1000, 5 << 20);
    scripted_tell_end(ADMIN(Compact), DAYBOOK_OK);
    cr_assert_eq(RUN(command_compact, NULL, "compact"), 0);
    cr_assert_str_eq(said.err, "0 of 1000 events copied (0 %)\n"
                               "500 of 1000 events copied (50 %)\n"
                               "1000 of 1000 events copied (100 %)\n");
    cr_assert_str_eq(said.out, "5.0 MiB given back\n");
}

Test(command_admin, compact_with_json_is_an_object_a_response) {
    tell_compact(1, 2, 0);
    tell_compact(2, 2, 9);
    scripted_tell_end(ADMIN(Compact), DAYBOOK_OK);
    cr_assert_eq(RUN(command_compact, NULL, "compact", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"events_copied_count\":1,\"events_count\":2,\"reclaimed_bytes\":0}\n"
                               "{\"events_copied_count\":2,\"events_count\":2,\"reclaimed_bytes\":9}\n");
    cr_assert_str_empty(said.err);
}

Test(command_admin, a_compaction_that_fails_is_1_and_gives_nothing_back) {
    tell_compact(1, 2, 0);
    scripted_tell_end(ADMIN(Compact), DAYBOOK_RESOURCE_EXHAUSTED);
    cr_assert_eq(RUN(command_compact, NULL, "compact"), EXIT_REFUSED);
    expect_words(said.err, "(50 %)\ndaybook: RESOURCE_EXHAUSTED: it is refused\n");
    cr_assert_str_empty(said.out);
}

Test(command_admin, compact_of_an_older_daemon_is_1) {
    cr_assert_eq(RUN(command_compact, NULL, "compact"), EXIT_REFUSED);
    expect_words(said.err, "it is older than this command");
}

/* --- reindex. --------------------------------------------------------------------------------------------------------- */

static void tell_reindex(uint64_t position, uint64_t head) {
    daybook_v1_ReindexResponse *response = daybook_v1_ReindexResponse_new(scripted.arena);
    daybook_v1_ReindexResponse_set_position(response, position);
    daybook_v1_ReindexResponse_set_head(response, head);
    scripted_tell(ADMIN(Reindex), response);
}

Test(command_admin, reindex_shows_its_progress_and_where_it_ended) {
    tell_reindex(25, 100);
    tell_reindex(104, 104); /* the head moves on meanwhile */
    scripted_tell_end(ADMIN(Reindex), DAYBOOK_OK);
    cr_assert_eq(RUN(command_reindex, NULL, "reindex"), 0);
    cr_assert_str_eq(said.err, "25 of 100 events indexed (25 %)\n104 of 104 events indexed (100 %)\n");
    cr_assert_str_eq(said.out, "indexed up to position 104\n");
}

Test(command_admin, reindex_with_json_is_an_object_a_response) {
    tell_reindex(25, 100);
    scripted_tell_end(ADMIN(Reindex), DAYBOOK_OK);
    cr_assert_eq(RUN(command_reindex, NULL, "reindex", "--json"), 0);
    cr_assert_str_eq(said.out, "{\"position\":25,\"head\":100}\n");
}

Test(command_admin, a_reindexing_that_fails_is_1) {
    scripted_tell_end(ADMIN(Reindex), DAYBOOK_ABORTED);
    cr_assert_eq(RUN(command_reindex, NULL, "reindex"), EXIT_REFUSED);
    cr_assert_str_empty(said.out);
}

Test(command_admin, an_argument_exits_64, .exit_code = 64) {
    (void)RUN(command_reindex, NULL, "reindex", "all");
}

/* --- verify. ------------------------------------------------------------------------------------------------------------- */

static void tell_verify(uint64_t checked, uint64_t all, uint64_t position, const char *problem,
                        uint64_t problems_count) {
    daybook_v1_VerifyResponse *response = daybook_v1_VerifyResponse_new(scripted.arena);
    daybook_v1_VerifyResponse_set_events_checked_count(response, checked);
    daybook_v1_VerifyResponse_set_events_count(response, all);
    daybook_v1_VerifyResponse_set_problems_count(response, problems_count);
    if (problem != NULL) {
        daybook_v1_VerifyResponse_add_corrupt_positions(response, position, scripted.arena);
        daybook_v1_VerifyResponse_add_problems(response, upb_StringView_FromString(problem), scripted.arena);
    }
    scripted_tell(ADMIN(Verify), response);
}

Test(command_admin, verify_of_a_sound_store_is_0) {
    tell_verify(0, 10, 0, NULL, 0);
    tell_verify(10, 10, 0, NULL, 0);
    scripted_tell_end(ADMIN(Verify), DAYBOOK_OK);
    cr_assert_eq(RUN(command_verify, NULL, "verify"), 0);
    cr_assert_str_eq(said.out, "10 events checked, nothing is wrong\n");
    expect_words(said.err, "10 of 10 events checked (100 %)");
}

Test(command_admin, verify_names_what_is_wrong_and_is_1) {
    tell_verify(5, 10, 4,
                "the event at position 4 is dam\x1b"
                "aged",
                1);
    tell_verify(10, 10, 9, "the event at position 9 is missing", 2);
    scripted_tell_end(ADMIN(Verify), DAYBOOK_OK);
    cr_assert_eq(RUN(command_verify, NULL, "verify"), EXIT_REFUSED);
    cr_assert_str_eq(said.out, "the event at position 4 is dam\\x1b"
                               "aged\n"
                               "the event at position 9 is missing\n"
                               "10 events checked, problems: 2; restore the store from a backup\n");
}

Test(command_admin, verify_is_an_object_a_response_with_json) {
    tell_verify(10, 10, 4, "it is wrong", 1);
    scripted_tell_end(ADMIN(Verify), DAYBOOK_OK);
    cr_assert_eq(RUN(command_verify, NULL, "verify", "--json"), EXIT_REFUSED);
    cr_assert_str_eq(said.out, "{\"events_checked_count\":10,\"events_count\":10,\"corrupt_positions\":[4],"
                               "\"problems\":[\"it is wrong\"],\"problems_count\":1}\n");
}

Test(command_admin, a_verify_that_ends_early_is_no_result) {
    tell_verify(5, 10, 0, NULL, 0);
    scripted_tell_end(ADMIN(Verify), DAYBOOK_UNAVAILABLE);
    cr_assert_neq(RUN(command_verify, NULL, "verify"), 0);
    cr_assert_str_eq(said.out, "");
}
