/* security.h: how a command protects its connection and says who it is: TLS, certificates, a token.
 *
 * Ownership: names of files are argv's; the token is the security's own. Threads: the main thread.
 * Errors: one line on standard error; the caller exits with EXIT_USAGE. */
#ifndef SDK_CLI_SECURITY_H
#define SDK_CLI_SECURITY_H

#include <stdbool.h>

#include "daybook/options.h"

#define SECURITY_TOKEN_BYTES_MAX 8192

struct security {
    bool tls; /* any of the next four means it, too */
    const char *authorities_file;
    const char *certificate_file;
    const char *key_file;
    const char *server_name;
    const char *token_file;
    /* What the client's options point to. */
    daybook_tls_options tls_options;
    char token[SECURITY_TOKEN_BYTES_MAX + 1];
};

/* Puts what was asked for into the options of a client, and reads the token. The security must outlive the opening. False:
 * it was said why. */
bool security_apply(struct security *security, daybook_client_options *options);

#endif
