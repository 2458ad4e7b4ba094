/* generator.h: protoc's question and the answer to it.
 *
 * Protocol: google/protobuf/compiler/plugin.proto. An error in the protos or the options is an answer with its `error` set,
 * which protoc prints.
 * Ownership: all of it lives in the arena. Threads: one. Errors: in the answer; without memory the program ends. */
#ifndef SDK_PLUGIN_GENERATOR_H
#define SDK_PLUGIN_GENERATOR_H

#include "google/protobuf/compiler/plugin.upb.h"

google_protobuf_compiler_CodeGeneratorResponse *
generator_run(const google_protobuf_compiler_CodeGeneratorRequest *request, upb_Arena *arena);

#endif
