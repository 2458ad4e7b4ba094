#include "service/ops/accept_limit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The store's files, the threads' wake-ups, the watch of the port: some twenty; and what is opened for a moment. */
#define DESCRIPTORS_RESERVED 64

/* Descriptors from this number on are closed at once; 0: none. */
static atomic_uint_fast64_t number_end;
static atomic_uint_fast64_t refused_count;

uint64_t accept_limit_set(uint64_t connections_max, uint64_t descriptors_count) {
    if (connections_max == 0) return 0;
    const uint64_t room =
        descriptors_count > 2 * DESCRIPTORS_RESERVED ? descriptors_count - DESCRIPTORS_RESERVED : descriptors_count / 2;
    const uint64_t wanted = connections_max + DESCRIPTORS_RESERVED;
    const uint64_t end = wanted < room ? wanted : room;
    atomic_store(&number_end, end);
    return end > DESCRIPTORS_RESERVED ? end - DESCRIPTORS_RESERVED : 1;
}

uint64_t accept_refused_count(void) {
    return atomic_load(&refused_count);
}

/* What passes: gRPC is told that nobody is there, and looks again at the next connection. */
static bool is_exhaustion(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* gRPC's calls come here, because a program's functions go before those of the C library. */
__attribute__((visibility("default"))) int accept4(int listener, struct sockaddr *address, socklen_t *address_size,
                                                   int flags) {
    const uint64_t end = atomic_load(&number_end);
    const socklen_t size_before = address_size == NULL ? 0 : *address_size;
    for (;;) {
        if (address_size != NULL) *address_size = size_before;
        const long file = syscall(SYS_accept4, listener, address, address_size, flags);
        if (file < 0 && end > 0 && is_exhaustion(errno)) {
            atomic_fetch_add(&refused_count, 1);
            errno = EAGAIN;
        }
        if (file < 0 || end == 0 || (uint64_t)file < end) return (int)file;
        close((int)file);
        atomic_fetch_add(&refused_count, 1);
    }
}
