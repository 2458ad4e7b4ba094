/* utf8.h: whether bytes are text.
 *
 * Threads: any. */
#ifndef SERVICE_BASE_UTF8_H
#define SERVICE_BASE_UTF8_H

#include <stdbool.h>

#include "service/base/bytes.h"

/* Whether the bytes are UTF-8 (Unicode, table 3-7): every character in its shortest form, no surrogates, nothing beyond
 * U+10FFFF, none cut off. Empty text is text. */
bool utf8_is_valid(struct bytes text);

#endif
