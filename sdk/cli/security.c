#include "sdk/cli/security.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The text of a file without the white space at its end, which editors and `echo` leave there. */
static bool token_read(const char *path, char *ret_token) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)fprintf(stderr, "daybook: --token-file: cannot open %s: %s\n", path, strerror(errno));
        return false;
    }
    const size_t size = fread(ret_token, 1, SECURITY_TOKEN_BYTES_MAX + 1, file);
    const bool is_read = ferror(file) == 0;
    const int error = errno;
    (void)fclose(file);
    if (!is_read) {
        (void)fprintf(stderr, "daybook: --token-file: cannot read %s: %s\n", path, strerror(error));
        return false;
    }
    if (size > SECURITY_TOKEN_BYTES_MAX) {
        (void)fprintf(stderr, "daybook: --token-file: %s has more than %d bytes\n", path, SECURITY_TOKEN_BYTES_MAX);
        return false;
    }
    ret_token[size] = '\0';
    if (strlen(ret_token) != size) {
        (void)fprintf(stderr, "daybook: --token-file: %s is no text\n", path);
        return false;
    }
    size_t end = size;
    while (end > 0 && strchr(" \t\r\n", ret_token[end - 1]) != NULL) end--;
    ret_token[end] = '\0';
    return true;
}

bool security_apply(struct security *security, daybook_client_options *options) {
    if (security->tls || security->authorities_file != NULL || security->certificate_file != NULL ||
        security->key_file != NULL || security->server_name != NULL) {
        security->tls_options = (daybook_tls_options){.authorities_file = security->authorities_file,
                                                      .certificate_file = security->certificate_file,
                                                      .key_file = security->key_file,
                                                      .server_name = security->server_name};
        options->tls = &security->tls_options;
    }
    if (security->token_file == NULL) return true;
    if (options->tls == NULL) {
        (void)fputs("daybook: --token-file: without --tls everybody on the way could read the token\n", stderr);
        return false;
    }
    if (!token_read(security->token_file, security->token)) return false;
    options->bearer_token = security->token;
    return true;
}
