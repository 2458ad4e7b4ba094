/* confirm.h: asks before what cannot be taken back. Threads: the main thread. */
#ifndef SDK_CLI_CONFIRM_H
#define SDK_CLI_CONFIRM_H

#include <stdbool.h>

/* Asks on the terminal of standard input for "yes"; `given` is --yes and answers it. 0, or the exit code: EXIT_REFUSED when
 * the answer is another one, EXIT_USAGE when there is nobody to ask. */
int confirm(const char *question, bool given);

#endif
