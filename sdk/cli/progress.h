/* progress.h: how far a long request has come, on standard error: one line that changes on a terminal, else a line for each
 * whole percent that is reached.
 *
 * Ownership: plain data of the caller. Threads: the main thread. */
#ifndef SDK_CLI_PROGRESS_H
#define SDK_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "events copied" */
    bool terminal;
    bool shown;
    unsigned percent_last;
};

void progress_init(struct progress *progress, const char *what);

/* `all` may change from one to the next, and be 0. */
void progress_show(struct progress *progress, uint64_t done, uint64_t all);

/* Ends the line that changes, so that what is said next begins its own. */
void progress_end(struct progress *progress);

#endif
