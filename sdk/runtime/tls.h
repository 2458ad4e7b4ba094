/* tls.h: the certificates and keys of clients and servers, as PEM in memory.
 *
 * Ownership: whoever loads the material unloads it; it holds copies, the options may go at once.
 * Threads: plain data, any thread. Files are read when the material is loaded, and never again.
 * Errors: INVALID_ARGUMENT, with the option, the file and what is wrong with it. Whether a certificate is valid, trusted
 * and fits its key is for TLS to find out: only the form is looked at here. */
#ifndef DAYBOOK_SDK_RUNTIME_TLS_H
#define DAYBOOK_SDK_RUNTIME_TLS_H

#include "daybook/options.h"
#include "daybook/status.h"

/* The longest PEM text, 1 MiB: a system's whole list of authorities is a quarter of that. */
#define DAYBOOK__PEM_BYTES_MAX (1024u * 1024u)

/* Terminated texts; NULL for what was not given. A key and its certificate come together or not at all. */
struct tls_material {
    char *authorities;
    char *certificate;
    char *key;
};

/* Takes the texts of the options, or reads the files that they name. */
DAYBOOK_MUST_USE bool daybook__tls_load(const daybook_tls_options *options, struct tls_material *ret_material,
                                        daybook_status *ret_status);

/* Forgets the material: its key does not stay in freed memory. */
void daybook__tls_unload(struct tls_material *material);

#endif
