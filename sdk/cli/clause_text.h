/* clause_text.h: a clause of a filter as one word of the command line, "type=OrderPlaced,tag=customer:7".
 *
 *     clause = part *("," part)
 *     part   = ("type" | "tag" | "stream" | "type-prefix" | "stream-prefix") "=" text
 *
 * The text of a part goes to the next ',' and may hold '='. A '\' takes the character behind it as it is, so ',' is "\,"
 * and '\' is "\\". A key may be repeated: any of the types, streams and prefixes, all of the tags.
 * Ownership: names are copied into the arena. Threads: the main thread. */
#ifndef SDK_CLI_CLAUSE_TEXT_H
#define SDK_CLI_CLAUSE_TEXT_H

#include "daybook/v1/event.upb.h"

/* Fills the clause. NULL, or what is wrong with the text: static. */
const char *clause_parse(const char *text, daybook_v1_Clause *clause, upb_Arena *arena);

#endif
