/* tls_stamp.h: which files certificates and keys were read from, so that it is seen when they are others.
 *
 * A stamp is of what the names lead to in the end: Kubernetes renews a mounted secret by one rename of a link in the way.
 * Ownership: plain data. Threads: any. Errors: none, a file that cannot be seen has a stamp of its own. */
#ifndef DAYBOOK_SDK_RUNTIME_TLS_STAMP_H
#define DAYBOOK_SDK_RUNTIME_TLS_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "daybook/options.h"

#define DAYBOOK__TLS_FILES_COUNT 3

struct tls_stamp {
    struct tls_file_stamp {
        int error; /* of the look, 0 for none */
        uint64_t device;
        uint64_t inode;
        int64_t size;
        int64_t modified_ns;
        int64_t changed_ns;
    } files[DAYBOOK__TLS_FILES_COUNT];
};

/* The stamp of the options' files at this moment. */
struct tls_stamp daybook__tls_stamp(const daybook_tls_options *options);

bool daybook__tls_stamp_equal(const struct tls_stamp *one, const struct tls_stamp *other);

#endif
