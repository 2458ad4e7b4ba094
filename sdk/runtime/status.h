/* status.h: what the runtime's own files need of a status beyond daybook/status.h.
 *
 * Ownership: nothing is allocated; texts are copied into the status.
 * Threads: plain data, every function may run on any thread.
 * Errors: none; a text that does not fit is cut, what cannot be decoded is left out. */
#ifndef DAYBOOK_SDK_RUNTIME_STATUS_H
#define DAYBOOK_SDK_RUNTIME_STATUS_H

#include <stddef.h>

#include "daybook/status.h"

/* The code of a number from the wire; one that is no code is UNKNOWN, as gRPC asks of its clients. */
daybook_code daybook__code_from_number(int number);

/* As daybook_status_set, with a text that came from the peer: any bytes, not terminated. Bytes that are not UTF-8 become
 * '?', so that a status can always be printed and encoded. The text of OK is dropped. */
void daybook__status_set_text(daybook_status *ret_status, daybook_code code, const char *text, size_t text_size);

/* Copies a status as far as it is filled in. */
void daybook__status_copy(const daybook_status *status, daybook_status *ret_status);

/* Copies whole characters into `target`, which is terminated, until it is full or the text ends at its size or at a NUL. */
void daybook__status_copy_text(char *target, size_t target_size, const char *text, size_t text_size);

/* Adds what an encoded google.rpc.Status ("grpc-status-details-bin") says: the reason of its ErrorInfo, the delay of its
 * RetryInfo, the first fields of its BadRequests. Details that are not valid change nothing: a broken trailer must not hide
 * the error it came with. */
void daybook__status_add_details(daybook_status *status, const void *details, size_t details_size);

#endif
