#include "service/api/append_outcome.h"

#include <assert.h>

#include "service/base/varint.h"

/* What was committed is written by hand, as the feed writes its messages: it is the answer to every message of the fast lane,
 * four small messages inside of each other. Field number << 3 | wire type (0 varint, 2 length-delimited). */
#define TAG_FIRST_REVISION 0x08 /* WriteResult: 1 */
#define TAG_LAST_REVISION  0x10 /* 2 */
#define TAG_FIRST_POSITION 0x18 /* 3 */
#define TAG_LAST_POSITION  0x20 /* 4 */
#define TAG_RESULTS        0x0a /* AppendResponse: 1 */
#define TAG_REPLAYED       0x10 /* 2 */
#define TAG_APPENDED       0x0a /* AppendOutcome: 1 */
#define TAG_ERROR          0x12 /* 2 */

static uint8_t *bytes_begin(uint8_t *at, uint8_t tag, size_t size) {
    *at++ = tag;
    return varint_write(at, size);
}

static size_t framed_size(size_t size) {
    return 1 + varint_size(size) + size;
}

static size_t number_size(uint64_t number) {
    return number == 0 ? 0 : 1 + varint_size(number);
}

static uint8_t *number_write(uint8_t *at, uint8_t tag, uint64_t number) {
    if (number == 0) return at;
    *at++ = tag;
    return varint_write(at, number);
}

static size_t result_size(const struct append_result *written) {
    return number_size(written->first_revision) + number_size(written->last_revision) +
           number_size(written->first_position) + number_size(written->last_position);
}

static uint8_t *result_write(uint8_t *at, const struct append_result *written) {
    at = bytes_begin(at, TAG_RESULTS, result_size(written));
    at = number_write(at, TAG_FIRST_REVISION, written->first_revision);
    at = number_write(at, TAG_LAST_REVISION, written->last_revision);
    at = number_write(at, TAG_FIRST_POSITION, written->first_position);
    return number_write(at, TAG_LAST_POSITION, written->last_position);
}

static struct bytes committed(const struct append_request *request, upb_Arena *arena) {
    size_t response_size = number_size(request->replayed);
    for (uint32_t index = 0; index < request->writes_count; index++) {
        response_size += framed_size(result_size(&request->results[index]));
    }
    const size_t size = framed_size(response_size);
    uint8_t *data = upb_Arena_Malloc(arena, size);
    if (data == NULL) return bytes_of(NULL, 0);
    uint8_t *at = bytes_begin(data, TAG_APPENDED, response_size);
    for (uint32_t index = 0; index < request->writes_count; index++) at = result_write(at, &request->results[index]);
    at = number_write(at, TAG_REPLAYED, request->replayed);
    assert(at == data + size);
    return bytes_of(data, size);
}

struct bytes append_outcome_of_error(const struct error *error, upb_Arena *arena) {
    const struct bytes encoded = error_encode(error, arena);
    if (encoded.size == 0) return encoded;
    const size_t size = framed_size(encoded.size);
    uint8_t *data = upb_Arena_Malloc(arena, size);
    if (data == NULL) return bytes_of(NULL, 0);
    memcpy(bytes_begin(data, TAG_ERROR, encoded.size), encoded.data, encoded.size);
    return bytes_of(data, size);
}

struct bytes append_outcome(const struct append_request *request, upb_Arena *arena) {
    if (request->outcome == APPEND_COMMITTED) return committed(request, arena);
    struct error error;
    append_explain(request, arena, &error);
    return append_outcome_of_error(&error, arena);
}
