/* identifiers.h: every name that the generated code takes in C, and the check that each is taken once.
 *
 * The names are those of upb's messages and enums with their functions (docs of protoc-gen-upb) and those of the services
 * (emit.h). Names of one kind cannot clash among themselves where protoc sees to it; everything else can: a message
 * Shop_handlers beside a service Shop, a method B_C of A beside a method C of A_B.
 * Ownership: the model's arena. Threads: one. */
#ifndef SDK_PLUGIN_IDENTIFIERS_H
#define SDK_PLUGIN_IDENTIFIERS_H

#include "sdk/plugin/model.h"

/* NULL, or "file:line:column: what clashes with what" for the first clash in a file that is to be generated. */
const char *identifiers_check(const struct model *model);

#endif
