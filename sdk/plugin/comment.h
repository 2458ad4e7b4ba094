/* comment.h: comments of protos as comments of C that Doxygen reads.
 *
 * They are strangers' texts: nothing in them ends the comment, and nothing is taken for a command, a tag or a link of
 * Doxygen's. What stands between backticks on one line is code and stays as it is.
 * Ownership: text goes to the writer. Threads: one. */
#ifndef SDK_PLUGIN_COMMENT_H
#define SDK_PLUGIN_COMMENT_H

#include <stdbool.h>

#include "sdk/plugin/writer.h"

struct comment {
    upb_StringView text;  /* of the proto; may be empty */
    const char *fallback; /* what is said when the proto says nothing; NULL: no comment then */
    bool deprecated;
};

/* Writes one comment, each line of it after `indent`. */
void write_comment(struct writer *writer, const struct comment *comment, const char *indent);

#endif
