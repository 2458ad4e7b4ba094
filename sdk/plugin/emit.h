/* emit.h: the two files that are generated for each proto.
 *
 * Generated code is constant tables and typed inline wrappers; all logic is in the runtime.
 * Ownership: text goes to the writer. Threads: one. */
#ifndef SDK_PLUGIN_EMIT_H
#define SDK_PLUGIN_EMIT_H

#include "sdk/plugin/model.h"
#include "sdk/plugin/options.h"
#include "sdk/plugin/writer.h"

/* The generator's version, which is that of everything released with it (sdk/version.bzl). */
extern const char plugin_version[];

void emit_header(struct writer *writer, const struct model *model, const struct file *file,
                 const struct options *options);
void emit_source(struct writer *writer, const struct model *model, const struct file *file,
                 const struct options *options);

/* --- Parts of them ------------------------------------------------------------------------------------------------ */

/* The banner that opens both files. */
void emit_banner(struct writer *writer, const struct file *file);

/* The #include of a generated header: `kind` is "upb" or "grpc". */
void emit_include(struct writer *writer, const struct model *model, const struct options *options, const char *proto,
                  const char *kind);

/* What a caller of the service needs. */
void emit_client(struct writer *writer, const struct model *model, const struct service *service);

/* What the one who serves it needs. */
void emit_server(struct writer *writer, const struct model *model, const struct service *service);

#endif
