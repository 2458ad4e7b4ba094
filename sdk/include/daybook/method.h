/** @file method.h
 * What generated code tells the runtime about a service. Constant tables, no logic.
 *
 * Ownership: everything here is static data of generated code and lives as long as the program.
 * Threads: immutable. */
#ifndef DAYBOOK_METHOD_H
#define DAYBOOK_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daybook/declarations.h"
#include "upb/msg.h"
#include "upb/upb.h"

DAYBOOK_BEGIN_DECLARATIONS

/** A unary call, from the server's side; see server.h. */
typedef struct daybook_server_call daybook_server_call;

/** A call with many messages, from the server's side; see server.h. */
typedef struct daybook_server_stream daybook_server_stream;

/** Who sends many messages: nobody, one side or both. */
typedef enum daybook_method_kind {
    DAYBOOK_METHOD_UNARY,
    DAYBOOK_METHOD_SERVER_STREAMING,
    DAYBOOK_METHOD_CLIENT_STREAMING,
    DAYBOOK_METHOD_BIDIRECTIONAL_STREAMING,
} daybook_method_kind;

/** From the method's idempotency_level in the proto; it decides whether a retry is safe. */
typedef enum daybook_idempotency {
    DAYBOOK_IDEMPOTENCY_UNKNOWN,
    DAYBOOK_IDEMPOTENCY_NO_SIDE_EFFECTS,
    DAYBOOK_IDEMPOTENCY_IDEMPOTENT,
} daybook_idempotency;

/** A generated trampoline from the untyped runtime to one typed handler of the user's handler struct. It returns false
 * when the slot is NULL: the method is then UNIMPLEMENTED. */
typedef bool daybook_dispatch_call(const void *handlers, void *context, daybook_server_call *call, const void *request);

/** The same for a stream. `request` is NULL when the client streams. */
typedef bool daybook_dispatch_stream(const void *handlers, void *context, daybook_server_stream *stream,
                                     const void *request);

/** A method of a service. */
typedef struct daybook_method {
    const char *name;                         /**< "Append" */
    const char *path;                         /**< "/daybook.v1.EventStore/Append" */
    daybook_method_kind kind;                 /**< who streams */
    daybook_idempotency idempotency;          /**< whether a retry is safe */
    const upb_MiniTable *request;             /**< how upb takes requests apart */
    const upb_MiniTable *response;            /**< how upb takes responses apart */
    daybook_dispatch_call *dispatch_call;     /**< unary methods */
    daybook_dispatch_stream *dispatch_stream; /**< all other kinds */
} daybook_method;

/** An encoded google.protobuf.FileDescriptorProto, without source information. */
typedef struct daybook_file {
    const char *name;    /**< "daybook/v1/event_store.proto" */
    const uint8_t *data; /**< the encoded descriptor */
    size_t size;         /**< its bytes */
} daybook_file;

/** A service of a proto. */
typedef struct daybook_service {
    const char *full_name;         /**< "daybook.v1.EventStore" */
    const daybook_method *methods; /**< in the proto's order */
    size_t methods_count;          /**< how many there are */
    /** The proto that declares the service and everything it imports, each after what it imports. None of them where the
     * generator was told descriptors=false: reflection then lists the service and cannot describe it. */
    const daybook_file *const *files;
    size_t files_count; /**< how many there are */
} daybook_service;

DAYBOOK_END_DECLARATIONS

#endif
