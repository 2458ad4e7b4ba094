/* upb_names.h: every name that protoc-gen-upb takes in C for the types of a proto, so that the services' names can be held
 * against them, and so that what its output would declare twice is found here, with a line, and not by a compiler.
 *
 * They are those of upb's generator of gRPC 1.51, which the SDK is built with.
 * Ownership: names and paths live in the arena. Threads: one. */
#ifndef SDK_PLUGIN_UPB_NAMES_H
#define SDK_PLUGIN_UPB_NAMES_H

#include "sdk/plugin/model.h"

struct upb_name {
    const char *identifier;
    const char *owner;   /* "the field shop.v1.Order.id" */
    const int32_t *path; /* where it is declared; see place_find */
    size_t path_count;
    const char *problem; /* NULL, or what upb's generator makes no C of, whatever the name */
};

typedef void upb_name_found(void *context, const struct upb_name *name);

void upb_names_each(const struct file *file, upb_Arena *arena, upb_name_found *found, void *context);

#endif
