/* decision.h: read what a decision stands on, decide, append on the condition that it still stands.
 *
 * A decision names the events it depends on (its boundary: types any of, tags all of, clauses either or), reads them into a
 * model, and appends under the condition that no further event inside of that boundary was recorded after the head of the
 * read. Events outside of it do not matter: decisions about different things never wait for, or refuse, each other.
 *
 *     static const char *rename(struct decision *decision, const void *command) {
 *         decision_about(decision, LIST("ProductNamed"), LIST("product:7"));
 *         for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) { ... fold it into a model ... }
 *         if (!model.exists) return "there is no such product";
 *         decision_record(decision, "product-7", "ProductNamed", LIST("product:7"), json_pack("{s:s}", "name", "Lamp"));
 *         return NULL;
 *     }
 *     refusal = decision_make(client, rename, &command, NULL);
 *
 * Ownership: a decision owns everything that it hands out, until its close. Threads: one for a decision; any number of
 * decisions may share a client. Errors: a refusal and a conflict are values; a server that says anything else, or a lack of
 * memory, is told on standard error and ends the program, as suits an example. */
#ifndef EXAMPLES_DCB_DECISION_H
#define EXAMPLES_DCB_DECISION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daybook/daybook.h"

/* Names, ended by NULL. */
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ANY       ((const char *const[]){NULL})

struct decision;

/* An event as a model takes it. */
struct fact {
    uint64_t position;
    const char *type;
    json_t *data;          /* an object; empty when the event has none */
    int64_t occurred_at_s; /* seconds since 1970, as the service that recorded it said */
};

struct decision *decision_open(daybook_client *client);

/* Adds a clause to the boundary: events of any of these types that have all of these tags. ANY: no constraint. */
void decision_about(struct decision *decision, const char *const *types, const char *const *tags);

/* Only the newest event of the boundary is read, when that one says all. The condition covers the boundary all the same. */
void decision_newest_only(struct decision *decision);

/* The next event of the boundary, from old to new; the first call reads. NULL: that was all. */
const struct fact *decision_next(struct decision *decision);

/* Adds an event to what is appended. `data` is taken over and may be NULL. */
void decision_record(struct decision *decision, const char *stream, const char *type, const char *const *tags,
                     json_t *data);

/* Dates the events that are recorded from here on; else it is the time of this moment. */
void decision_set_time(struct decision *decision, int64_t occurred_at_s);

/* Appends all recorded events, or none. False: the boundary has changed since the read, decide anew. A call whose outcome
 * is not known is made again: the events have ids, so the store recognises them. */
bool decision_commit(struct decision *decision);

/* NULL is allowed. Returns NULL. */
struct decision *decision_close(struct decision *decision);

/* A formatted text that lives as long as the decision. */
const char *decision_text(struct decision *decision, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads and decides, by what is there now. NULL: accepted, with the events recorded; else why not, as static text. */
typedef const char *decide_function(struct decision *decision, const void *command);

/* Decides and appends, again and again until the decision stands or is a refusal. Returns that, or NULL. Adds the number of
 * conflicts on the way to `conflicts_count`, which may be NULL. */
const char *decision_make(daybook_client *client, decide_function *decide, const void *command,
                          uint64_t *conflicts_count);

bool fact_is(const struct fact *fact, const char *type);
int64_t fact_number(const struct fact *fact, const char *key);
const char *fact_text(const struct fact *fact, const char *key);

#endif
