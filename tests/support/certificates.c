/* certificates.c: see certificates.h. */
#include "tests/support/certificates.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define HALF_AN_HOUR_S 1800

static char *bio_text(BIO *bio) {
    char *data = NULL;
    const long size = BIO_get_mem_data(bio, &data);
    assert(size > 0);
    char *text = strndup(data, (size_t)size);
    assert(text != NULL);
    BIO_free(bio);
    return text;
}

static void extension_add(X509 *certificate, int kind, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert(extension != NULL);
    const int added = X509_add_ext(certificate, extension, -1);
    assert(added == 1);
    X509_EXTENSION_free(extension);
}

static X509 *certificate_create(const char *common_name, EVP_PKEY *key) {
    static atomic_long serial = 1;
    X509 *certificate = X509_new();
    assert(certificate != NULL);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), atomic_fetch_add(&serial, 1));
    X509_gmtime_adj(X509_getm_notBefore(certificate), -HALF_AN_HOUR_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), HALF_AN_HOUR_S);
    X509_set_pubkey(certificate, key);
    const int added = X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                                 (const unsigned char *)common_name, -1, -1, 0);
    assert(added == 1);
    return certificate;
}

/* Signs, encodes and frees both. */
static struct certificate finish(X509 *certificate, EVP_PKEY *key, EVP_PKEY *signer) {
    const int signature_size = X509_sign(certificate, signer, EVP_sha256());
    assert(signature_size > 0);
    BIO *certificate_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_mem());
    int written = PEM_write_bio_X509(certificate_bio, certificate);
    assert(written == 1);
    written = PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
    assert(written == 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return (struct certificate){.certificate_pem = bio_text(certificate_bio), .key_pem = bio_text(key_bio)};
}

struct certificate certificate_authority(const char *name) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert(key != NULL);
    X509 *certificate = certificate_create(name, key);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    extension_add(certificate, NID_basic_constraints, "critical,CA:TRUE");
    extension_add(certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    return finish(certificate, key, key);
}

struct certificate certificate_issue(const struct certificate *authority, const char *common_name,
                                     const char *alternative_names) {
    BIO *bio = BIO_new_mem_buf(authority->certificate_pem, -1);
    X509 *issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(authority->key_pem, -1);
    EVP_PKEY *signer = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert(issuer != NULL && signer != NULL && key != NULL);
    X509 *certificate = certificate_create(common_name, key);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    extension_add(certificate, NID_basic_constraints, "critical,CA:FALSE");
    extension_add(certificate, NID_ext_key_usage, "serverAuth,clientAuth");
    if (alternative_names != NULL) extension_add(certificate, NID_subject_alt_name, alternative_names);
    struct certificate finished = finish(certificate, key, signer);
    EVP_PKEY_free(signer);
    X509_free(issuer);
    return finished;
}

void certificate_free(struct certificate *certificate) {
    free(certificate->certificate_pem);
    free(certificate->key_pem);
    *certificate = (struct certificate){0};
}
