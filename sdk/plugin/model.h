/* model.h: what the generator needs to know of the protos, taken from protoc's request once and checked.
 *
 * Ownership: everything lives in the request's arena. Threads: one. */
#ifndef SDK_PLUGIN_MODEL_H
#define SDK_PLUGIN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "google/protobuf/compiler/plugin.upb.h"
#include "google/protobuf/descriptor.upb.h"

/* Where something is declared; both count from 1. 1:1 when protoc did not say. */
struct place {
    int line;
    int column;
};

struct method {
    const char *name;    /* "Append" as in the proto */
    const char *symbol;  /* "daybook_v1_EventStore_Append", the prefix of its functions */
    const char *slot;    /* its name in the handlers' struct */
    const char *request; /* C type "daybook_v1_AppendRequest" */
    const char *response;
    const char *request_file; /* proto that declares the type */
    const char *response_file;
    bool client_streams;
    bool server_streams;
    bool deprecated;     /* it, its service or its file */
    int32_t idempotency; /* google.protobuf.MethodOptions.IdempotencyLevel */
    upb_StringView comment;
    struct place place;
    int32_t path[4]; /* of its place */
};

struct service {
    const char *name;      /* "EventStore" */
    const char *full_name; /* "daybook.v1.EventStore" */
    const char *symbol;    /* "daybook_v1_EventStore" */
    struct method *methods;
    size_t methods_count;
    bool deprecated;        /* it or its file */
    upb_StringView comment; /* before it, or else behind it */
    struct place place;
    int32_t path[2];
};

struct file {
    const char *name; /* "daybook/v1/event_store.proto" */
    const char *stem; /* "daybook/v1/event_store" */
    const google_protobuf_FileDescriptorProto *descriptor;
    struct service *services;
    size_t services_count;
    const struct file **imports; /* direct, in the order of the proto */
    size_t imports_count;
    bool generate;
};

struct model {
    upb_Arena *arena;
    struct file *files; /* in protoc's order: each after what it imports */
    size_t files_count;
    const char *error; /* NULL, or what is wrong, with file, line and column */
};

/* Field numbers of FileDescriptorProto (google/protobuf/descriptor.proto), which begin the paths of source locations. */
enum { PATH_FILE_IMPORT = 3, PATH_FILE_MESSAGE = 4, PATH_FILE_ENUM = 5, PATH_FILE_SERVICE = 6 };

/* Where something is declared; `path` is that of SourceCodeInfo.Location. 1:1 when protoc did not say. */
struct place place_find(const struct file *file, const int32_t *path, size_t path_count);

/* Builds the model. False: `ret_model->error` says where and what. */
bool model_build(const google_protobuf_compiler_CodeGeneratorRequest *request, upb_Arena *arena,
                 struct model *ret_model);

#endif
