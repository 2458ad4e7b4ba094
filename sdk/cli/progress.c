#include "sdk/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void progress_init(struct progress *progress, const char *what) {
    *progress = (struct progress){.what = what, .terminal = isatty(fileno(stderr)) != 0};
}

static unsigned percent_of(uint64_t done, uint64_t all) {
    if (done >= all) return 100;
    return (unsigned)((double)done * 100 / (double)all);
}

void progress_show(struct progress *progress, uint64_t done, uint64_t all) {
    const unsigned percent = percent_of(done, all);
    if (!progress->terminal && progress->shown && percent == progress->percent_last) return;
    /* Behind the text the rest of a longer one before it is erased. */
    (void)fprintf(stderr, "%s%" PRIu64 " of %" PRIu64 " %s (%u %%)%s", progress->terminal ? "\r" : "", done, all,
                  progress->what, percent, progress->terminal ? "\x1b[K" : "\n");
    (void)fflush(stderr);
    progress->shown = true;
    progress->percent_last = percent;
}

void progress_end(struct progress *progress) {
    if (progress->terminal && progress->shown) (void)fputc('\n', stderr);
}
