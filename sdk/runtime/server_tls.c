/* server_tls.c: see server_tls.h. */
#include "sdk/runtime/server_tls.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/clock.h"
#include "sdk/runtime/loop.h"
#include "sdk/runtime/tls.h"
#include "sdk/runtime/tls_check.h"
#include "sdk/runtime/tls_stamp.h"

/* A secret's directory can be exchanged between the reading of two of its files. */
#define READINGS_MAX 3

/* What was refused is tried again after a minute, also when nobody has touched it: it may have been the machine's fault,
 * say no descriptors, and whoever looks at the log should see that the old certificate is still the one. */
#define LOOKS_UNTIL_RETRY (60000 / DAYBOOK__TLS_LOOK_INTERVAL_MS)

/* One listening socket, and what it was given last. */
struct listener {
    struct server_tls *tls;
    uint64_t version;
};

struct server_tls {
    daybook_tls_options options; /* its texts are copies */
    void (*reloaded)(const daybook_status *status, void *context);
    void *reloaded_context;
    grpc_ssl_client_certificate_request_type client_certificate;
    struct listener listeners[DAYBOOK__LISTENERS_MAX];
    size_t listeners_count;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t reading; /* one thread reads files at a time; taken before the next one */
    struct tls_stamp stamp;  /* of what was read last */
    bool has_failed;         /* it was refused */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool closing;
    struct tls_material material;
    uint64_t version; /* of the material; 0: none yet */
    daybook_server_tls_counts counts;
};

/* --- The options -------------------------------------------------------------------------------------------------- */

/* What of the options a server cannot use; NULL when nothing. */
static const char *options_problem(const daybook_tls_options *options, const struct tls_material *material) {
    if (material->certificate == NULL) return "options tls: a server needs a certificate and its key";
    if (material->authorities == NULL && options->client_certificate_optional != 0) {
        return "option tls.client_certificate_optional: there are no authorities for certificates of clients";
    }
    return NULL;
}

/* Whom the server asks for a certificate. One that is shown is always verified. */
static grpc_ssl_client_certificate_request_type client_certificate(const daybook_tls_options *options) {
    if (options->authorities_pem == NULL && options->authorities_file == NULL) {
        return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    }
    return options->client_certificate_optional != 0 ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                                                     : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
}

enum { TEXTS_COUNT = 6 };

/* Where the texts of options are. */
static void texts_of(daybook_tls_options *options, const char **ret_texts[TEXTS_COUNT]) {
    const char **texts[TEXTS_COUNT] = {&options->authorities_pem, &options->authorities_file,
                                       &options->certificate_pem, &options->certificate_file,
                                       &options->key_pem,         &options->key_file};
    memcpy(ret_texts, texts, sizeof texts);
}

static void options_forget(daybook_tls_options *options) {
    const char **texts[TEXTS_COUNT];
    texts_of(options, texts);
    for (int i = 0; i < TEXTS_COUNT; i++) {
        char *copy = (char *)*texts[i];
        /* One of them may be the key. */
        if (copy != NULL) explicit_bzero(copy, strlen(copy));
        free(copy);
    }
    *options = (daybook_tls_options){0};
}

static bool options_copy(const daybook_tls_options *options, daybook_tls_options *ret_copy,
                         daybook_status *ret_status) {
    *ret_copy = *options;
    const char **texts[TEXTS_COUNT];
    texts_of(ret_copy, texts);
    bool ok = true;
    for (int i = 0; i < TEXTS_COUNT; i++) {
        const char *original = *texts[i];
        *texts[i] = ok && original != NULL ? strdup(original) : NULL;
        ok = ok && (original == NULL) == (*texts[i] == NULL);
    }
    if (ok) return true;
    options_forget(ret_copy);
    daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for the options of TLS");
    return false;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

/* Reads and checks once. */
static bool material_read(const daybook_tls_options *options, struct tls_material *ret_material, int64_t *ret_expires_s,
                          daybook_status *ret_status) {
    struct tls_material material;
    if (!daybook__tls_load(options, &material, ret_status)) return false;
    const char *problem = options_problem(options, &material);
    if (problem != NULL) daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "%s", problem);
    if (problem != NULL || !daybook__tls_check(options, &material, ret_expires_s, ret_status)) {
        daybook__tls_unload(&material);
        return false;
    }
    *ret_material = material;
    return true;
}

/* Puts what was read in the place of what there was. */
static void material_exchange(struct server_tls *tls, const struct tls_material *material, int64_t expires_s) {
    pthread_mutex_lock(&tls->mutex);
    struct tls_material old = tls->material;
    tls->material = *material;
    tls->counts.expires_s = expires_s;
    if (tls->version++ > 0) tls->counts.reloads_count++;
    pthread_mutex_unlock(&tls->mutex);
    daybook__tls_unload(&old);
}

/* Reads until the files have stayed the same meanwhile, or something else than a change is wrong. `reading` is held. */
static bool material_renew(struct server_tls *tls, daybook_status *ret_status) {
    struct tls_material material;
    int64_t expires_s = 0;
    bool ok = false;
    for (int i = 0; i < READINGS_MAX && !ok; i++) {
        tls->stamp = daybook__tls_stamp(&tls->options);
        ok = material_read(&tls->options, &material, &expires_s, ret_status);
        const struct tls_stamp after = daybook__tls_stamp(&tls->options);
        if (daybook__tls_stamp_equal(&tls->stamp, &after)) break;
    }
    if (ok) material_exchange(tls, &material, expires_s);
    return ok;
}

bool daybook__server_tls_reload(struct server_tls *tls, daybook_status *ret_status) {
    pthread_mutex_lock(&tls->reading);
    const bool ok = material_renew(tls, ret_status);
    tls->has_failed = !ok;
    pthread_mutex_unlock(&tls->reading);
    if (!ok) {
        pthread_mutex_lock(&tls->mutex);
        tls->counts.failures_count++;
        pthread_mutex_unlock(&tls->mutex);
    }
    return ok;
}

daybook_server_tls_counts daybook__server_tls_count(struct server_tls *tls) {
    pthread_mutex_lock(&tls->mutex);
    const daybook_server_tls_counts counts = tls->counts;
    pthread_mutex_unlock(&tls->mutex);
    return counts;
}

/* --- Watching ----------------------------------------------------------------------------------------------------- */

/* What the thread has seen so far. */
struct look {
    struct tls_stamp stamp;
    unsigned still_count; /* looks since it has changed */
};

/* Whether the files are others than those that were read last, or it is time to try those again. */
static bool is_due(struct server_tls *tls, const struct look *look) {
    pthread_mutex_lock(&tls->reading);
    const bool is_other = !daybook__tls_stamp_equal(&tls->stamp, &look->stamp);
    const bool has_failed = tls->has_failed;
    pthread_mutex_unlock(&tls->reading);
    return is_other || (has_failed && look->still_count % LOOKS_UNTIL_RETRY == 0);
}

/* One look. Files that have changed are read when they are as they were at the look before: whoever writes one after the
 * other is given the time. */
static void look_again(struct server_tls *tls, struct look *look) {
    const struct tls_stamp now = daybook__tls_stamp(&tls->options);
    const bool is_still = daybook__tls_stamp_equal(&now, &look->stamp);
    look->stamp = now;
    look->still_count = is_still ? look->still_count + 1 : 0;
    if (!is_still || !is_due(tls, look)) return;
    daybook_status status = {.code = DAYBOOK_OK};
    const bool ok = daybook__server_tls_reload(tls, &status);
    assert(ok == (status.code == DAYBOOK_OK));
    if (tls->reloaded != NULL) tls->reloaded(&status, tls->reloaded_context);
}

/* False: it is time to end. */
static bool wait_for_look(struct server_tls *tls) {
    const int64_t until_ms = daybook__clock_after_ms(DAYBOOK__TLS_LOOK_INTERVAL_MS);
    pthread_mutex_lock(&tls->mutex);
    while (!tls->closing && daybook__clock_condition_wait(&tls->changed, &tls->mutex, until_ms)) {
    }
    const bool closing = tls->closing;
    pthread_mutex_unlock(&tls->mutex);
    return !closing;
}

static void *watch(void *context) {
    struct server_tls *tls = context;
    struct look look = {.stamp = daybook__tls_stamp(&tls->options)};
    while (wait_for_look(tls)) look_again(tls, &look);
    return NULL;
}

bool daybook__server_tls_watch(struct server_tls *tls, daybook_status *ret_status) {
    assert(!tls->has_thread);
    if (tls->options.authorities_file == NULL && tls->options.certificate_file == NULL &&
        tls->options.key_file == NULL) {
        return true;
    }
    tls->has_thread = daybook__thread_start(&tls->thread, "daybook-tls", watch, tls, ret_status);
    return tls->has_thread;
}

/* --- gRPC's side -------------------------------------------------------------------------------------------------- */

/* What a listening socket is given at its next connection: nothing, if it has the newest. gRPC wants authorities here also
 * where clients are not asked for a certificate: the own certificate is harmless then, since nobody is measured by it. */
static grpc_ssl_certificate_config_reload_status fetch(void *user_data,
                                                       grpc_ssl_server_certificate_config **ret_config) {
    struct listener *listener = user_data;
    struct server_tls *tls = listener->tls;
    grpc_ssl_certificate_config_reload_status status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    pthread_mutex_lock(&tls->mutex);
    if (listener->version != tls->version) {
        const grpc_ssl_pem_key_cert_pair pair = {.private_key = tls->material.key,
                                                 .cert_chain = tls->material.certificate};
        const char *authorities =
            tls->material.authorities != NULL ? tls->material.authorities : tls->material.certificate;
        *ret_config = grpc_ssl_server_certificate_config_create(authorities, &pair, 1);
        listener->version = tls->version;
        status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
    }
    pthread_mutex_unlock(&tls->mutex);
    return status;
}

/* gRPC speaks TLS 1.2 and 1.3, nothing older. */
grpc_server_credentials *daybook__server_tls_credentials(struct server_tls *tls) {
    assert(tls->listeners_count < DAYBOOK__LISTENERS_MAX);
    struct listener *listener = &tls->listeners[tls->listeners_count++];
    *listener = (struct listener){.tls = tls};
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(tls->client_certificate, fetch, listener));
}

/* --- Open and close ----------------------------------------------------------------------------------------------- */

bool daybook__server_tls_open(const daybook_server_options *options, struct server_tls **ret_tls,
                              daybook_status *ret_status) {
    struct server_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for TLS");
        return false;
    }
    pthread_mutex_init(&tls->reading, NULL);
    pthread_mutex_init(&tls->mutex, NULL);
    daybook__clock_condition_init(&tls->changed);
    tls->reloaded = options->tls_reloaded;
    tls->reloaded_context = options->tls_reloaded_context;
    tls->client_certificate = client_certificate(options->tls);
    if (!options_copy(options->tls, &tls->options, ret_status) || !material_renew(tls, ret_status)) {
        daybook__server_tls_close(tls);
        return false;
    }
    *ret_tls = tls;
    return true;
}

struct server_tls *daybook__server_tls_close(struct server_tls *tls) {
    if (tls == NULL) return NULL;
    pthread_mutex_lock(&tls->mutex);
    tls->closing = true;
    pthread_cond_broadcast(&tls->changed);
    pthread_mutex_unlock(&tls->mutex);
    if (tls->has_thread) pthread_join(tls->thread, NULL);
    daybook__tls_unload(&tls->material);
    options_forget(&tls->options);
    pthread_cond_destroy(&tls->changed);
    pthread_mutex_destroy(&tls->mutex);
    pthread_mutex_destroy(&tls->reading);
    free(tls);
    return NULL;
}
