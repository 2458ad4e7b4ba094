/* certificates.h: an authority of the test's own and certificates that it signs, made when the test runs.
 *
 * Ownership: whoever makes something frees it. Threads: plain data. Errors: none, what fails is an assertion. */
#ifndef TESTS_SUPPORT_CERTIFICATES_H
#define TESTS_SUPPORT_CERTIFICATES_H

/* A certificate and its key (P-256), as PEM. */
struct certificate {
    char *certificate_pem;
    char *key_pem;
};

/* An authority of that name, which signs itself. */
struct certificate certificate_authority(const char *name);

/* A certificate for the alternative names ("DNS:localhost,IP:127.0.0.1"; NULL: none), valid for an hour around now, signed
 * by the authority. Serves servers and clients. */
struct certificate certificate_issue(const struct certificate *authority, const char *common_name,
                                     const char *alternative_names);

void certificate_free(struct certificate *certificate);

#endif
