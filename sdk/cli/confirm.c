#include "sdk/cli/confirm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>
#include <unistd.h>

#include "sdk/cli/common.h"
#include "sdk/cli/print.h"

int confirm(const char *question, bool given) {
    if (given) return 0;
    if (isatty(fileno(stdin)) == 0) {
        (void)fputs("daybook: this cannot be taken back, and standard input is no terminal to ask on: give --yes\n",
                    stderr);
        return EXIT_USAGE;
    }
    print_plain(stderr, upb_StringView_FromString(question));
    (void)fputs(" This cannot be taken back. Type yes to go on: ", stderr);
    (void)fflush(stderr);
    char *line = NULL;
    size_t capacity = 0;
    const ssize_t size = getline(&line, &capacity, stdin);
    if (size > 0) line[strcspn(line, "\r\n")] = '\0';
    const bool yes = size > 0 && (strcasecmp(line, "yes") == 0 || strcasecmp(line, "y") == 0);
    free(line);
    if (yes) return 0;
    (void)fputs("daybook: nothing was done\n", stderr);
    return EXIT_REFUSED;
}
