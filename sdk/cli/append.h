/* append.h: what the parts of `daybook append` share: its arguments, and events on their way into one request.
 *
 * Ownership: the arguments point into the command line; a batch owns its arena, until it is sent or dropped.
 * Threads: the main thread. Errors: false without memory; exit codes. */
#ifndef SDK_CLI_APPEND_H
#define SDK_CLI_APPEND_H

#include "daybook/v1/event_store.upb.h"
#include "sdk/cli/common.h"
#include "sdk/cli/values.h"

/* Of an event, a filter and a request (daybook/v1/event.proto, event_store.proto). */
#define APPEND_TAGS_COUNT_MAX     64
#define APPEND_METADATA_COUNT_MAX 64
#define APPEND_CLAUSES_COUNT_MAX  64
#define APPEND_CHECKS_COUNT_MAX   1024

struct append_check {
    upb_StringView stream;
    struct value_expectation expectation;
};

struct append_arguments {
    struct common common;
    const char *stream;
    const char *type;
    const char *payload; /* NULL: none; "-": lines of standard input */
    bool text;           /* the payload need not be JSON */
    const char *id;
    const char *tags[APPEND_TAGS_COUNT_MAX];
    size_t tags_count;
    struct value_pair metadata[APPEND_METADATA_COUNT_MAX];
    size_t metadata_count;
    struct value_expectation expectation;
    const char *if_none[APPEND_CLAUSES_COUNT_MAX];
    size_t if_none_count;
    bool has_after;
    uint64_t after;
    struct append_check checks[APPEND_CHECKS_COUNT_MAX];
    size_t checks_count;
    upb_StringView consumer; /* empty: no checkpoint */
    uint64_t consumer_position;
};

struct append_batch {
    upb_Arena *arena;
    daybook_v1_AppendRequest *request;
    daybook_v1_Write *write;
    size_t events_count;
    size_t bytes;
};

/* Begins a request with everything but its events. False: there is nothing to drop. */
bool append_batch_begin(struct append_batch *batch, const struct append_arguments *arguments);

/* Adds an event; a NULL payload is none. */
bool append_batch_add(struct append_batch *batch, const struct append_arguments *arguments, const char *payload,
                      size_t size);

/* Sends the batch, if it has events, prints the result unless `quiet`, and frees it. 0, or the exit code. */
int append_batch_send(struct append_batch *batch, const struct append_arguments *arguments, daybook_client *client,
                      bool quiet);
void append_batch_drop(struct append_batch *batch);

/* A payload that is meant as JSON is looked at here, because the server takes any text. False: it is none, which was said
 * with the line's number, unless that is 0. */
bool append_payload_check(const struct append_arguments *arguments, const char *payload, size_t size, uint64_t line);

/* Appends each line of standard input. Returns the exit code. */
int append_lines(const struct append_arguments *arguments, daybook_client *client);

#endif
