/* validate.h: what a request must be, checked before anything is done with it.
 *
 * Every wrong field is noted with its path and with what is allowed, up to ERROR_VIOLATIONS_COUNT_MAX; the limits are in
 * limits.h and documented in protos/daybook/v1. Text is valid UTF-8 already, but for the texts of a map: the decoder refuses
 * anything else.
 * Ownership: notes point at nothing. Threads: any. */
#ifndef SERVICE_API_VALIDATE_H
#define SERVICE_API_VALIDATE_H

#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.upb.h"
#include "google/protobuf/timestamp.upb.h"
#include "service/api/errors.h"

struct validation {
    bool failed;
    struct error error; /* filled once failed */
};

/* Where a field is, as a chain on the stack from the field up to the request: text is made of it only when there is
 * something to say, so that a good request costs no formatting. */
struct field {
    const struct field *parent; /* NULL: a field of the request itself */
    const char *name;
    size_t index; /* FIELD_SINGLE: not repeated */
};
#define FIELD_SINGLE SIZE_MAX

static inline struct field field_of(const struct field *parent, const char *name) {
    return (struct field){.parent = parent, .name = name, .index = FIELD_SINGLE};
}

static inline struct field field_at(const struct field *parent, const char *name, size_t index) {
    return (struct field){.parent = parent, .name = name, .index = index};
}

void validation_init(struct validation *validation);

/* Notes a wrong field. The first one's reason is the reason of the error. */
void violation_add(struct validation *validation, enum reason reason, const struct field *field, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* A name: 1 to NAME_BYTES_MAX bytes, no control characters. */
void validate_name(struct validation *validation, const struct field *field, upb_StringView name);

/* A name that a client may give to a stream or a type: one that does not begin as the server's own do. */
void validate_own_name(struct validation *validation, const struct field *field, upb_StringView name);

/* `head`: the last position there is, which neither condition nor checkpoint may lie beyond. */
void validate_append(struct validation *validation, const daybook_v1_AppendRequest *request, uint64_t head);
void validate_read(struct validation *validation, const daybook_v1_ReadRequest *request);
void validate_subscribe(struct validation *validation, const daybook_v1_SubscribeRequest *request);

void validate_settings(struct validation *validation, const daybook_v1_UpdateStreamSettingsRequest *request);
void validate_delete(struct validation *validation, const daybook_v1_DeleteStreamRequest *request);
/* `head`: the last position there is, beyond which nothing can be erased. */
void validate_erase(struct validation *validation, const daybook_v1_EraseEventsRequest *request, uint64_t head);

/* Used by the above; each checks one message below `field`. */
void validate_event(struct validation *validation, const struct field *field, const daybook_v1_Event *event);
/* A map of metadata as decoded: its own entries are counted, and those that are hidden among unknown fields are looked for.
 * False: there are too many to look at each. */
struct metadata_entries {
    const void *message;
    uint32_t field_number;
    size_t count;
};
bool validate_metadata_entries(struct validation *validation, const struct field *field,
                               const struct metadata_entries *entries);
void validate_metadata_entry(struct validation *validation, const struct field *field, upb_StringView key,
                             upb_StringView value);
void validate_time(struct validation *validation, const struct field *field, const google_protobuf_Timestamp *time);
void validate_filter(struct validation *validation, const struct field *field, const daybook_v1_Filter *filter);

#endif
