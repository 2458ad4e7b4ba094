/* tls_check.h: whether TLS takes a certificate, its key and the authorities of clients: by OpenSSL, which gRPC asks, too.
 *
 * gRPC looks into them when it binds an address or accepts a connection, and tells its log alone what is wrong; who serves
 * already must know it before.
 * Ownership: nothing is kept. Threads: any.
 * Errors: INVALID_ARGUMENT, with the option, the file and what is wrong with it; RESOURCE_EXHAUSTED. */
#ifndef DAYBOOK_SDK_RUNTIME_TLS_CHECK_H
#define DAYBOOK_SDK_RUNTIME_TLS_CHECK_H

#include "daybook/options.h"
#include "daybook/status.h"
#include "sdk/runtime/tls.h"

/* Looks at what a server was given; the options say what it is called. `*ret_expires_s` is when the certificate ends, in
 * seconds since 1970; one that has ended already is taken, because keeping another one would be no better. */
DAYBOOK_MUST_USE bool daybook__tls_check(const daybook_tls_options *options, const struct tls_material *material,
                                         int64_t *ret_expires_s, daybook_status *ret_status);

#endif
