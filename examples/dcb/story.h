/* story.h: what the examples have in common beside their decisions: they tell what they do and check that it holds.
 *
 * Ownership: the client belongs to the story and is closed by its end. Threads: one tells; `story_together` makes others.
 * Errors: a server that does not answer ends the program. */
#ifndef EXAMPLES_DCB_STORY_H
#define EXAMPLES_DCB_STORY_H

#include "examples/dcb/decision.h"

/* Takes the server's address from the command line and connects. */
daybook_client *story_begin(int argc, char **argv);

/* Prints how many checks held and returns the program's exit code: 0 when all did. */
int story_end(void);

/* Prints a heading. */
void story_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints what should hold and whether it does. */
void story_expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Expects a command to have been accepted (`expected` NULL), or refused with this text. */
void story_expect_outcome(const char *refusal, const char *expected, const char *what);

/* "kind:id" on an empty store. On another one, what earlier runs have left must not meddle: "kind:id.HEAD". */
const char *story_tag(struct decision *decision, const char *kind, const char *id);

/* Runs `body` for each number below `count`, all at the same time, each on a thread of its own; waits for all. */
typedef void story_body(size_t number, void *context);
void story_together(size_t count, story_body *body, void *context);

/* Two deciders read the same state and both accept their command; then both append, the first one first. Expects that only
 * the first append is taken. */
void story_race(daybook_client *client, decide_function *first_decide, const void *first,
                decide_function *second_decide, const void *second);

#endif
