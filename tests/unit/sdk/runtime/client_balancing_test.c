/* Which of a name's addresses calls go to. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/echo_fixture.h"

#define CALLS_COUNT 200

/* Two servers behind one name. */
static struct echo_fixture fixture;
static struct echo_server *second;

static void setup(void) {
    fixture = (struct echo_fixture){.arena = upb_Arena_New(), .server = echo_server_start()};
    second = echo_server_start();
}

static void teardown(void) {
    echo_fixture_close(&fixture);
    if (second != NULL) echo_server_stop(second);
}

TestSuite(client_balancing, .init = setup, .fini = teardown, .timeout = 60);

static void open_client(const char *target, daybook_balancing balancing) {
    daybook_status status;
    fixture.client = daybook_client_open(&(daybook_client_options){.target = target, .balancing = balancing}, &status);
    cr_assert_not_null(fixture.client, "%s", status.message);
}

static void open_pair(daybook_balancing balancing) {
    char target[128];
    snprintf(target, sizeof target, "ipv4:%s,%s", echo_server_target(fixture.server), echo_server_target(second));
    open_client(target, balancing);
}

/* Makes a call; who answered it is seen in the servers' counts. */
static void call(void) {
    const void *response = NULL;
    daybook_status status;
    const daybook_call_options options = {.timeout_ms = 30000, .wait_for_ready = 1};
    cr_assert(daybook_call_unary(fixture.client, &ECHO_CALL, echo_request(&fixture, &(struct echo_script){.count = 1}),
                                 &options, fixture.arena, &response, &status),
              "%s", status.message);
}

/* Calls until both have been asked: connections come one after the other. */
static void call_until_both_are_connected(void) {
    while (echo_server_received(fixture.server) == 0 || echo_server_received(second) == 0) {
        call();
    }
}

Test(client_balancing, by_turns_is_even) {
    open_pair(DAYBOOK_BALANCING_ROUND_ROBIN);
    call_until_both_are_connected();
    const uint32_t first_before = echo_server_received(fixture.server);
    const uint32_t second_before = echo_server_received(second);
    for (uint32_t i = 0; i < CALLS_COUNT; i++) {
        call();
    }
    cr_assert_eq(echo_server_received(fixture.server) - first_before, CALLS_COUNT / 2);
    cr_assert_eq(echo_server_received(second) - second_before, CALLS_COUNT / 2);
}

Test(client_balancing, the_one_that_is_left_serves_all) {
    open_pair(DAYBOOK_BALANCING_ROUND_ROBIN);
    call_until_both_are_connected();
    echo_server_stop(fixture.server);
    fixture.server = NULL;
    const uint32_t before = echo_server_received(second);
    for (uint32_t i = 0; i < 10; i++) {
        const void *response = NULL;
        const daybook_call_options options = {.wait_for_ready = 1, .timeout_ms = 30000, .idempotent = 1};
        daybook_status status;
        cr_assert(daybook_call_unary(fixture.client, &ECHO_CALL,
                                     echo_request(&fixture, &(struct echo_script){.count = 1}), &options, fixture.arena,
                                     &response, &status),
                  "%s", status.message);
    }
    cr_assert_geq(echo_server_received(second) - before, 10);
}

Test(client_balancing, pick_first_takes_one) {
    open_pair(DAYBOOK_BALANCING_PICK_FIRST);
    for (uint32_t i = 0; i < 20; i++) {
        call();
    }
    cr_assert_eq(echo_server_received(fixture.server), 20);
    cr_assert_eq(echo_server_received(second), 0);
}

/* gRPC's resolver reads this file itself; a machine without it would ask the network. */
static bool hosts_file_has_localhost(void) {
    FILE *hosts = fopen("/etc/hosts", "r");
    if (hosts == NULL) return false;
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof line, hosts) != NULL)
        found = line[0] != '#' && strstr(line, "localhost") != NULL;
    fclose(hosts);
    return found;
}

Test(client_balancing, a_name_is_resolved) {
    if (!hosts_file_has_localhost()) cr_skip_test("this machine's /etc/hosts does not know localhost");
    char target[128];
    const char *port = strrchr(echo_server_target(fixture.server), ':');
    snprintf(target, sizeof target, "dns:///localhost%s", port);
    open_client(target, DAYBOOK_BALANCING_ROUND_ROBIN);
    call();
    cr_assert_eq(echo_server_received(fixture.server), 1);
}
