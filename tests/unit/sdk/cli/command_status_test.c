/* `daybook status --service`: the health of one service, as an exit code. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/server.h"
#include "sdk/cli/common.h"
#include "tests/unit/sdk/cli/command_line.h"

/* A server that has nothing but its health. */
static daybook_server *server;

static void server_open(void) {
    daybook_status status;
    server = daybook_server_open(&(daybook_server_options){.listen = "127.0.0.1:0", .threads_count = 1}, &status);
    cr_assert_not_null(server, "%s", status.message);
    cr_assert(daybook_server_start(server, &status), "%s", status.message);
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", daybook_server_port(server));
    setenv("DAYBOOK_SERVER", address, 1);
}

static void server_close(void) {
    server = daybook_server_close(server);
}

TestSuite(command_status, .init = server_open, .fini = server_close, .timeout = 120);

Test(command_status, a_service_that_serves_is_0) {
    daybook_server_set_serving(server, "readiness", true);
    cr_assert_eq(RUN(command_status, NULL, "status", "--service", "readiness"), 0);
    cr_assert_str_eq(said.out, "SERVING\n");
    cr_assert_eq(RUN(command_status, NULL, "status", "--service="), 0, "the whole server");
    cr_assert_str_eq(said.out, "SERVING\n");
}

Test(command_status, a_service_that_does_not_serve_is_1) {
    daybook_server_set_serving(server, "readiness", false);
    daybook_server_set_serving(server, "liveness", true);
    cr_assert_eq(RUN(command_status, NULL, "status", "--service", "readiness"), EXIT_REFUSED);
    cr_assert_str_eq(said.out, "NOT_SERVING\n");
    cr_assert_eq(RUN(command_status, NULL, "status", "--service", "liveness"), 0, "each has its own");
}

Test(command_status, a_service_that_is_not_known_is_1) {
    cr_assert_eq(RUN(command_status, NULL, "status", "--service", "elsewhere"), EXIT_REFUSED);
    cr_assert_str_eq(said.out, "");
    expect_words(said.err, "NOT_FOUND");
}

Test(command_status, json_says_which_service) {
    daybook_server_set_serving(server, "readiness", false);
    cr_assert_eq(RUN(command_status, NULL, "status", "--service", "readiness", "--json"), EXIT_REFUSED);
    expect_words(said.out, "\"service\":\"readiness\",\"health\":\"NOT_SERVING\"}\n");
}

Test(command_status, a_server_that_is_gone_is_69) {
    server_close();
    cr_assert_eq(RUN(command_status, NULL, "status", "--service", "liveness"), EXIT_UNREACHABLE);
    expect_words(said.err, "cannot reach");
}

/* Without --service the store is asked, too, and this server has none. */
Test(command_status, without_a_service_the_store_is_asked) {
    cr_assert_eq(RUN(command_status, NULL, "status"), EXIT_REFUSED);
    expect_words(said.err, "older than this command");
}
