/* The client half of a service: what a caller needs of each kind of method. */
#include "sdk/plugin/comment.h"
#include "sdk/plugin/emit.h"

static const char *deprecation(const struct method *method) {
    return method->deprecated ? "DAYBOOK_DEPRECATED " : "";
}

static void emit_comment(struct writer *writer, const struct model *model, const struct service *service,
                         const struct method *method) {
    const struct comment comment = {.text = method->comment,
                                    .fallback =
                                        arena_format(model->arena, "Calls %s.%s.", service->full_name, method->name),
                                    .deprecated = method->deprecated};
    write_comment(writer, &comment, "");
}

static void emit_unary(struct writer *writer, const struct service *service, const struct method *method,
                       size_t index) {
    write_format(
        writer,
        "%sDAYBOOK_MUST_USE static inline bool %s(\n"
        "    daybook_client *client, const %s *request, const daybook_call_options *options,\n"
        "    upb_Arena *arena, const %s **ret_response, daybook_status *ret_status) {\n"
        "  const void *response;\n"
        "  if (!daybook_call_unary(client, &%s_methods[%zu], request, options, arena, &response, ret_status))\n"
        "    return false;\n"
        "  *ret_response = DAYBOOK__CAST(const %s *, response);\n"
        "  return true;\n"
        "}\n",
        deprecation(method), method->symbol, method->request, method->response, service->symbol, index,
        method->response);
    write_format(
        writer,
        "/** The same as a future; see daybook/call.h. NULL only without memory. */\n"
        "%sDAYBOOK_MUST_USE static inline daybook_call *%s_start(\n"
        "    daybook_client *client, const %s *request, const daybook_call_options *options) {\n"
        "  return daybook_call_start(client, &%s_methods[%zu], request, options);\n"
        "}\n"
        "/** The response of a call that has ended; NULL unless its status is OK. Lives as long as the call. */\n"
        "%sstatic inline const %s *%s_result(const daybook_call *call) {\n"
        "  return DAYBOOK__CAST(const %s *, daybook_call_result(call));\n"
        "}\n\n",
        deprecation(method), method->symbol, method->request, service->symbol, index, deprecation(method),
        method->response, method->symbol, method->response);
}

/* A client that streams has its requests still to write, and opens without one. */
static void emit_open(struct writer *writer, const struct model *model, const struct service *service,
                      const struct method *method, size_t index) {
    const char *symbol = method->symbol;
    write_format(writer, "/** A call of %s.%s; see daybook/stream.h. */\ntypedef struct %s_stream %s_stream;\n",
                 service->full_name, method->name, symbol, symbol);
    emit_comment(writer, model, service, method);
    write_format(writer,
                 "%sDAYBOOK_MUST_USE static inline %s_stream *%s_open(\n"
                 "    daybook_client *client, ",
                 deprecation(method), symbol, symbol);
    if (!method->client_streams) write_format(writer, "const %s *request, ", method->request);
    write_format(writer,
                 "const daybook_call_options *options,\n"
                 "    daybook_status *ret_status) {\n"
                 "  return DAYBOOK__CAST(%s_stream *,\n"
                 "      daybook_stream_open(client, &%s_methods[%zu], %s, options, ret_status));\n"
                 "}\n"
                 "/** For the functions of daybook/stream.h that need no type. */\n"
                 "static inline daybook_stream *%s_untyped(%s_stream *stream) {\n"
                 "  return DAYBOOK__CAST(daybook_stream *, stream);\n"
                 "}\n",
                 symbol, service->symbol, index, method->client_streams ? "NULL" : "request", symbol, symbol);
}

/* `write`, and `write_more`, which differs in names alone. */
static void emit_write(struct writer *writer, const struct method *method, const char *verb, const char *what) {
    write_format(writer,
                 "/** Writes a request%s; see daybook_stream_%s. */\n"
                 "DAYBOOK_MUST_USE static inline daybook_write %s_%s(\n"
                 "    %s_stream *stream, const %s *request, uint32_t wait_ms, daybook_status *ret_status) {\n"
                 "  return daybook_stream_%s(%s_untyped(stream), request, wait_ms, ret_status);\n"
                 "}\n",
                 what, verb, method->symbol, verb, method->symbol, method->request, verb, method->symbol);
}

static void emit_writes_done(struct writer *writer, const struct method *method) {
    write_format(writer,
                 "/** There is nothing more to write; see daybook_stream_writes_done. */\n"
                 "static inline void %s_writes_done(%s_stream *stream) {\n"
                 "  daybook_stream_writes_done(%s_untyped(stream));\n"
                 "}\n",
                 method->symbol, method->symbol, method->symbol);
}

/* `next` of a server that streams and `finish` of one that answers once differ in names alone. */
static void emit_read(struct writer *writer, const struct method *method) {
    const char *verb = method->server_streams ? "next" : "finish";
    const char *what = method->server_streams ? "message" : "response";
    write_format(writer,
                 "/** %s; see daybook_stream_%s. */\n"
                 "DAYBOOK_MUST_USE static inline daybook_next %s_%s(\n"
                 "    %s_stream *stream, uint32_t wait_ms, const %s **ret_%s,\n"
                 "    daybook_status *ret_status) {\n",
                 method->server_streams ? "Waits for the next response" : "Ends the writes and waits for the response",
                 verb, method->symbol, verb, method->symbol, method->response, what);
    write_format(writer,
                 "  const void *%s;\n"
                 "  const daybook_next next = daybook_stream_%s(%s_untyped(stream), wait_ms, &%s, ret_status);\n"
                 "  if (next == DAYBOOK_NEXT_MESSAGE) *ret_%s = DAYBOOK__CAST(const %s *, %s);\n"
                 "  return next;\n"
                 "}\n",
                 what, verb, method->symbol, what, what, method->response, what);
}

static void emit_end(struct writer *writer, const struct method *method) {
    const char *symbol = method->symbol;
    write_format(writer,
                 "/** Asks the stream to end, from any thread; see daybook_stream_cancel. */\n"
                 "static inline void %s_cancel(%s_stream *stream) {\n"
                 "  daybook_stream_cancel(%s_untyped(stream));\n"
                 "}\n"
                 "/** Frees the stream, and ends it first if it runs. Returns NULL; see daybook_stream_close. */\n"
                 "static inline %s_stream *%s_close(%s_stream *stream) {\n"
                 "  return DAYBOOK__CAST(%s_stream *, daybook_stream_close(%s_untyped(stream)));\n"
                 "}\n\n",
                 symbol, symbol, symbol, symbol, symbol, symbol, symbol, symbol);
}

void emit_client(struct writer *writer, const struct model *model, const struct service *service) {
    for (size_t index = 0; index < service->methods_count; index++) {
        const struct method *method = &service->methods[index];
        if (!method->client_streams && !method->server_streams) {
            emit_comment(writer, model, service, method);
            emit_unary(writer, service, method, index);
            continue;
        }
        emit_open(writer, model, service, method, index);
        if (method->client_streams) {
            emit_write(writer, method, "write", "");
            emit_write(writer, method, "write_more", " that another follows at once");
        }
        if (method->client_streams && method->server_streams) emit_writes_done(writer, method);
        emit_read(writer, method);
        emit_end(writer, method);
    }
}
