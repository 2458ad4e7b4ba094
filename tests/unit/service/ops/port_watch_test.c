/* The watch of the own port, on servers that answer, are slow, go deaf or were never there. */
#include "service/ops/port_watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/base/limits.h"

/* Of a connection to a server that answers: longer than a busy machine keeps a thread from running. */
#define TIMEOUT_MS 5000
/* Of one to a server that does not. */
#define TIMEOUT_SHORT_MS 100

#define SERVER_THREAD_NAME "accepts-all"

/* What a server does with who connects. It begins as one that greets. */
enum manner { MANNER_GREETS, MANNER_HANGS_UP, MANNER_IS_SILENT, MANNER_ACCEPTS_NOBODY, MANNER_IS_BUSY };

struct server {
    int listener;
    uint16_t port;
    atomic_int manner;
    atomic_bool is_over;
    pthread_t thread;
    atomic_uint deaf_count; /* what the watch has said */
};

static void serve_one(int connection, enum manner manner) {
    static const unsigned char settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    char bytes[64];
    if (manner == MANNER_GREETS) cr_assert_geq(send(connection, settings, sizeof settings, MSG_NOSIGNAL), -1);
    /* Until the other side is done, as a server reads. */
    while (recv(connection, bytes, sizeof bytes, 0) > 0) {
    }
    close(connection);
}

static void *serve(void *context) {
    struct server *server = context;
    pthread_setname_np(pthread_self(), SERVER_THREAD_NAME);
    while (!atomic_load(&server->is_over)) {
        const enum manner manner = (enum manner)atomic_load(&server->manner);
        if (manner == MANNER_IS_BUSY) continue;
        struct pollfd wait = {.fd = server->listener, .events = POLLIN};
        if (manner == MANNER_ACCEPTS_NOBODY) wait.fd = -1;
        if (poll(&wait, 1, manner == MANNER_ACCEPTS_NOBODY ? 20 : 1) <= 0) continue;
        const int connection = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection >= 0) serve_one(connection, manner);
    }
    return NULL;
}

static void server_open(struct server *server, enum manner manner) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    *server = (struct server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(server->listener, 64), 0);
    cr_assert_eq(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    atomic_store(&server->manner, manner);
    cr_assert_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_close(struct server *server) {
    atomic_store(&server->is_over, true);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

static void on_deaf(void *context) {
    struct server *server = context;
    atomic_fetch_add(&server->deaf_count, 1);
}

static struct port_watch *watch_open(struct server *server, const char *listen, bool is_encrypted,
                                     uint32_t timeout_ms) {
    const struct port_watch_options options = {.listen = listen,
                                               .port = server->port,
                                               .is_encrypted = is_encrypted,
                                               .threads_name = SERVER_THREAD_NAME,
                                               .interval_ms = 1,
                                               .timeout_ms = timeout_ms,
                                               .deaf = on_deaf,
                                               .context = server};
    struct port_watch *watch = NULL;
    cr_assert_not(failed(port_watch_open(&options, &watch)));
    return watch;
}

/* The unit test's own time limit is what ends a wait in vain. */
static void answered_wait(const struct port_watch *watch, uint64_t more) {
    const uint64_t count = port_watch_count(watch).answered_count + more;
    while (port_watch_count(watch).answered_count < count) (void)poll(NULL, 0, 1);
}

Test(port_watch, a_server_that_answers_is_watched_on_and_on, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_GREETS);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_MS);
    answered_wait(watch, 20);
    port_watch_close(watch);
    cr_assert_eq(atomic_load(&server.deaf_count), 0);
    server_close(&server);
}

Test(port_watch, with_tls_a_server_answers_by_hanging_up, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_HANGS_UP);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", true, TIMEOUT_MS);
    answered_wait(watch, 20);
    port_watch_close(watch);
    server_close(&server);
}

Test(port_watch, a_server_that_goes_deaf_is_told_of_once, .timeout = 60) {
    for (int is_encrypted = 0; is_encrypted < 2; is_encrypted++) {
        struct server server;
        server_open(&server, is_encrypted ? MANNER_HANGS_UP : MANNER_GREETS);
        struct port_watch *watch = watch_open(&server, "127.0.0.1:0", is_encrypted, TIMEOUT_SHORT_MS);
        answered_wait(watch, 1);
        atomic_store(&server.manner, MANNER_ACCEPTS_NOBODY);
        while (atomic_load(&server.deaf_count) == 0) (void)poll(NULL, 0, 1);
        cr_assert_geq(port_watch_count(watch).failed_count, PORT_WATCH_FAILURES_COUNT_MAX);
        port_watch_close(watch);
        cr_assert_eq(atomic_load(&server.deaf_count), 1);
        server_close(&server);
    }
}

Test(port_watch, a_server_that_has_never_answered_is_not_told_of, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_ACCEPTS_NOBODY);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_SHORT_MS);
    while (port_watch_count(watch).failed_count <= 2 * PORT_WATCH_FAILURES_COUNT_MAX) (void)poll(NULL, 0, 1);
    port_watch_close(watch);
    cr_assert_eq(atomic_load(&server.deaf_count), 0);
    server_close(&server);
}

Test(port_watch, a_server_that_accepts_and_is_silent_is_slow_and_not_deaf, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_GREETS);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_SHORT_MS);
    answered_wait(watch, 1);
    atomic_store(&server.manner, MANNER_IS_SILENT);
    while (port_watch_count(watch).slow_count <= 2 * PORT_WATCH_FAILURES_COUNT_MAX) (void)poll(NULL, 0, 1);
    atomic_store(&server.manner, MANNER_GREETS);
    answered_wait(watch, 2);
    port_watch_close(watch);
    cr_assert_eq(atomic_load(&server.deaf_count), 0);
    server_close(&server);
}

Test(port_watch, a_server_that_is_too_busy_to_accept_is_slow_and_not_deaf, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_GREETS);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_SHORT_MS);
    answered_wait(watch, 1);
    atomic_store(&server.manner, MANNER_IS_BUSY);
    while (port_watch_count(watch).slow_count <= 2 * PORT_WATCH_FAILURES_COUNT_MAX) (void)poll(NULL, 0, 1);
    cr_assert_eq(atomic_load(&server.deaf_count), 0);
    /* The same threads, asleep: that is deafness. */
    atomic_store(&server.manner, MANNER_ACCEPTS_NOBODY);
    while (atomic_load(&server.deaf_count) == 0) (void)poll(NULL, 0, 1);
    port_watch_close(watch);
    server_close(&server);
}

Test(port_watch, needs_no_descriptor_once_it_is_open, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_GREETS);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_MS);
    answered_wait(watch, 1);
    /* All but the one that the server accepts with. */
    const int last = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)last + 2;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (dup(last) >= 0) {
    }
    cr_assert_eq(errno, EMFILE);
    close(last);
    answered_wait(watch, 20);
    port_watch_close(watch);
    cr_assert_eq(atomic_load(&server.deaf_count), 0);
    server_close(&server);
}

Test(port_watch, ends_at_once_while_a_connection_waits, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_ACCEPTS_NOBODY);
    const struct port_watch_options options = {
        .listen = "127.0.0.1:0", .port = server.port, .timeout_ms = 3600000, .deaf = on_deaf, .context = &server};
    struct port_watch *watch = NULL;
    cr_assert_not(failed(port_watch_open(&options, &watch)));
    port_watch_close(watch);
    server_close(&server);
}

Test(port_watch, addresses_that_are_none_are_refused) {
    static const char *const addresses[] = {"unix:/tmp/socket", "nothing", ":50051", "[]:50051", ""};
    for (size_t index = 0; index < sizeof addresses / sizeof addresses[0]; index++) {
        const struct port_watch_options options = {.listen = addresses[index], .port = 1, .deaf = on_deaf};
        struct port_watch *watch = NULL;
        const result opened = port_watch_open(&options, &watch);
        cr_assert_eq(opened.failure, FAILURE_INPUT, "%s", addresses[index]);
        cr_assert_null(watch);
    }
    cr_assert_null(port_watch_close(NULL));
}
