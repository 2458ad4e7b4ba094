/* reflection_files.h: the protos that generated code carries, and what they declare.
 *
 * Ownership: the descriptors are static data of generated code; what is parsed of them lives until the close.
 * Threads: open and close the owner's; in between everything is constant, any thread.
 * Errors: RESOURCE_EXHAUSTED without memory, INTERNAL when generated code carries something that is no descriptor. */
#ifndef DAYBOOK_SDK_RUNTIME_REFLECTION_FILES_H
#define DAYBOOK_SDK_RUNTIME_REFLECTION_FILES_H

#include "daybook/method.h"
#include "daybook/status.h"
#include "google/protobuf/descriptor.upb.h"

struct reflection_file {
    const daybook_file *file;
    const google_protobuf_FileDescriptorProto *proto;
};

struct reflection_files {
    struct reflection_file *items;
    size_t count;
    upb_Arena *arena;
};

/* Collects the files of all services, each name once. `files` must be zero. */
DAYBOOK_MUST_USE bool daybook__reflection_files_open(struct reflection_files *files,
                                                     const daybook_service *const *services, size_t services_count,
                                                     daybook_status *ret_status);
void daybook__reflection_files_close(struct reflection_files *files);

/* The file of this name; NULL when there is none. */
const struct reflection_file *daybook__reflection_files_find_name(const struct reflection_files *files,
                                                                  upb_StringView name);

/* The file that declares "package.Message", ".field", ".Nested", "package.Service.Method", "package.Enum", an enum's value
 * (which is a sibling of its enum) or an extension; NULL when there is none. */
const struct reflection_file *daybook__reflection_files_find_symbol(const struct reflection_files *files,
                                                                    upb_StringView symbol);

/* The file that declares the extension of a message by its number; NULL when there is none. */
const struct reflection_file *daybook__reflection_files_find_extension(const struct reflection_files *files,
                                                                       upb_StringView extendee, int32_t number);

/* Runs `found` with the number of each extension of a message. */
void daybook__reflection_files_each_extension(const struct reflection_files *files, upb_StringView extendee,
                                              void (*found)(void *context, int32_t number), void *context);

/* Runs `found` with the file and everything that it imports, each once. False without memory. */
DAYBOOK_MUST_USE bool daybook__reflection_files_each_import(const struct reflection_files *files,
                                                            const struct reflection_file *file,
                                                            void (*found)(void *context, const daybook_file *file),
                                                            void *context);

#endif
