#include "sdk/plugin/options.h"

#include <string.h>

#include "sdk/plugin/writer.h"

const struct options options_default = {.client = true, .server = true, .descriptors = true, .include_prefix = ""};

const char options_help[] =
    "  client=false          without the half that calls\n"
    "  server=false          without the half that answers, and the tables that it needs\n"
    "  descriptors=false     without the embedded descriptors: reflection then lists the services, but cannot describe them\n"
    "  include_prefix=PATH/  generated headers are included as PATH/NAME; those of google/protobuf/ as they are\n";

static bool is_text(upb_StringView view, const char *text) {
    return view.size == strlen(text) && memcmp(view.data, text, view.size) == 0;
}

static const char *refuse(upb_Arena *arena, upb_StringView option, const char *why) {
    return arena_format(arena, "--grpc-c_opt=%.*s: %s; the options are\n%s", (int)option.size, option.data, why,
                        options_help);
}

static bool switch_parse(upb_StringView value, bool *ret_value) {
    if (!is_text(value, "true") && !is_text(value, "false")) return false;
    *ret_value = value.data[0] == 't';
    return true;
}

/* What stands between the quotes of an #include and names a folder. */
static bool prefix_parse(upb_StringView value, upb_Arena *arena, const char **ret_prefix) {
    if (value.size > 0 && value.data[value.size - 1] != '/') return false;
    for (size_t index = 0; index < value.size; index++) {
        const unsigned char character = (unsigned char)value.data[index];
        if (character < ' ' || character == '"' || character == '\\' || character == 0x7f) return false;
    }
    *ret_prefix = arena_format(arena, "%.*s", (int)value.size, value.data);
    return true;
}

static const char *option_parse(upb_StringView option, upb_Arena *arena, struct options *options) {
    const char *equals = memchr(option.data, '=', option.size);
    if (equals == NULL) return refuse(arena, option, "an option is NAME=VALUE");
    const upb_StringView name = upb_StringView_FromDataAndSize(option.data, (size_t)(equals - option.data));
    const upb_StringView value = upb_StringView_FromDataAndSize(equals + 1, option.size - name.size - 1);
    if (is_text(name, "include_prefix")) {
        if (prefix_parse(value, arena, &options->include_prefix)) return NULL;
        return refuse(arena, option, "the prefix is a folder and ends with '/'");
    }
    bool *chosen = is_text(name, "client")        ? &options->client
                   : is_text(name, "server")      ? &options->server
                   : is_text(name, "descriptors") ? &options->descriptors
                                                  : NULL;
    if (chosen == NULL) return refuse(arena, option, "there is no such option");
    if (!switch_parse(value, chosen)) return refuse(arena, option, "its values are true and false");
    return NULL;
}

const char *options_parse(upb_StringView parameter, upb_Arena *arena, struct options *ret_options) {
    struct options options = options_default;
    while (parameter.size > 0) {
        const char *comma = memchr(parameter.data, ',', parameter.size);
        const size_t size = comma == NULL ? parameter.size : (size_t)(comma - parameter.data);
        const char *error = option_parse(upb_StringView_FromDataAndSize(parameter.data, size), arena, &options);
        if (error != NULL) return error;
        const size_t taken = comma == NULL ? size : size + 1;
        parameter = upb_StringView_FromDataAndSize(parameter.data + taken, parameter.size - taken);
    }
    if (!options.client && !options.server) {
        return refuse(arena, upb_StringView_FromString("client=false,server=false"), "nothing would be left");
    }
    *ret_options = options;
    return NULL;
}
