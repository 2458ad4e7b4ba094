/* tls_check.c: see tls_check.h. */
#include "sdk/runtime/tls_check.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* What a text is called, for whoever must mend it. */
struct source {
    const char *option;
    const char *place;
    const char *text;
};

static struct source source_of(const char *text, const char *file_option, const char *file, const char *text_option) {
    return (struct source){
        .option = file != NULL ? file_option : text_option, .place = file != NULL ? file : "the text", .text = text};
}

/* What OpenSSL has against it, in OpenSSL's words. */
static const char *reason(void) {
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text != NULL ? text : "OpenSSL does not say why";
}

static bool refuse(const struct source *source, const char *problem, daybook_status *ret_status) {
    daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option tls.%s: %s %s: %s", source->option, source->place,
                       problem, reason());
    return false;
}

static bool out_of_memory(daybook_status *ret_status) {
    daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory to look at certificates and keys");
    return false;
}

static BIO *source_read(const struct source *source) {
    const size_t size = strlen(source->text);
    assert(size <= DAYBOOK__PEM_BYTES_MAX);
    return BIO_new_mem_buf(source->text, (int)size);
}

/* The next certificate, NULL when there is none. A damaged one is NULL, too, and then `*ret_damaged`: gRPC would take it for
 * the end, and a chain or a list of authorities would silently be shorter than its owner believes. */
static X509 *certificate_next(BIO *bio, bool *ret_damaged) {
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, (char *)"");
    *ret_damaged = certificate == NULL && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
    return certificate;
}

static int64_t expiry_of(const X509 *certificate) {
    struct tm end;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 ? (int64_t)timegm(&end) : 0;
}

/* The certificate and those between it and its authority. */
static bool chain_take(SSL_CTX *context, BIO *bio, const struct source *source, int64_t *ret_expires_s,
                       daybook_status *ret_status) {
    bool is_damaged = false;
    X509 *certificate = certificate_next(bio, &is_damaged);
    if (certificate == NULL) return refuse(source, "holds a certificate that cannot be read", ret_status);
    const bool is_taken = SSL_CTX_use_certificate(context, certificate) == 1;
    const int64_t expires_s = expiry_of(certificate);
    X509_free(certificate);
    if (!is_taken) return refuse(source, "holds a certificate that TLS does not take", ret_status);
    while ((certificate = certificate_next(bio, &is_damaged)) != NULL) {
        if (SSL_CTX_add_extra_chain_cert(context, certificate) != 1) {
            X509_free(certificate);
            return refuse(source, "holds a second certificate that TLS does not take", ret_status);
        }
    }
    if (is_damaged) return refuse(source, "holds a second certificate that cannot be read", ret_status);
    *ret_expires_s = expires_s;
    return true;
}

static bool key_take(SSL_CTX *context, BIO *bio, const struct source *source, daybook_status *ret_status) {
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (char *)"");
    if (key == NULL) return refuse(source, "holds a key that cannot be read", ret_status);
    const bool belongs = SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    if (belongs) return true;
    daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT,
                       "option tls.%s: the certificate and the key in %s do not belong together: %s", source->option,
                       source->place, reason());
    return false;
}

static bool authorities_take(SSL_CTX *context, BIO *bio, const struct source *source, daybook_status *ret_status) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t count = 0;
    bool is_damaged = false;
    for (X509 *authority; (authority = certificate_next(bio, &is_damaged)) != NULL; count++) {
        const bool is_taken = X509_STORE_add_cert(store, authority) == 1;
        X509_free(authority);
        if (!is_taken) return refuse(source, "holds an authority that TLS does not take", ret_status);
    }
    if (is_damaged || count == 0) return refuse(source, "holds an authority that cannot be read", ret_status);
    return true;
}

static bool material_take(SSL_CTX *context, const daybook_tls_options *options, const struct tls_material *material,
                          int64_t *ret_expires_s, daybook_status *ret_status) {
    const struct source certificate =
        source_of(material->certificate, "certificate_file", options->certificate_file, "certificate_pem");
    const struct source key = source_of(material->key, "key_file", options->key_file, "key_pem");
    BIO *certificate_bio = source_read(&certificate);
    BIO *key_bio = source_read(&key);
    int64_t expires_s = 0;
    bool ok = certificate_bio != NULL && key_bio != NULL
                  ? chain_take(context, certificate_bio, &certificate, &expires_s, ret_status) &&
                        key_take(context, key_bio, &key, ret_status)
                  : out_of_memory(ret_status);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    if (ok && material->authorities != NULL) {
        const struct source authorities =
            source_of(material->authorities, "authorities_file", options->authorities_file, "authorities_pem");
        BIO *bio = source_read(&authorities);
        ok = bio != NULL ? authorities_take(context, bio, &authorities, ret_status) : out_of_memory(ret_status);
        BIO_free(bio);
    }
    if (ok) *ret_expires_s = expires_s;
    return ok;
}

bool daybook__tls_check(const daybook_tls_options *options, const struct tls_material *material, int64_t *ret_expires_s,
                        daybook_status *ret_status) {
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    const bool ok = context != NULL ? material_take(context, options, material, ret_expires_s, ret_status)
                                    : out_of_memory(ret_status);
    SSL_CTX_free(context);
    /* OpenSSL's errors are the thread's: one that is left behind would be read as that of somebody's connection. */
    ERR_clear_error();
    return ok;
}
