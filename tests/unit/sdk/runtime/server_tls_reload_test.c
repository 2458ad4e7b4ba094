/* server_tls_reload_test.c: a server's files are exchanged while it serves: what new connections get, what old ones keep. */
#include <criterion/criterion.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daybook/call.h"
#include "daybook/client.h"
#include "tests/support/certificates.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/sdk/runtime/server_fixture.h"

#define PATIENCE_S 60

/* Two authorities, a certificate of each for the server, and one for a client. */
static struct certificate old_authority;
static struct certificate new_authority;
static struct certificate old_server;
static struct certificate new_server;
static struct certificate old_client;
static struct certificate new_client;
static struct temporary_directory directory;
static struct temporary_path authorities_file;
static struct temporary_path certificate_file;
static struct temporary_path key_file;
static struct fixture fixture;
static bool fixture_is_open;

/* What the server has told. */
static struct counter told = COUNTER_INIT;
static daybook_status told_last;

static void setup(void) {
    old_authority = certificate_authority("the old authority");
    new_authority = certificate_authority("the new authority");
    old_server = certificate_issue(&old_authority, "a server", "DNS:localhost,IP:127.0.0.1,IP:::1");
    new_server = certificate_issue(&new_authority, "a server", "DNS:localhost,IP:127.0.0.1,IP:::1");
    old_client = certificate_issue(&old_authority, "a client", NULL);
    new_client = certificate_issue(&new_authority, "a client", NULL);
    directory = temporary_directory_make();
    authorities_file = temporary_path(&directory, "ca.crt");
    certificate_file = temporary_path(&directory, "tls.crt");
    key_file = temporary_path(&directory, "tls.key");
}

static void teardown(void) {
    if (fixture_is_open) fixture_close(&fixture);
    struct certificate *all[] = {&old_authority, &new_authority, &old_server, &new_server, &old_client, &new_client};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) certificate_free(all[i]);
    temporary_directory_remove(&directory);
}

TestSuite(server_tls_reload, .init = setup, .fini = teardown, .timeout = 180);

static void text_write(const struct temporary_path *path, const char *text) {
    temporary_file_write(path->text, text, strlen(text));
}

static void pair_write(const struct certificate *pair) {
    text_write(&certificate_file, pair->certificate_pem);
    text_write(&key_file, pair->key_pem);
}

static void on_reloaded(const daybook_status *status, void *context) {
    cr_assert_eq(context, &told);
    told_last = *status;
    counter_add(&told);
}

static void reply_same(void *context, daybook_server_call *call, const fixture_text *request) {
    (void)context;
    daybook_server_call_reply(call, request);
}

static void open_server(bool asks_clients) {
    const daybook_tls_options tls = {.authorities_file = asks_clients ? authorities_file.text : NULL,
                                     .certificate_file = certificate_file.text,
                                     .key_file = key_file.text};
    fixture_open_with(&fixture, (struct fixture_handlers){.unary = reply_same}, NULL,
                      (daybook_server_options){
                          .threads_count = 2, .tls = &tls, .tls_reloaded = on_reloaded, .tls_reloaded_context = &told});
    fixture_is_open = true;
}

static daybook_server_tls_counts counts_of(void) {
    return daybook_server_tls_count(fixture.server);
}

static daybook_client *client_open(const char *host, const struct certificate *authority,
                                   const struct certificate *own) {
    char target[64];
    (void)snprintf(target, sizeof target, "%s:%u", host, daybook_server_port(fixture.server));
    const daybook_tls_options tls = {.authorities_pem = authority->certificate_pem,
                                     .certificate_pem = own == NULL ? NULL : own->certificate_pem,
                                     .key_pem = own == NULL ? NULL : own->key_pem};
    daybook_status status;
    daybook_client *client =
        daybook_client_open(&(daybook_client_options){.target = target, .tls = &tls, .retry.attempts_max = 1}, &status);
    cr_assert_not_null(client, "%s", status.message);
    return client;
}

static bool calls(daybook_client *client) {
    upb_Arena *arena = upb_Arena_New();
    const void *response = NULL;
    daybook_status status;
    const daybook_call_options options = {.timeout_ms = PATIENCE_S * 1000};
    const bool ok = daybook_call_unary(client, &fixture_service.methods[0],
                                       fixture_new_text(arena, upb_StringView_FromString("well?")), &options, arena,
                                       &response, &status);
    cr_assert(ok || status.code == DAYBOOK_UNAVAILABLE, "%s", status.message);
    upb_Arena_Free(arena);
    return ok;
}

/* Whether a new connection is made that trusts this authority. */
static bool connects_to(const char *host, const struct certificate *authority, const struct certificate *own) {
    daybook_client *client = client_open(host, authority, own);
    const bool ok = calls(client);
    daybook_client_close(client);
    return ok;
}

static bool connects(const struct certificate *authority, const struct certificate *own) {
    return connects_to("127.0.0.1", authority, own);
}

/* --- What changes ------------------------------------------------------------------------------------------------- */

Test(server_tls_reload, new_connections_get_the_new_certificate_and_old_ones_go_on) {
    pair_write(&old_server);
    open_server(false);
    daybook_client *before = client_open("127.0.0.1", &old_authority, NULL);
    cr_assert(calls(before));
    cr_assert_not(connects(&new_authority, NULL));
    pair_write(&new_server);
    counter_wait(&told, 1);
    cr_assert_eq(told_last.code, DAYBOOK_OK, "%s", told_last.message);
    cr_assert(connects(&new_authority, NULL));
    cr_assert_not(connects(&old_authority, NULL));
    cr_assert(calls(before));
    daybook_client_close(before);
    cr_assert_eq(counts_of().reloads_count, 1);
    cr_assert_eq(counts_of().failures_count, 0);
    cr_assert_gt(counts_of().expires_s, time(NULL));
}

/* DIR/tls.crt leads to DIR/..data/tls.crt, and DIR/..data to the folder of one version: one rename exchanges all files. */
static void secret_write(const char *version, const struct certificate *authority, const struct certificate *pair) {
    char text[1100];
    const struct temporary_path folder = temporary_path(&directory, version);
    cr_assert_eq(mkdir(folder.text, 0700), 0);
    const struct {
        const char *name;
        const char *pem;
    } texts[] = {
        {"ca.crt", authority->certificate_pem}, {"tls.crt", pair->certificate_pem}, {"tls.key", pair->key_pem}};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(text, sizeof text, "%s/%s", folder.text, texts[i].name);
        temporary_file_write(text, texts[i].pem, strlen(texts[i].pem));
    }
    const struct temporary_path data = temporary_path(&directory, "..data");
    const struct temporary_path data_next = temporary_path(&directory, "..data_tmp");
    cr_assert_eq(symlink(version, data_next.text), 0);
    cr_assert_eq(rename(data_next.text, data.text), 0);
}

Test(server_tls_reload, a_secret_is_exchanged_by_a_link_and_clients_need_the_new_authority) {
    secret_write("..1", &old_authority, &old_server);
    cr_assert_eq(symlink("..data/ca.crt", authorities_file.text), 0);
    cr_assert_eq(symlink("..data/tls.crt", certificate_file.text), 0);
    cr_assert_eq(symlink("..data/tls.key", key_file.text), 0);
    open_server(true);
    daybook_client *before = client_open("127.0.0.1", &old_authority, &old_client);
    cr_assert(calls(before));
    cr_assert_not(connects(&old_authority, &new_client));
    secret_write("..2", &new_authority, &new_server);
    counter_wait(&told, 1);
    cr_assert_eq(told_last.code, DAYBOOK_OK, "%s", told_last.message);
    cr_assert(connects(&new_authority, &new_client));
    cr_assert_not(connects(&new_authority, &old_client));
    cr_assert_not(connects(&new_authority, NULL));
    cr_assert(calls(before));
    daybook_client_close(before);
}

Test(server_tls_reload, whoever_asks_need_not_wait) {
    pair_write(&old_server);
    open_server(false);
    pair_write(&new_server);
    daybook_status status;
    cr_assert(daybook_server_tls_reload(fixture.server, &status), "%s", status.message);
    cr_assert(connects(&new_authority, NULL));
    cr_assert_geq(counts_of().reloads_count, 1);
}

/* --- What is wrong ------------------------------------------------------------------------------------------------ */

Test(server_tls_reload, a_bad_pair_is_told_once_and_the_old_one_stays) {
    pair_write(&old_server);
    open_server(false);
    text_write(&key_file, new_server.key_pem);
    counter_wait(&told, 1);
    cr_assert_eq(told_last.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(told_last.message, "do not belong together"), "%s", told_last.message);
    cr_assert_not_null(strstr(told_last.message, key_file.text), "%s", told_last.message);
    cr_assert(connects(&old_authority, NULL));
    cr_assert_eq(counts_of().reloads_count, 0);
    cr_assert_eq(counts_of().failures_count, 1);
    text_write(&certificate_file, new_server.certificate_pem);
    counter_wait(&told, 2);
    cr_assert_eq(told_last.code, DAYBOOK_OK, "%s", told_last.message);
    cr_assert(connects(&new_authority, NULL));
    cr_assert_eq(counts_of().reloads_count, 1);
    cr_assert_eq(counts_of().failures_count, 1);
}

static void assert_not_reloaded(const char *file, const char *words) {
    const uint64_t failures_count = counts_of().failures_count;
    const int64_t expires_s = counts_of().expires_s;
    daybook_status status = {.code = DAYBOOK_OK};
    cr_assert_not(daybook_server_tls_reload(fixture.server, &status), "reloaded, though %s %s", file, words);
    cr_assert_eq(status.code, DAYBOOK_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(status.message, file), "%s: %s", file, status.message);
    cr_assert_not_null(strstr(status.message, words), "%s: %s", words, status.message);
    cr_assert_gt(counts_of().failures_count, failures_count);
    cr_assert_eq(counts_of().expires_s, expires_s);
}

Test(server_tls_reload, everything_that_can_be_wrong_leaves_the_old_one) {
    static const char garbage[] = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n";
    text_write(&authorities_file, old_authority.certificate_pem);
    pair_write(&old_server);
    open_server(true);
    text_write(&certificate_file, "");
    assert_not_reloaded(certificate_file.text, "is empty");
    text_write(&certificate_file, garbage);
    assert_not_reloaded(certificate_file.text, "cannot be read");
    temporary_file_write(certificate_file.text, old_server.certificate_pem, 200);
    assert_not_reloaded(certificate_file.text, "was cut");
    cr_assert_eq(unlink(certificate_file.text), 0);
    assert_not_reloaded(certificate_file.text, "No such file");
    pair_write(&old_server);
    text_write(&key_file, old_server.certificate_pem);
    assert_not_reloaded(key_file.text, "holds no private key");
    text_write(&key_file, new_server.key_pem);
    assert_not_reloaded(key_file.text, "do not belong together");
    pair_write(&old_server);
    text_write(&authorities_file, garbage);
    assert_not_reloaded(authorities_file.text, "cannot be read");
    cr_assert_eq(unlink(authorities_file.text), 0);
    assert_not_reloaded(authorities_file.text, "No such file");
    cr_assert(connects(&old_authority, &old_client));
    cr_assert_not(connects(&old_authority, &new_client));
}

/* --- Many at once ------------------------------------------------------------------------------------------------- */

/* Every address of a name is a listening socket of its own; each must get the new certificate. */
Test(server_tls_reload, every_address_of_a_name_gets_it) {
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &found) != 0) {
        cr_skip_test("nobody knows localhost here, and no other name has several addresses for certain");
    }
    pair_write(&old_server);
    const daybook_tls_options tls = {.certificate_file = certificate_file.text, .key_file = key_file.text};
    daybook_status status;
    fixture.handlers = (struct fixture_handlers){.unary = reply_same};
    fixture.server = daybook_server_open(
        &(daybook_server_options){.listen = "localhost:0", .threads_count = 2, .tls = &tls}, &status);
    cr_assert_not_null(fixture.server, "%s", status.message);
    cr_assert(daybook_server_add_service(fixture.server, &fixture_service, &fixture.handlers, NULL, &status));
    cr_assert(daybook_server_start(fixture.server, &status));
    for (int round = 0; round < 2; round++) {
        for (const struct addrinfo *address = found; address != NULL; address = address->ai_next) {
            char host[NI_MAXHOST];
            char text[NI_MAXHOST + 2];
            cr_assert_eq(getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST),
                         0);
            (void)snprintf(text, sizeof text, address->ai_family == AF_INET6 ? "[%s]" : "%s", host);
            cr_assert(connects_to(text, round == 0 ? &old_authority : &new_authority, NULL), "%s", text);
            cr_assert_not(connects_to(text, round == 0 ? &new_authority : &old_authority, NULL), "%s", text);
        }
        pair_write(&new_server);
        cr_assert(daybook_server_tls_reload(fixture.server, &status), "%s", status.message);
    }
    freeaddrinfo(found);
    daybook_server_close(fixture.server);
}

static atomic_bool connecting_ends;
static struct counter connected = COUNTER_INIT;

/* Trusts both, so that every connection is made whatever the server has at the moment. */
static void *connect_always(void *context) {
    const struct certificate *both = context;
    while (!atomic_load(&connecting_ends)) {
        cr_assert(connects(both, NULL));
        counter_add(&connected);
    }
    return NULL;
}

Test(server_tls_reload, connections_are_made_while_it_reloads) {
    enum { THREADS_COUNT = 2, RELOADS_COUNT = 200, LOOK_EVERY = 40 };
    pair_write(&old_server);
    open_server(false);
    char text[8192];
    (void)snprintf(text, sizeof text, "%s%s", old_authority.certificate_pem, new_authority.certificate_pem);
    struct certificate both = {.certificate_pem = text};
    pthread_t threads[THREADS_COUNT];
    for (int i = 0; i < THREADS_COUNT; i++) cr_assert_eq(pthread_create(&threads[i], NULL, connect_always, &both), 0);
    for (int i = 0; i < RELOADS_COUNT; i++) {
        daybook_status status;
        pair_write(i % 2 == 0 ? &new_server : &old_server);
        cr_assert(daybook_server_tls_reload(fixture.server, &status), "%s", status.message);
        if (i % LOOK_EVERY != 0) continue;
        cr_assert(connects(&new_authority, NULL));
        counter_wait(&connected, counter_get(&connected) + 1);
    }
    atomic_store(&connecting_ends, true);
    for (int i = 0; i < THREADS_COUNT; i++) cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_geq(counts_of().reloads_count, RELOADS_COUNT);
}
