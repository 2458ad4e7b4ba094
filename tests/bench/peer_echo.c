/* The echo server beside this file: it answers with the request and stores nothing. It gets the bytes that daybookd
 * gets, so that the two differ in nothing but the work of the server. */
#include "tests/bench/echo.h"
#include "tests/bench/peer.h"

static void write_append(struct wire_writer *writer, const struct peer_append *append) {
    peer_daybook.write_append(writer, append);
}

const struct peer peer_echo = {
    .name = "echo",
    .append_method = ECHO_METHOD,
    .write_append = write_append,
};
