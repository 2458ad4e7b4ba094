/* The server half of a service: the handlers' struct, how it is served, and how each kind of method is answered. */
#include "sdk/plugin/comment.h"
#include "sdk/plugin/emit.h"

static bool is_stream(const struct method *method) {
    return method->client_streams || method->server_streams;
}

static void emit_slot(struct writer *writer, const struct model *model, const struct service *service,
                      const struct method *method) {
    const struct comment comment = {.text = method->comment,
                                    .fallback =
                                        arena_format(model->arena, "Answers %s.%s.", service->full_name, method->name),
                                    .deprecated = method->deprecated};
    write_comment(writer, &comment, "  ");
    write_format(writer, "  void (*%s)(void *context, %s", method->slot,
                 is_stream(method) ? "daybook_server_stream *stream" : "daybook_server_call *call");
    if (!method->client_streams) write_format(writer, ", const %s *request", method->request);
    write_format(writer, ");\n");
}

static void emit_handlers(struct writer *writer, const struct model *model, const struct service *service) {
    write_format(writer,
                 "/** Handlers of %s; see daybook/server.h. A NULL handler answers UNIMPLEMENTED. */\n"
                 "typedef struct %s_handlers {\n",
                 service->full_name, service->symbol);
    for (size_t index = 0; index < service->methods_count; index++) {
        emit_slot(writer, model, service, &service->methods[index]);
    }
    if (service->methods_count == 0) write_format(writer, "  char no_methods; /**< C has no empty structs. */\n");
    write_format(
        writer,
        "} %s_handlers;\n\n"
        "/** Adds the service to a server that has not started. Handlers and context outlive the server. */\n"
        "DAYBOOK_MUST_USE static inline bool %s_serve(\n"
        "    daybook_server *server, const %s_handlers *handlers, void *context, daybook_status *ret_status) {\n"
        "  return daybook_server_add_service(server, &%s_service, handlers, context, ret_status);\n"
        "}\n",
        service->symbol, service->symbol, service->symbol, service->symbol);
}

static void emit_call_answer(struct writer *writer, const struct method *method) {
    write_format(writer,
                 "/** Ends the call with its response; see daybook_server_call_reply. */\n"
                 "static inline void %s_reply(daybook_server_call *call, const %s *response) {\n"
                 "  daybook_server_call_reply(call, response);\n"
                 "}\n",
                 method->symbol, method->response);
}

/* `send`, and `send_more`, which differs in names alone. */
static void emit_send(struct writer *writer, const struct method *method, const char *verb, const char *what) {
    write_format(writer,
                 "/** Sends a response%s; see daybook_server_stream_%s. */\n"
                 "static inline void %s_%s(daybook_server_stream *stream, const %s *response,\n"
                 "    daybook_server_stream_sent *sent, void *context) {\n"
                 "  daybook_server_stream_%s(stream, response, sent, context);\n"
                 "}\n",
                 what, verb, method->symbol, verb, method->response, verb);
}

static void emit_stream_answers(struct writer *writer, const struct method *method) {
    write_format(writer,
                 "/** Ends the stream with its last response; see daybook_server_stream_reply. */\n"
                 "static inline void %s_reply(daybook_server_stream *stream, const %s *response) {\n"
                 "  daybook_server_stream_reply(stream, response);\n"
                 "}\n",
                 method->symbol, method->response);
    emit_send(writer, method, "send", "");
    emit_send(writer, method, "send_more", " that another follows at once");
    if (!method->client_streams) return;
    write_format(writer,
                 "/** The typed form of what daybook_server_stream_receive brings. */\n"
                 "static inline const %s *%s_request(const void *request) {\n"
                 "  return DAYBOOK__CAST(const %s *, request);\n"
                 "}\n",
                 method->request, method->symbol, method->request);
}

void emit_server(struct writer *writer, const struct model *model, const struct service *service) {
    emit_handlers(writer, model, service);
    for (size_t index = 0; index < service->methods_count; index++) {
        const struct method *method = &service->methods[index];
        if (is_stream(method))
            emit_stream_answers(writer, method);
        else
            emit_call_answer(writer, method);
    }
}
