/** @file metadata.h
 * Metadata of a call: the headers that a program sends and those that it was sent.
 *
 * Source: gRPC's PROTOCOL-HTTP2.md, "Custom-Metadata". Keys are lower case; the value of a key that ends in "-bin" is any
 * bytes, of every other one printable ASCII. A key may come more than once; their order is kept.
 * Ownership: received metadata belongs to its call or stream, with every text that points into it.
 * Threads: received metadata is immutable; any thread. */
#ifndef DAYBOOK_METADATA_H
#define DAYBOOK_METADATA_H

#include <stddef.h>

#include "daybook/declarations.h"
#include "upb/upb.h"

DAYBOOK_BEGIN_DECLARATIONS

/** A piece of metadata to send. The key is 1 to 255 characters of a-z 0-9 _ - . and none that gRPC uses itself; the value is
 * at most 8,192 bytes. */
typedef struct daybook_header {
    const char *key; /**< "correlation-id" */
    /** Printable ASCII, or, for a key that ends in "-bin", any bytes. */
    const char *value;
    /** The bytes of the value; 0: up to its NUL. */
    size_t value_size;
} daybook_header;

/** Metadata that was received. */
typedef struct daybook_metadata daybook_metadata;

/** How many pieces there are. NULL has none. */
size_t daybook_metadata_count(const daybook_metadata *metadata);

/** The key of piece `index`, which must be less than the count. Not terminated. */
upb_StringView daybook_metadata_key(const daybook_metadata *metadata, size_t index);

/** The value of piece `index`, which must be less than the count. Not terminated. */
upb_StringView daybook_metadata_value(const daybook_metadata *metadata, size_t index);

/** The value of the first piece with this key; without data when there is none. */
upb_StringView daybook_metadata_find(const daybook_metadata *metadata, const char *key);

DAYBOOK_END_DECLARATIONS

#endif
