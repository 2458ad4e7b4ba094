/* Connections that are too many are closed at once; a lack of descriptors is no error that gRPC would hear of. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/ops/accept_limit.h"

#define NUMBER_HIGH 200

static int listener;
static struct sockaddr_in address = {.sin_family = AF_INET};

static void setup(void) {
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 16), 0);
    socklen_t size = sizeof address;
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
}

TestSuite(accept_limit, .init = setup);

static int connect_one(void) {
    const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(file, (struct sockaddr *)&address, sizeof address), 0);
    return file;
}

static int accept_one(void) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    return accept4(listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Takes every number below NUMBER_HIGH; what is opened next is above. */
static void take_numbers(void) {
    while (dup(listener) < NUMBER_HIGH) {
    }
}

Test(accept_limit, there_is_none_at_first) {
    take_numbers();
    connect_one();
    cr_assert_gt(accept_one(), NUMBER_HIGH);
    cr_assert_eq(accept_refused_count(), 0);
}

Test(accept_limit, what_is_too_much_is_closed_at_once) {
    cr_assert_eq(accept_limit_set(100, 20000), 100);
    connect_one();
    const int accepted = accept_one();
    cr_assert_geq(accepted, 0);
    take_numbers();
    const int client = connect_one();
    const int other = connect_one();
    cr_assert_eq(accept_one(), -1);
    cr_assert_eq(errno, EAGAIN);
    cr_assert_eq(accept_refused_count(), 2);
    char byte;
    cr_assert_eq(recv(client, &byte, 1, 0), 0, "the end of the connection");
    cr_assert_eq(recv(other, &byte, 1, 0), 0);
    connect_one();
    close(accepted); /* a number is free again */
    cr_assert_eq(accept_one(), accepted);
}

Test(accept_limit, a_lack_of_descriptors_passes) {
    cr_assert_eq(accept_limit_set(10000, 20000), 10000);
    take_numbers();
    connect_one();
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none_left = {.rlim_cur = NUMBER_HIGH, .rlim_max = limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    cr_assert_eq(accept_one(), -1);
    cr_assert_eq(errno, EAGAIN);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_gt(accept_one(), NUMBER_HIGH);
}

Test(accept_limit, few_descriptors_are_shared_with_what_the_daemon_needs) {
    cr_assert_eq(accept_limit_set(10000, 256), 256 - 2 * 64);
    cr_assert_eq(accept_limit_set(10000, 96), 1);
    cr_assert_eq(accept_limit_set(0, 256), 0);
}
