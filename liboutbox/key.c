/* key.c — the primary key and its text form; see key.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "json_scan.h"
#include "key.h"
#include "utf8.h"
#include "value.h"

static const struct column *key_column(const struct table *t, int k)
{
    return &t->columns[t->keys[k]];
}

/* Decimal, as it is printed: no sign but -, no leading zero, no space, within int64. */
static bool canonical_integer(const char *text, int64_t size, int64_t *value)
{
    char digits[KEY_DIGITS_SIZE];
    if (size < 1 || size >= (int64_t)sizeof digits)
        return false;
    struct json_value v = {JSON_INTEGER, text, (size_t)size, false};
    size_t i = text[0] == '-';
    if (i == (size_t)size)
        return false;
    for (; i < (size_t)size; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    if (!json_int64(&v, value))
        return false;
    /* The same number in another length has zeros in front, or is -0. */
    return snprintf(digits, sizeof digits, "%lld", (long long)*value) == size;
}

/* Would a column of numeric affinity turn this text into a number? Errs on the side of yes. */
static bool looks_numeric(const char *text, int64_t size)
{
    bool digit = false;
    for (int64_t i = 0; i < size; i++) {
        if (!strchr("0123456789+-.eE \t\n\v\f\r", text[i]))
            return false;
        digit = digit || (text[i] >= '0' && text[i] <= '9');
    }
    return digit;
}

static int refuse(outbox *ob, const struct table *t, const struct column *c, const char *why)
{
    return fail(ob, OUTBOX_INVALID, "table %s: key column %s: %s", t->name, c->name, why);
}

static int canonical_text(outbox *ob, const struct table *t, const struct column *c, outbox_value *v)
{
    int64_t integer;
    if (memchr(v->as.data, '\0', (size_t)v->size))
        return refuse(ob, t, c, "a key cannot hold a NUL");
    if (c->affinity == AFFINITY_TEXT || c->affinity == AFFINITY_BLOB)
        return OUTBOX_OK;
    if (c->affinity == AFFINITY_REAL)
        return refuse(ob, t, c, "text given where numbers are kept");
    if (canonical_integer(v->as.data, v->size, &integer)) {
        *v = outbox_int(v->column, integer);
        return OUTBOX_OK;
    }
    if (c->affinity == AFFINITY_INTEGER)
        return refuse(ob, t, c, "text given where integers are kept");
    return looks_numeric(v->as.data, v->size) ? refuse(ob, t, c, "text that SQLite would store as a number")
                                              : OUTBOX_OK;
}

static int canonical_real(outbox *ob, const struct table *t, const struct column *c, outbox_value *v)
{
    double real = v->as.real;
    if (real != real)
        return refuse(ob, t, c, "not a number");
    if (c->affinity == AFFINITY_TEXT)
        return refuse(ob, t, c, "a fraction given where text is kept");
    bool whole = real >= -9223372036854775808.0 && real < 9223372036854775808.0 && (double)(int64_t)real == real;
    if (c->affinity == AFFINITY_REAL && real == 0)
        *v = outbox_real(v->column, 0.0); /* which has no -0.0: whole numbers are stored as integers there */
    else if ((c->affinity == AFFINITY_INTEGER || c->affinity == AFFINITY_NUMERIC) && whole)
        *v = outbox_int(v->column, (int64_t)real);
    else if (c->affinity == AFFINITY_INTEGER)
        return refuse(ob, t, c, "a fraction given where integers are kept");
    return OUTBOX_OK;
}

/* Brings key value k to what SQLite would store. Its text is known to be UTF-8. */
static int canonical(outbox *ob, struct table *t, int k)
{
    outbox_value *v = &t->key_values[k];
    const struct column *c = key_column(t, k);
    switch (v->type) {
    case OUTBOX_TYPE_TEXT: return canonical_text(ob, t, c, v);
    case OUTBOX_TYPE_REAL: return canonical_real(ob, t, c, v);
    case OUTBOX_TYPE_BLOB: return OUTBOX_OK;
    case OUTBOX_TYPE_INTEGER:
        if (c->affinity == AFFINITY_TEXT) {
            snprintf(t->key_digits[k], sizeof t->key_digits[k], "%lld", (long long)v->as.integer);
            *v = outbox_text(v->column, t->key_digits[k]);
        } else if (c->affinity == AFFINITY_REAL) {
            *v = outbox_real(v->column, (double)v->as.integer);
        }
        return OUTBOX_OK;
    default: return refuse(ob, t, c, "missing; every column of the primary key is needed");
    }
}

int key_from_row(outbox *ob, struct table *t, const struct plan *plan, const outbox_value *row, bool *assigned)
{
    *assigned = false;
    for (int k = 0; k < t->key_count; k++) {
        int i = plan->keys[k];
        t->key_values[k] = i < 0 ? outbox_null(key_column(t, k)->name) : row[i];
        if (t->rowid_alias && t->key_values[k].type == OUTBOX_TYPE_NULL) {
            *assigned = true;
            return OUTBOX_OK;
        }
        int code = canonical(ob, t, k);
        if (code != OUTBOX_OK)
            return code;
    }
    return OUTBOX_OK;
}

/* ---- From text ---- */

static int read_part(outbox *ob, struct table *t, int k, const struct json_value *json, struct buffer *scratch)
{
    outbox_value *v = &t->key_values[k];
    const char *name = key_column(t, k)->name;
    size_t from = scratch->size;
    double real;
    int64_t integer;
    switch (json->type) {
    case JSON_INTEGER:
        if (!json_int64(json, &integer))
            return refuse(ob, t, key_column(t, k), "integer out of range");
        *v = outbox_int(name, integer);
        break;
    case JSON_REAL:
        if (!json_double(json, &real))
            return refuse(ob, t, key_column(t, k), "number out of range");
        *v = outbox_real(name, real);
        break;
    case JSON_STRING:
        json_unescape(scratch, json);
        *v = outbox_text_n(name, "", scratch->size - from);
        break;
    case JSON_OBJECT:
        if (json_blob_decode(json, scratch) != JSON_BLOB_OK)
            return refuse(ob, t, key_column(t, k), "neither a number, a string nor {\"$base64\":\"…\"}");
        *v = outbox_blob(name, NULL, scratch->size - from);
        break;
    default: return refuse(ob, t, key_column(t, k), "neither a number, a string nor {\"$base64\":\"…\"}");
    }
    return OUTBOX_OK;
}

/* The bytes of text and BLOB parts stand in scratch one after the other; it has stopped moving now. */
static int settle_parts(outbox *ob, struct table *t, const struct buffer *scratch)
{
    const char *at = scratch->data ? scratch->data : "";
    for (int k = 0; k < t->key_count; k++) {
        outbox_value *v = &t->key_values[k];
        if (v->type == OUTBOX_TYPE_TEXT || v->type == OUTBOX_TYPE_BLOB) {
            v->as.data = at;
            at += v->size;
        }
    }
    for (int k = 0; k < t->key_count; k++) {
        int code = canonical(ob, t, k);
        if (code != OUTBOX_OK)
            return code;
    }
    return OUTBOX_OK;
}

static int composite_from_text(outbox *ob, struct table *t, const char *text, struct buffer *scratch)
{
    struct json_walk walk;
    struct json_value whole, part;
    size_t size = strlen(text);
    if (!json_check(text, size, NULL) || !json_value_of(text, size, &whole) || whole.type != JSON_ARRAY ||
        !json_walk_begin(&walk, text, size))
        return fail(ob, OUTBOX_INVALID, "table %s has a primary key of %d columns: give them as a JSON array", t->name,
                    t->key_count);
    int k = 0;
    while (json_walk_element(&walk, &part)) {
        if (k == t->key_count)
            return fail(ob, OUTBOX_INVALID, "table %s has a primary key of %d columns; more were given", t->name,
                        t->key_count);
        int code = read_part(ob, t, k++, &part, scratch);
        if (code != OUTBOX_OK)
            return code;
    }
    if (k < t->key_count)
        return fail(ob, OUTBOX_INVALID, "table %s has a primary key of %d columns; %d were given", t->name,
                    t->key_count, k);
    return settle_parts(ob, t, scratch);
}

/* {"$base64":"…"} */
static bool blob_from_text(struct table *t, const char *text, struct buffer *scratch)
{
    struct json_value whole;
    size_t size = strlen(text);
    if (text[0] != '{' || !json_check(text, size, NULL) || !json_value_of(text, size, &whole) ||
        json_blob_decode(&whole, scratch) != JSON_BLOB_OK)
        return false;
    t->key_values[0] = outbox_blob(key_column(t, 0)->name, scratch->data, scratch->size);
    return true;
}

static bool real_from_text(struct table *t, const char *text)
{
    struct json_value whole;
    double real;
    size_t size = strlen(text);
    if (!json_check(text, size, NULL) || !json_value_of(text, size, &whole) ||
        (whole.type != JSON_REAL && whole.type != JSON_INTEGER) || !json_double(&whole, &real))
        return false;
    t->key_values[0] = outbox_real(key_column(t, 0)->name, real);
    return true;
}

/* One column: as it stands, then as bytes, then as a number, where the column could hold each. */
static int single_from_text(outbox *ob, struct table *t, const char *text, int reading, struct buffer *scratch)
{
    const struct column *c = key_column(t, 0);
    int64_t integer;
    bool numbers = c->affinity != AFFINITY_TEXT, any = c->affinity == AFFINITY_BLOB;
    switch (reading) {
    case 0:
        if (c->affinity == AFFINITY_REAL && real_from_text(t, text))
            return OUTBOX_OK;
        t->key_values[0] = outbox_text(c->name, text);
        if (c->affinity != AFFINITY_REAL && (any || c->affinity == AFFINITY_TEXT || canonical(ob, t, 0) == OUTBOX_OK))
            return canonical(ob, t, 0);
        break;
    case 1:
        if (blob_from_text(t, text, scratch))
            return OUTBOX_OK;
        break;
    case 2:
        if (any && canonical_integer(text, (int64_t)strlen(text), &integer)) {
            t->key_values[0] = outbox_int(c->name, integer);
            return OUTBOX_OK;
        }
        break;
    case 3:
        if (numbers && c->affinity != AFFINITY_REAL && c->affinity != AFFINITY_INTEGER && real_from_text(t, text))
            return OUTBOX_OK;
        break;
    default: return OUTBOX_NOT_FOUND;
    }
    return single_from_text(ob, t, text, reading + 1, scratch);
}

int key_from_text(outbox *ob, struct table *t, const char *text, int reading, struct buffer *scratch)
{
    size_t offset;
    buffer_clear(scratch);
    if (!utf8_valid(text, strlen(text), &offset))
        return fail(ob, OUTBOX_INVALID, "table %s: key: malformed UTF-8 at byte %zu", t->name, offset);
    int code;
    if (t->key_count > 1)
        code = reading == 0 ? composite_from_text(ob, t, text, scratch) : OUTBOX_NOT_FOUND;
    else
        code = single_from_text(ob, t, text, reading, scratch);
    return buffer_ok(scratch) ? code : fail(ob, OUTBOX_NOMEM, "out of memory");
}

/* ---- To SQLite and to text ---- */

int key_bind(sqlite3_stmt *st, const struct table *t)
{
    int rc = SQLITE_OK;
    for (int k = 0; k < t->key_count && rc == SQLITE_OK; k++)
        rc = value_bind(st, k + 1, &t->key_values[k]);
    return rc;
}

/* Alone, text is its own form; inside an array it is a JSON string. */
static void write_part(struct buffer *b, const outbox_value *v, bool alone)
{
    if (alone && v->type == OUTBOX_TYPE_TEXT)
        buffer_append(b, v->as.data, (size_t)v->size);
    else
        value_write(b, v);
}

void key_write(struct buffer *b, const struct table *t)
{
    if (t->key_count == 1) {
        write_part(b, &t->key_values[0], true);
        return;
    }
    for (int k = 0; k < t->key_count; k++) {
        buffer_append_byte(b, k ? ',' : '[');
        write_part(b, &t->key_values[k], false);
    }
    buffer_append_byte(b, ']');
}

void key_write_stored(struct buffer *b, const struct table *t)
{
    for (int k = 0; k < t->key_count; k++) {
        outbox_value v = value_stored(t->select, SELECT_IMAGE + t->keys[k]);
        if (t->key_count > 1)
            buffer_append_byte(b, k ? ',' : '[');
        write_part(b, &v, t->key_count == 1);
    }
    if (t->key_count > 1)
        buffer_append_byte(b, ']');
}
