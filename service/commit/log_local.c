#include "service/commit/log.h"

static void propose(struct log *log, const struct log_group *group) {
    log->deliver(log->context, group);
}

void log_local_init(struct log *log, log_deliver *deliver, void *context) {
    *log = (struct log){.propose = propose, .deliver = deliver, .context = context};
}
