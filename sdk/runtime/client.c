/* client.c: the channel, its completion loops and what is in flight; see daybook/client.h. */
#include "sdk/runtime/client.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_security.h>

#include "sdk/runtime/options.h"
#include "sdk/runtime/pluck.h"
#include "sdk/runtime/tls.h"
#include "sdk/runtime/version.h"

/* Rich errors travel in the trailers, where gRPC's own limit of 8 KiB cuts them short. */
#define METADATA_BYTES_MAX (64u * 1024u)
/* The first pause after a failed attempt to connect; it grows by 1.6 up to the option's maximum. */
#define RECONNECT_BACKOFF_FIRST_MS 100u
/* How long one attempt to connect may take. */
#define CONNECT_TIMEOUT_MS 5000u

/* Queues that are kept for the next blocking calls; more threads than these at once make their own. */
#define QUEUES_KEPT_MAX 32u

struct daybook_client {
    grpc_channel *channel;
    struct loop loops[DAYBOOK__THREADS_MAX];
    uint32_t loops_count;
    atomic_uint calls_count; /* spreads calls over the loops */
    atomic_uint references;  /* the program's, and one for each exchange */
    daybook_retry_options retry;

    pthread_mutex_t mutex;
    pthread_cond_t unlooped; /* signalled when the last entry of a loop has left a closing client */
    struct client_entry *entries;
    uint32_t looped_count; /* entries that complete on a loop */
    bool closing;
    grpc_completion_queue *queues[QUEUES_KEPT_MAX]; /* to pluck from, in no use */
    uint32_t queues_count;
    grpc_slice authorization; /* "Bearer TOKEN", empty without one */
    bool token_may_be_seen;
};

/* The header's value for a token that was checked; empty for NULL. */
static grpc_slice authorization_create(const char *token) {
    static const char scheme[] = "Bearer ";
    if (token == NULL) return grpc_empty_slice();
    const size_t scheme_size = sizeof scheme - 1;
    const size_t token_size = strlen(token);
    grpc_slice value = grpc_slice_malloc(scheme_size + token_size);
    memcpy(GRPC_SLICE_START_PTR(value), scheme, scheme_size);
    memcpy(GRPC_SLICE_START_PTR(value) + scheme_size, token, token_size);
    return value;
}

/* gRPC speaks TLS 1.2 and 1.3, nothing older, and copies the texts. */
static grpc_channel_credentials *credentials_create(const struct tls_material *material) {
    grpc_ssl_pem_key_cert_pair pair = {.private_key = material->key, .cert_chain = material->certificate};
    return grpc_ssl_credentials_create_ex(material->authorities, material->key == NULL ? NULL : &pair, NULL, NULL);
}

/* `material` is NULL for a connection that is not encrypted. */
static grpc_channel *channel_create(const daybook_client_options *options, const struct tls_material *material) {
    struct channel_arguments arguments = {0};
    daybook__channel_arguments_add_common(&arguments, options->message_bytes_max);
    daybook__channel_arguments_add_text(&arguments, GRPC_ARG_PRIMARY_USER_AGENT_STRING, DAYBOOK__USER_AGENT);
    daybook__channel_arguments_add(&arguments, GRPC_ARG_MAX_METADATA_SIZE, METADATA_BYTES_MAX);
    daybook__channel_arguments_add(&arguments, GRPC_ARG_KEEPALIVE_TIME_MS, options->keepalive_ms);
    daybook__channel_arguments_add(&arguments, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options->keepalive_timeout_ms);
    /* A quiet subscription sends nothing for hours; its pings must not run out. */
    daybook__channel_arguments_add(&arguments, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    uint32_t backoff_max_ms = options->reconnect_backoff_max_ms;
    daybook__channel_arguments_add(&arguments, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_BACKOFF_FIRST_MS);
    daybook__channel_arguments_add(&arguments, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, backoff_max_ms);
    daybook__channel_arguments_add(&arguments, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS);
    /* A restarted server may have another address: names are asked again as often as connections are tried. */
    daybook__channel_arguments_add(&arguments, GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, backoff_max_ms);
    /* A client is what its options say: no policy from DNS, no proxy from the environment, no connection that it
     * shares with another client of the process. */
    daybook__channel_arguments_add(&arguments, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    /* Retries are ours. Those of this core end the process when an answer has no grpc-status. */
    daybook__channel_arguments_add(&arguments, GRPC_ARG_ENABLE_RETRIES, 0);
    daybook__channel_arguments_add(&arguments, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    daybook__channel_arguments_add(&arguments, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);

    if (options->balancing == DAYBOOK_BALANCING_ROUND_ROBIN) {
        daybook__channel_arguments_add_text(&arguments, GRPC_ARG_LB_POLICY_NAME, "round_robin");
    }
    if (options->tls != NULL && options->tls->server_name != NULL) {
        daybook__channel_arguments_add_text(&arguments, GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, options->tls->server_name);
    }
    grpc_channel_credentials *credentials =
        material == NULL ? grpc_insecure_credentials_create() : credentials_create(material);
    grpc_channel_args list = daybook__channel_arguments_list(&arguments);
    grpc_channel *channel = grpc_channel_create(options->target, credentials, &list);
    grpc_channel_credentials_release(credentials);
    return channel;
}

static bool loops_open(daybook_client *client, uint32_t count, daybook_status *ret_status) {
    while (client->loops_count < count) {
        if (!daybook__loop_open(&client->loops[client->loops_count], "daybook-client", ret_status)) return false;
        client->loops_count++;
    }
    return true;
}

static daybook_client *open_resolved(const daybook_client_options *options, const struct tls_material *material,
                                     daybook_status *ret_status) {
    daybook_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for a client");
        return NULL;
    }
    daybook__core_ref();
    if (!loops_open(client, options->threads_count, ret_status)) {
        daybook__loops_close(client->loops, client->loops_count);
        daybook__core_unref();
        free(client);
        return NULL;
    }
    pthread_mutex_init(&client->mutex, NULL);
    pthread_cond_init(&client->unlooped, NULL);
    atomic_init(&client->references, 1);
    client->channel = channel_create(options, material);
    client->retry = options->retry;
    client->token_may_be_seen = options->tls != NULL || options->bearer_token_in_clear != 0;
    client->authorization = authorization_create(options->bearer_token);
    daybook_status_clear(ret_status);
    return client;
}

daybook_client *daybook_client_open(const daybook_client_options *options, daybook_status *ret_status) {
    daybook_client_options resolved;
    if (!daybook__client_options_resolve(options, &resolved, ret_status)) return NULL;
    if (resolved.tls == NULL) return open_resolved(&resolved, NULL, ret_status);
    struct tls_material material;
    if (!daybook__tls_load(resolved.tls, &material, ret_status)) return NULL;
    daybook_client *client = open_resolved(&resolved, &material, ret_status);
    daybook__tls_unload(&material);
    return client;
}

bool daybook_client_set_bearer_token(daybook_client *client, const char *token, daybook_status *ret_status) {
    if (token != NULL && !daybook__bearer_token_check(token, client->token_may_be_seen, ret_status)) return false;
    grpc_slice next = authorization_create(token);
    pthread_mutex_lock(&client->mutex);
    grpc_slice previous = client->authorization;
    client->authorization = next;
    pthread_mutex_unlock(&client->mutex);
    grpc_slice_unref(previous);
    daybook_status_clear(ret_status);
    return true;
}

/* What open has made, but for the loops, which are closed. */
static void client_free(daybook_client *client) {
    for (uint32_t i = 0; i < client->queues_count; i++) daybook__pluck_close(client->queues[i]);
    grpc_channel_destroy(client->channel);
    grpc_slice_unref(client->authorization);
    daybook__core_unref();
    pthread_cond_destroy(&client->unlooped);
    pthread_mutex_destroy(&client->mutex);
    free(client);
}

void daybook__client_unref(daybook_client *client) {
    if (atomic_fetch_sub(&client->references, 1) == 1) client_free(client);
}

daybook_client *daybook_client_close(daybook_client *client) {
    if (client == NULL) return NULL;
    assert(!daybook__loop_is_inside());
    pthread_mutex_lock(&client->mutex);
    assert(!client->closing);
    client->closing = true;
    for (struct client_entry *entry = client->entries; entry != NULL; entry = entry->next) {
        entry->cancel(entry);
    }
    while (client->looped_count > 0) {
        pthread_cond_wait(&client->unlooped, &client->mutex);
    }
    pthread_mutex_unlock(&client->mutex);

    /* A completion that still runs may start something, if only to be told that it is too late. */
    daybook__loops_close(client->loops, client->loops_count);
    daybook__client_unref(client);
    return NULL;
}

struct loop *daybook__client_hold_loop(daybook_client *client) {
    uint32_t number = atomic_fetch_add_explicit(&client->calls_count, 1, memory_order_relaxed);
    struct loop *loop = &client->loops[number % client->loops_count];
    daybook__loop_hold(loop);
    return loop;
}

grpc_completion_queue *daybook__client_take_queue(daybook_client *client) {
    pthread_mutex_lock(&client->mutex);
    grpc_completion_queue *queue = client->queues_count == 0 ? NULL : client->queues[--client->queues_count];
    pthread_mutex_unlock(&client->mutex);
    return queue == NULL ? daybook__pluck_open() : queue;
}

void daybook__client_give_queue(daybook_client *client, grpc_completion_queue *queue) {
    pthread_mutex_lock(&client->mutex);
    const bool is_kept = client->queues_count < QUEUES_KEPT_MAX;
    if (is_kept) client->queues[client->queues_count++] = queue;
    pthread_mutex_unlock(&client->mutex);
    if (!is_kept) daybook__pluck_close(queue);
}

grpc_call *daybook__client_create_call(daybook_client *client, const daybook_method *method, gpr_timespec deadline,
                                       grpc_completion_queue *queue) {
    return grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                    grpc_slice_from_static_string(method->path), NULL, deadline, NULL);
}

const daybook_retry_options *daybook__client_retry(const daybook_client *client) {
    return &client->retry;
}

bool daybook__client_enter(daybook_client *client, struct client_entry *entry, grpc_slice *ret_authorization) {
    pthread_mutex_lock(&client->mutex);
    bool entered = !client->closing;
    if (entered) {
        *ret_authorization = grpc_slice_ref(client->authorization);
        entry->previous = NULL;
        entry->next = client->entries;
        if (client->entries != NULL) client->entries->previous = entry;
        client->entries = entry;
        atomic_fetch_add(&client->references, 1);
        if (!entry->is_plucked) client->looped_count++;
    }
    pthread_mutex_unlock(&client->mutex);
    return entered;
}

void daybook__client_leave(daybook_client *client, struct client_entry *entry) {
    pthread_mutex_lock(&client->mutex);
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        client->entries = entry->next;
    if (entry->next != NULL) entry->next->previous = entry->previous;
    if (!entry->is_plucked) client->looped_count--;
    if (client->closing && client->looped_count == 0) pthread_cond_signal(&client->unlooped);
    pthread_mutex_unlock(&client->mutex);
}
