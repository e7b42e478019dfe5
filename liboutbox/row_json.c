/* row_json.c — see row_json.h.
 *
 * Strings without an escape, and objects and arrays stored as their text, are used where they stand. The rest is decoded
 * into ob->row_text, which never grows beyond the input and is given that room first, so that it does not move.
 */
#include <stdlib.h>

#include "handle.h"
#include "json_scan.h"
#include "row_json.h"

static int refuse(outbox *ob, const char *table, const char *column, const char *why)
{
    return fail(ob, OUTBOX_INVALID, "table %s: row: %s: %s", table, column, why);
}

static int decode_object(outbox *ob, const char *table, const struct json_value *json, outbox_value *v)
{
    size_t from = ob->row_text.size;
    switch (json_blob_decode(json, &ob->row_text)) {
    case JSON_BLOB_OK:
        *v = outbox_blob(v->column, ob->row_text.data + from, ob->row_text.size - from);
        return OUTBOX_OK;
    case JSON_BLOB_BAD: return refuse(ob, table, v->column, "$base64 is not base64 (RFC 4648, padded)");
    case JSON_BLOB_NOT: *v = outbox_text_n(v->column, json->text, json->size); return OUTBOX_OK;
    }
    return OUTBOX_OK;
}

static void decode_string(outbox *ob, const struct json_value *json, outbox_value *v)
{
    size_t from = ob->row_text.size;
    if (!json->escaped) {
        *v = outbox_text_n(v->column, json->text, json->size);
        return;
    }
    json_unescape(&ob->row_text, json);
    *v = outbox_text_n(v->column, ob->row_text.data + from, ob->row_text.size - from);
}

static int decode(outbox *ob, const char *table, const struct json_value *json, outbox_value *v)
{
    int64_t integer;
    double real;
    switch (json->type) {
    case JSON_NULL: *v = outbox_null(v->column); return OUTBOX_OK;
    case JSON_FALSE:
    case JSON_TRUE: *v = outbox_int(v->column, json->type == JSON_TRUE); return OUTBOX_OK;
    case JSON_INTEGER:
        if (!json_int64(json, &integer))
            return refuse(ob, table, v->column, "the integer is outside 64 bits");
        *v = outbox_int(v->column, integer);
        return OUTBOX_OK;
    case JSON_REAL:
        if (!json_double(json, &real))
            return refuse(ob, table, v->column, "the number overflows");
        *v = outbox_real(v->column, real);
        return OUTBOX_OK;
    case JSON_STRING: decode_string(ob, json, v); return OUTBOX_OK;
    case JSON_OBJECT: return decode_object(ob, table, json, v);
    case JSON_ARRAY: *v = outbox_text_n(v->column, json->text, json->size); return OUTBOX_OK;
    }
    return OUTBOX_OK;
}

/* The member's name, NUL-terminated, in ob->row_text. NULL: it holds a NUL itself. */
static const char *decode_name(outbox *ob, const struct json_value *name)
{
    size_t from = ob->row_text.size;
    json_unescape(&ob->row_text, name);
    size_t size = ob->row_text.size - from;
    buffer_append_byte(&ob->row_text, '\0');
    const char *text = ob->row_text.data + from;
    return memchr(text, '\0', size) ? NULL : text;
}

static int make_room(outbox *ob, int n)
{
    if (n < ob->row_capacity)
        return OUTBOX_OK;
    int capacity = ob->row_capacity ? ob->row_capacity * 2 : 16;
    outbox_value *more = realloc(ob->row_values, sizeof *more * (size_t)capacity);
    if (!more)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    ob->row_values = more;
    ob->row_capacity = capacity;
    return OUTBOX_OK;
}

int row_from_json(outbox *ob, const char *table, const char *json, size_t size, int *n)
{
    struct json_error error;
    struct json_walk walk;
    struct json_value whole, name, value;
    if (!json_check(json, size, &error))
        return fail(ob, OUTBOX_INVALID, "table %s: row is not JSON: %s at byte %zu", table, error.reason, error.offset);
    if (!json_value_of(json, size, &whole) || whole.type != JSON_OBJECT || !json_walk_begin(&walk, json, size))
        return fail(ob, OUTBOX_INVALID, "table %s: row is JSON, but not an object", table);
    buffer_clear(&ob->row_text);
    if (!buffer_reserve(&ob->row_text, size + 1))
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    int count = 0;
    for (; json_walk_member(&walk, &name, &value); count++) {
        int code = make_room(ob, count);
        if (code != OUTBOX_OK)
            return code;
        outbox_value *v = &ob->row_values[count];
        v->column = decode_name(ob, &name);
        if (!v->column)
            return fail(ob, OUTBOX_INVALID, "table %s: row: a name holds a NUL", table);
        code = decode(ob, table, &value, v);
        if (code != OUTBOX_OK)
            return code;
    }
    if (!count)
        return fail(ob, OUTBOX_INVALID, "table %s: row is an empty object", table);
    *n = count;
    return OUTBOX_OK;
}
