/* delivery.h: a reading of the feed on a stream of the server; what Read and Subscribe share.
 *
 * Life: the reading ends, or the client goes; the reading is closed once; when it is closed the stream is finished, with the
 * last message if there is one; with the stream's arena everything here is gone.
 * Threads: the feed's and the server's; every step may come from either. */
#ifndef SERVICE_API_DELIVERY_H
#define SERVICE_API_DELIVERY_H

#include <stdatomic.h>

#include "daybook/v1/event.upb.h"
#include "service/api/errors.h"
#include "service/feed/feed.h"

struct delivery {
    daybook_server_stream *stream;
    struct reading *reading;
    struct filter *filter;
    atomic_bool closing;
    enum failure failure; /* how the reading ended */
    bool has_last;
    struct feed_message last; /* goes with the end */
};

/* What the reading of a delivery reports to. */
extern const struct feed_sink delivery_sink;

/* Allocates a delivery in the stream's arena, compiles the filter and watches the stream. NULL: the stream is finished with
 * an error already. */
struct delivery *delivery_new(daybook_server_stream *stream, const daybook_v1_Filter *filter);

/* The reading could not be opened: finishes the stream with what the failure means. */
void delivery_refuse(struct delivery *delivery, enum failure failure);

#endif
