/* load: the load generator of `make bench`. One program drives every server under test, so that a difference in what is
 * measured is a difference between the servers. */
#include "tests/bench/arguments.h"
#include "tests/bench/phases.h"

#include <grpc/grpc.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define EXIT_MEASUREMENT_FAILED 1

/* Prints a port of the loopback address that nothing listens on at this moment. */
static bool print_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, size) == 0 &&
              getsockname(descriptor, (struct sockaddr *)&address, &size) == 0;
    if (ok) printf("%u\n", (unsigned)ntohs(address.sin_port));
    if (!ok) perror("load: free-port");
    if (descriptor >= 0) (void)close(descriptor);
    return ok;
}

/* Memory of large messages is used again, not given back to the kernel and faulted in anew for each: that would cost the
 * client a third of its time in a read, and it shares its cores with the server that is measured. */
static void keep_memory(void) {
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

int main(int argc, char **argv) {
    struct arguments arguments;
    if (!arguments_parse(&arguments, argc, argv)) return EX_USAGE;
    if (arguments.free_port) return print_free_port() ? EXIT_SUCCESS : EXIT_MEASUREMENT_FAILED;

    keep_memory();
    workload_prepare();
    grpc_init();
    bool ok = arguments.run(&arguments.options);
    grpc_shutdown_blocking();
    if (fflush(stdout) != 0) ok = false;
    return ok ? EXIT_SUCCESS : EXIT_MEASUREMENT_FAILED;
}
