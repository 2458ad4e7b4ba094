/* The watch of the own port, on servers that answer, are slow, go deaf or were never there. */
#include "service/ops/port_watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/base/limits.h"

/* Of a connection to a server that answers: longer than a busy machine keeps a thread from running. */
#define TIMEOUT_MS 5000
/* Of one to a server that does not. */
#define TIMEOUT_SHORT_MS 100

#define SERVER_THREAD_NAME "accepts-all"

/* The process is stopped for longer than a connection may take, and runs for shorter than a slow server takes to accept. */
#define STOPS_COUNT      6
#define TIMEOUT_STOPS_MS 600
#define STOPPED_MS       700
#define RUNNING_MS       100
#define SLOW_STEPS_COUNT 30
#define SLOW_STEP_MS     20
#define DISK_STACK_BYTES 65536
/* The only ports of a network of the test's own. */
#define PORTS_RANGE     "40000 40003"
#define PORT_FIRST      40000
#define PORTS_COUNT     4
#define EXIT_NO_NETWORK 77

/* What a server does with who connects. It begins as one that greets. */
enum manner {
    MANNER_GREETS,
    MANNER_HANGS_UP,
    MANNER_IS_SILENT,
    MANNER_ACCEPTS_NOBODY,
    MANNER_IS_BUSY,
    MANNER_WAITS_FOR_A_DISK,
    MANNER_IS_SLOW,
};

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
    const bool greets = manner == MANNER_GREETS || manner == MANNER_IS_SLOW;
    if (greets) cr_assert_geq(send(connection, settings, sizeof settings, MSG_NOSIGNAL), -1);
    /* Until the other side is done, as a server reads. */
    while (recv(connection, bytes, sizeof bytes, 0) > 0) {
    }
    close(connection);
}

/* In a process of its own with the server's memory, until the manner is another one. */
static int disk_answer_late(void *context) {
    struct server *server = context;
    while (atomic_load(&server->manner) == MANNER_WAITS_FOR_A_DISK && !atomic_load(&server->is_over)) {
        (void)poll(NULL, 0, 1);
    }
    return 0;
}

/* The kernel keeps who waits for such a process in the state of one that waits for a disk. */
static void disk_await(struct server *server) {
    static char stack[DISK_STACK_BYTES] __attribute__((aligned(16)));
    const pid_t child = clone(disk_answer_late, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, server);
    cr_assert_gt(child, 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
}

/* Steps, because a poll that the process was stopped in ends when it goes on. */
static void take_time(void) {
    for (uint32_t step = 0; step < SLOW_STEPS_COUNT; step++) (void)poll(NULL, 0, SLOW_STEP_MS);
}

static void *serve(void *context) {
    struct server *server = context;
    pthread_setname_np(pthread_self(), SERVER_THREAD_NAME);
    while (!atomic_load(&server->is_over)) {
        const enum manner manner = (enum manner)atomic_load(&server->manner);
        if (manner == MANNER_IS_BUSY) continue;
        if (manner == MANNER_WAITS_FOR_A_DISK) {
            disk_await(server);
            continue;
        }
        struct pollfd wait = {.fd = server->listener, .events = POLLIN};
        if (manner == MANNER_ACCEPTS_NOBODY) wait.fd = -1;
        if (poll(&wait, 1, manner == MANNER_ACCEPTS_NOBODY ? 20 : 1) <= 0) continue;
        if (manner == MANNER_IS_SLOW) take_time();
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

static void expect_slow(struct server *server, const struct port_watch *watch, enum manner manner) {
    const uint64_t count = port_watch_count(watch).slow_count;
    atomic_store(&server->manner, manner);
    while (port_watch_count(watch).slow_count <= count + 2 * PORT_WATCH_FAILURES_COUNT_MAX) (void)poll(NULL, 0, 1);
    cr_assert_eq(atomic_load(&server->deaf_count), 0);
}

Test(port_watch, a_server_that_is_too_busy_to_accept_is_slow_and_not_deaf, .timeout = 60) {
    struct server server;
    server_open(&server, MANNER_GREETS);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_SHORT_MS);
    answered_wait(watch, 1);
    expect_slow(&server, watch, MANNER_IS_BUSY);
    expect_slow(&server, watch, MANNER_WAITS_FOR_A_DISK);
    /* The same threads, asleep: that is deafness. */
    atomic_store(&server.manner, MANNER_ACCEPTS_NOBODY);
    while (atomic_load(&server.deaf_count) == 0) (void)poll(NULL, 0, 1);
    port_watch_close(watch);
    server_close(&server);
}

/* A network of the process's own with few ports. */
static bool network_make(void) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
    const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool is_up = ioctl(any, SIOCSIFFLAGS, &loopback) == 0;
    close(any);
    FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "we");
    if (range == NULL) return false;
    const bool is_written = fputs(PORTS_RANGE, range) >= 0;
    return fclose(range) == 0 && is_written && is_up;
}

/* Takes all ports but the server's, each as soon as no connection of the watch has it. */
static void ports_take(const struct server *server, int sockets[PORTS_COUNT]) {
    for (uint16_t index = 0; index < PORTS_COUNT; index++) {
        const uint16_t port = (uint16_t)(PORT_FIRST + index);
        const struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(port)};
        sockets[index] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (port == server->port) continue;
        while (bind(sockets[index], (const struct sockaddr *)&address, sizeof address) != 0) (void)poll(NULL, 0, 1);
    }
}

/* A server at which no connection can be made from here, because no port is left. */
static _Noreturn void be_out_of_ports(void) {
    struct server server;
    int sockets[PORTS_COUNT];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!network_make()) _exit(EXIT_NO_NETWORK);
    server_open(&server, MANNER_GREETS);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_SHORT_MS);
    answered_wait(watch, 1);
    ports_take(&server, sockets);
    const uint64_t slow_count = port_watch_count(watch).slow_count + 2 * PORT_WATCH_FAILURES_COUNT_MAX;
    while (port_watch_count(watch).slow_count < slow_count && atomic_load(&server.deaf_count) == 0)
        (void)poll(NULL, 0, 1);
    for (uint32_t index = 0; index < PORTS_COUNT; index++) close(sockets[index]);
    if (atomic_load(&server.deaf_count) == 0) answered_wait(watch, 2);
    port_watch_close(watch);
    server_close(&server);
    _exit(atomic_load(&server.deaf_count) == 0 ? 0 : 1);
}

Test(port_watch, a_connection_that_cannot_be_made_from_here_says_nothing_of_the_server, .timeout = 60) {
    int status = 0;
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) be_out_of_ports();
    cr_assert_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_NETWORK) cr_skip_test("no network of its own");
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", (unsigned)status);
}

/* A process that is stopped again and again while its server is about to accept. The exit code: 0, the watch has seen it. */
static _Noreturn void be_stopped(int ready, int end) {
    struct server server;
    char byte = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    server_open(&server, MANNER_GREETS);
    struct port_watch *watch = watch_open(&server, "127.0.0.1:0", false, TIMEOUT_STOPS_MS);
    answered_wait(watch, 1);
    atomic_store(&server.manner, MANNER_IS_SLOW);
    bool is_good = write(ready, &byte, 1) == 1 && read(end, &byte, 1) == 1;
    atomic_store(&server.manner, MANNER_GREETS);
    if (atomic_load(&server.deaf_count) == 0) answered_wait(watch, 2);
    port_watch_close(watch);
    is_good = is_good && atomic_load(&server.deaf_count) == 0;
    server_close(&server);
    _exit(is_good ? 0 : 1);
}

Test(port_watch, time_in_which_the_process_was_stopped_is_nobodys, .timeout = 60) {
    int ready[2];
    int end[2];
    char byte = 0;
    int status = 0;
    cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(end, O_CLOEXEC), 0);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) be_stopped(ready[1], end[0]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    for (uint32_t stop = 0; stop < STOPS_COUNT; stop++) {
        cr_assert_eq(kill(child, SIGSTOP), 0);
        (void)poll(NULL, 0, STOPPED_MS);
        cr_assert_eq(kill(child, SIGCONT), 0);
        (void)poll(NULL, 0, RUNNING_MS);
    }
    cr_assert_eq(write(end[1], &byte, 1), 1);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", (unsigned)status);
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
