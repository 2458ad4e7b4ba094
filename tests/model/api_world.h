/* api_world.h: a daemon's rooms behind a real server, clients of it, and the reference that they are compared with.
 *
 * The runs of the index and the tail in memory are tiny, so that every hand-off between memory and disk happens all the time.
 * Operations are a table: to add one is to add a line and a function that asks the daemon and the reference the same, compares
 * the answers, and says how it went.
 * Ownership: what an operation needs lives in `arena` until it ends. Threads: one. Errors: assertions. */
#ifndef TESTS_MODEL_API_WORLD_H
#define TESTS_MODEL_API_WORLD_H

#include "daybook/server.h"
#include "service/api/api.h"
#include "service/commit/listener.h"
#include "tests/model/api_reference.h"
#include "tests/support/random.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/service/api/answers.h"

#define API_CLIENTS_COUNT     3
#define API_SUBSCRIBERS_COUNT 4
#define API_APPENDS_KEPT      64

struct api_rooms {
    struct temporary_directory directory;
    struct store *store;
    struct index *index;
    struct feed *feed;
    struct sequencer *sequencer;
    struct compactor *compactor;
    struct append_streams *append_streams;
    struct lists *lists;
    struct commit_listener listener;
    struct api api;
    daybook_server *server;
    struct raw_channel *channels[API_CLIENTS_COUNT];
};

/* A subscription that is open across operations. */
struct api_subscriber {
    struct raw_call *call; /* NULL: not open */
    struct reference_filter filter;
    uint64_t position;  /* what the responses said */
    uint64_t delivered; /* every event up to here was delivered or did not have to be */
    uint64_t opened_at; /* operation */
};

struct api_world {
    struct random random;
    struct api_rooms rooms;
    struct reference *reference;
    upb_Arena *arena; /* of the operation */
    struct api_subscriber subscribers[API_SUBSCRIBERS_COUNT];
    struct reference_append kept[API_APPENDS_KEPT]; /* appends that were made before, to be tried again */
    uint64_t kept_count;                            /* of all that were ever kept */
    struct raw_call *compaction;                    /* one that goes on across operations; NULL: none does */
    struct raw_call *reindexing;
    uint64_t ids_count;
    uint64_t events_checked_count;
    uint64_t responses_checked_count;
};

/* Opens the rooms in their directory, and closes them; the directory stays. */
void api_rooms_open(struct api_rooms *rooms);
void api_rooms_close(struct api_rooms *rooms);

/* --- Chance. ------------------------------------------------------------------------------------------------------------ */

uint64_t api_below(struct api_world *world, uint64_t limit);
bool api_one_in(struct api_world *world, uint64_t count);

/* Any filter; when `is_for_condition`, one that a condition may have. It may have no clauses. */
struct reference_filter api_filter(struct api_world *world, bool is_for_condition);
daybook_v1_Filter *api_filter_message(struct api_world *world, const struct reference_filter *filter);

/* --- Calls, each from any of the clients. ------------------------------------------------------------------------------- */

/* A unary call; the caller frees the answer. `request` is a message of this layout. */
struct answer api_call(struct api_world *world, const char *method, const void *request, const upb_MiniTable *layout);
struct answer api_call_bytes(struct api_world *world, const char *method, upb_StringView request);
/* The same, once more for as long as the daemon is not ready for it. */
struct answer api_call_when_ready(struct api_world *world, const char *method, const void *request,
                                  const upb_MiniTable *layout);
/* The response of an answer, which must be there. */
const void *api_response(struct api_world *world, const struct answer *answer, const upb_MiniTable *layout);
/* Starts a stream. */
struct raw_call *api_stream(struct api_world *world, const char *method, const void *request,
                            const upb_MiniTable *layout);

/* Fails the test unless the call ended with this reason, "OK" or that of an error. Returns the reason. */
const char *api_expect(const struct answer *answer, int code, const char *reason);

/* --- Operations, each with what it compares. They return how it went. ---------------------------------------------------- */

const char *api_run_append(struct api_world *world);         /* api_append.c */
const char *api_run_append_again(struct api_world *world);   /* api_append.c */
const char *api_run_append_wrong(struct api_world *world);   /* api_append.c */
const char *api_run_append_at_once(struct api_world *world); /* api_append_at_once.c */
const char *api_run_read(struct api_world *world);           /* api_read.c */
const char *api_run_subscribe(struct api_world *world);      /* api_subscribe.c */
const char *api_run_head(struct api_world *world);           /* api_checkpoints.c */
const char *api_run_checkpoint(struct api_world *world);     /* api_checkpoints.c */
const char *api_run_checkpoints(struct api_world *world);    /* api_checkpoints.c */
const char *api_run_settings(struct api_world *world);       /* api_streams.c */
const char *api_run_delete(struct api_world *world);         /* api_streams.c */
const char *api_run_erase(struct api_world *world);          /* api_streams.c */
const char *api_run_pass(struct api_world *world);           /* api_streams.c */
const char *api_run_retention(struct api_world *world);      /* api_streams.c */
const char *api_run_restart(struct api_world *world);        /* api_model_test.c */

const char *api_run_append_many(struct api_world *world); /* api_append_many.c */
const char *api_run_stream(struct api_world *world);      /* api_lists.c */
const char *api_run_streams(struct api_world *world);     /* api_lists.c */
const char *api_run_names(struct api_world *world);       /* api_lists.c */

const char *api_run_compact(struct api_world *world); /* api_maintenance.c */
const char *api_run_reindex(struct api_world *world); /* api_maintenance.c */

/* Waits for the end of a compaction and of a new index that go on. */
void api_maintenance_end(struct api_world *world);

/* Lets every subscriber come to the head, and checks that nothing is missing. Closes one; opens it again where it was. */
void api_subscribers_settle(struct api_world *world);
void api_subscriber_close(struct api_subscriber *subscriber);
void api_subscriber_resume(struct api_world *world, struct api_subscriber *subscriber);

#endif
