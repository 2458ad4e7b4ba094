#include "sdk/cli/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/cli/print.h"

json_t *json_text(upb_StringView text) {
    return json_stringn(text.data == NULL ? "" : text.data, text.size);
}

json_t *json_number(uint64_t number) {
    if (number <= INT64_MAX) return json_integer((json_int_t)number);
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, number);
    return json_string(digits);
}

void json_add(json_t *object, const char *name, json_t *value) {
    (void)json_object_set_new(object, name, value);
}

void json_add_time(json_t *object, const char *name, const google_protobuf_Timestamp *time) {
    char text[PRINT_TIME_BYTES];
    if (time == NULL) return;
    print_time(time, PRINT_TIME_DIGITS_ALL, text);
    json_add(object, name, json_string(text));
}

void json_add_key(json_t *object, upb_StringView key, json_t *value) {
    char name[256];
    (void)snprintf(name, sizeof name, "%.*s", (int)key.size, key.data);
    json_add(object, name, value);
}

json_t *json_base64(upb_StringView bytes) {
    char *text = malloc(PRINT_BASE64_BYTES(bytes.size));
    if (text == NULL) return NULL;
    print_base64(bytes.data, bytes.size, text);
    json_t *value = json_string(text);
    free(text);
    return value;
}

/* JSON allows DEL and U+0080 to U+009F as they are, but a terminal may obey them. They stand in strings only. */
static void put_escaped(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == 0x7f) {
            (void)fputs("\\u007f", stdout);
        } else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
            (void)printf("\\u%04x", (unsigned)at[1]);
            at++;
        } else {
            (void)putchar(*at);
        }
    }
    (void)putchar('\n');
}

bool json_line(json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT);
    if (text != NULL) put_escaped(text);
    free(text);
    json_decref(object);
    return text != NULL;
}
