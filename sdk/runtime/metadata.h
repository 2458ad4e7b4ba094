/* metadata.h: received metadata as programs see it (daybook/metadata.h), and the headers that they send.
 *
 * Ownership: gRPC owns the texts of an array that it has filled for as long as the call lives; daybook__metadata_hold takes
 * a share in them for longer. What daybook__header_convert makes belongs to the caller.
 * Threads: as plain data.
 * Errors: what is wrong with a header is a static text; what that means is for the caller to say. */
#ifndef DAYBOOK_SDK_RUNTIME_METADATA_H
#define DAYBOOK_SDK_RUNTIME_METADATA_H

#include <grpc/grpc.h>

#include "daybook/metadata.h"

#define DAYBOOK__HEADER_KEY_BYTES_MAX   255u
#define DAYBOOK__HEADER_VALUE_BYTES_MAX 8192u

struct daybook_metadata {
    grpc_metadata_array array;
};

/* The array as programs see it, as long as it does not move. */
static inline const daybook_metadata *daybook__metadata_view(const grpc_metadata_array *array) {
    return (const daybook_metadata *)array;
}

/* Makes an array outlive its call: from now on until daybook__metadata_free. gRPC has filled it, and does not again. */
void daybook__metadata_hold(grpc_metadata_array *array);

/* Moves an array out of its call and holds it. */
void daybook__metadata_move(grpc_metadata_array *array, grpc_metadata_array *ret_array);

/* Empties an array that is held. */
void daybook__metadata_free(grpc_metadata_array *array);

/* What is wrong with a header to send, to go on after "header 3 ": "has no key". NULL when nothing is. */
DAYBOOK_MUST_USE const char *daybook__header_check(const daybook_header *header);

/* Copies a header that has been checked. Its key and value are to be given to grpc_slice_unref. */
grpc_metadata daybook__header_convert(const daybook_header *header);

#endif
