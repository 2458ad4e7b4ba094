/* tls.c: see tls.h. */
#include "sdk/runtime/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define DASH  "-----"

/* One PEM text of the options: what it is called, where it comes from, and what it must hold. */
struct source {
    const char *text_name;
    const char *text;
    const char *file_name;
    const char *file;
    const char *label; /* the last words of the blocks it is about */
};

/* --- The form of PEM (RFC 7468) ----------------------------------------------------------------------------------- */

struct block {
    const char *label;
    size_t label_size;
    const char *body;
    size_t body_size;
};

static bool ends_with(const char *text, size_t text_size, const char *end) {
    const size_t end_size = strlen(end);
    return text_size >= end_size && memcmp(text + text_size - end_size, end, end_size) == 0;
}

/* The first block that begins at or after `text`; returns where it ends, NULL when there is none. `ret_block->body` is
 * NULL when it has no end. */
static const char *block_find(const char *text, struct block *ret_block) {
    const char *begin = strstr(text, BEGIN);
    if (begin == NULL) return NULL;
    struct block block = {.label = begin + strlen(BEGIN)};
    const char *dash = strstr(block.label, DASH);
    const char *end = dash == NULL ? NULL : strstr(dash + strlen(DASH), END);
    if (end != NULL) {
        block.label_size = (size_t)(dash - block.label);
        const char *end_label = end + strlen(END);
        if (strncmp(end_label, block.label, block.label_size) == 0 &&
            strncmp(end_label + block.label_size, DASH, strlen(DASH)) == 0) {
            block.body = dash + strlen(DASH);
            block.body_size = (size_t)(end - block.body);
        }
    }
    *ret_block = block;
    return block.body == NULL ? begin + strlen(BEGIN) : end + strlen(END);
}

/* In PKCS #8 the label says so, in the older forms a header before the base64. */
static bool is_encrypted(const struct block *block) {
    static const char label[] = "ENCRYPTED ";
    static const char header[] = ",ENCRYPTED";
    return memmem(block->label, block->label_size, label, sizeof label - 1) != NULL ||
           memmem(block->body, block->body_size, header, sizeof header - 1) != NULL;
}

static bool is_base64(const struct block *block) {
    size_t characters_count = 0;
    for (size_t i = 0; i < block->body_size; i++) {
        const char character = block->body[i];
        if (strchr(" \t\r\n", character) != NULL) continue;
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", character) == NULL)
            return false;
        characters_count++;
    }
    return characters_count > 0 && characters_count % 4 == 0;
}

/* What is wrong with a text that should hold blocks whose labels end so; NULL when nothing is. */
static const char *pem_problem(const char *text, const char *label) {
    if (text[0] == '\0') return "is empty";
    bool found = false;
    struct block block;
    for (const char *at = block_find(text, &block); at != NULL; at = block_find(at, &block)) {
        if (block.body == NULL) return "holds a PEM block without an end: it was cut";
        if (!ends_with(block.label, block.label_size, label)) continue;
        if (is_encrypted(&block)) return "is encrypted; nobody is asked for its passphrase";
        if (!is_base64(&block)) return "holds a PEM block that is no base64";
        found = true;
    }
    if (found) return NULL;
    return label[0] == 'C' ? "holds no certificate in PEM form" : "holds no private key in PEM form";
}

/* --- Texts and files ---------------------------------------------------------------------------------------------- */

/* Reads until the end or the buffer is full. False: errno says why. */
static bool read_all(int file, char *buffer, size_t buffer_size, size_t *ret_size) {
    size_t size = 0;
    while (size < buffer_size) {
        const ssize_t got = read(file, buffer + size, buffer_size - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (got == 0) break;
        size += (size_t)got;
    }
    *ret_size = size;
    return true;
}

/* Overwrites what is about to be freed, in a way that no compiler leaves out. */
static char *forget(char *text, size_t size) {
    if (text != NULL) explicit_bzero(text, size);
    free(text);
    return NULL;
}

/* A terminated copy of a file; NULL on failure. */
static char *file_read(const struct source *source, daybook_status *ret_status) {
    const int file = open(source->file, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option tls.%s: cannot open %s: %s", source->file_name,
                           source->file, strerror(errno));
        return NULL;
    }
    const size_t buffer_size = DAYBOOK__PEM_BYTES_MAX + 1;
    char *buffer = malloc(buffer_size);
    size_t size = 0;
    if (buffer == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for %s", source->file);
    } else if (!read_all(file, buffer, buffer_size, &size)) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option tls.%s: cannot read %s: %s", source->file_name,
                           source->file, strerror(errno));
        buffer = forget(buffer, buffer_size);
    } else if (size == buffer_size) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option tls.%s: %s has more than %u bytes",
                           source->file_name, source->file, DAYBOOK__PEM_BYTES_MAX);
        buffer = forget(buffer, buffer_size);
    } else if (memchr(buffer, '\0', size) != NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option tls.%s: %s is no text", source->file_name,
                           source->file);
        buffer = forget(buffer, buffer_size);
    } else {
        buffer[size] = '\0';
    }
    (void)close(file);
    return buffer;
}

/* A copy of exactly the size that unload will see with strlen. */
static char *text_copy(const char *text, daybook_status *ret_status) {
    char *copy = strdup(text);
    if (copy == NULL) daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "no memory for a certificate or key");
    return copy;
}

/* The text of one source, NULL when none was given. */
static bool source_load(const struct source *source, char **ret_text, daybook_status *ret_status) {
    if (source->text != NULL && source->file != NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "options tls.%s and tls.%s: only one may be given",
                           source->text_name, source->file_name);
        return false;
    }
    if (source->text == NULL && source->file == NULL) return true;
    char *read = NULL;
    if (source->file != NULL) {
        read = file_read(source, ret_status);
        if (read == NULL) return false;
    }
    const char *text = source->file == NULL ? source->text : read;
    const char *problem = strnlen(text, DAYBOOK__PEM_BYTES_MAX + 1) > DAYBOOK__PEM_BYTES_MAX
                              ? "has more than 1 MiB"
                              : pem_problem(text, source->label);
    char *copy = NULL;
    if (problem != NULL) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "option tls.%s: %s %s",
                           source->file == NULL ? source->text_name : source->file_name,
                           source->file == NULL ? "the text" : source->file, problem);
    } else {
        copy = text_copy(text, ret_status);
    }
    forget(read, read == NULL ? 0 : strlen(read));
    if (copy == NULL) return false;
    *ret_text = copy;
    return true;
}

bool daybook__tls_load(const daybook_tls_options *options, struct tls_material *ret_material,
                       daybook_status *ret_status) {
    struct tls_material material = {0};
    const struct source authorities = {"authorities_pem", options->authorities_pem, "authorities_file",
                                       options->authorities_file, "CERTIFICATE"};
    const struct source certificate = {"certificate_pem", options->certificate_pem, "certificate_file",
                                       options->certificate_file, "CERTIFICATE"};
    const struct source key = {"key_pem", options->key_pem, "key_file", options->key_file, "PRIVATE KEY"};
    bool ok = source_load(&authorities, &material.authorities, ret_status) &&
              source_load(&certificate, &material.certificate, ret_status) &&
              source_load(&key, &material.key, ret_status);
    if (ok && (material.certificate == NULL) != (material.key == NULL)) {
        daybook_status_set(ret_status, DAYBOOK_INVALID_ARGUMENT, "options tls: a %s was given without its %s",
                           material.key == NULL ? "certificate" : "key", material.key == NULL ? "key" : "certificate");
        ok = false;
    }
    if (!ok) {
        daybook__tls_unload(&material);
        return false;
    }
    *ret_material = material;
    return true;
}

void daybook__tls_unload(struct tls_material *material) {
    if (material == NULL) return;
    free(material->authorities);
    free(material->certificate);
    forget(material->key, material->key == NULL ? 0 : strlen(material->key));
    *material = (struct tls_material){0};
}
