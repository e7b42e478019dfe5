/* json_scan_fuzz.c — what is JSON, by SQLite and the C library; the copy that fits on a line, by the simplest loop there
 * is; values, by their way back through the writer and by strtod and strtoll. */
#include <errno.h>
#include <math.h>

#include "fuzz.h"
#include "json_scan.h"
#include "json_write.h"

/* What json_splice promises, byte by byte. */
static void splice_simply(struct buffer *out, const char *text, size_t size)
{
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        bool breaks = !in_string && (text[i] == '\n' || text[i] == '\r');
        if (size - i >= 2 && !memcmp(text + i, "\xC2\x85", 2)) {
            buffer_append_text(out, "\\u0085");
            i += 1;
        } else if (size - i >= 3 && (!memcmp(text + i, "\xE2\x80\xA8", 3) || !memcmp(text + i, "\xE2\x80\xA9", 3))) {
            buffer_append_text(out, text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029");
            i += 2;
        } else if (in_string && text[i] == '\\') {
            buffer_append(out, text + i++, 2);
        } else {
            in_string ^= text[i] == '"';
            buffer_append_byte(out, breaks ? ' ' : text[i]);
        }
    }
}

static void check_splice(const char *text, size_t size, bool good)
{
    struct buffer spliced = {0}, simply = {0};
    buffer_append_text(&spliced, "before");
    CHECK(json_splice(&spliced, text, size, NULL) == good);
    CHECK(spliced.size >= 6 && !memcmp(spliced.data, "before", 6));
    if (good) {
        splice_simply(&simply, text, size);
        CHECK(spliced.size - 6 == simply.size && !memcmp(spliced.data + 6, simply.data, simply.size));
        CHECK(!memchr(simply.data, '\n', simply.size) && json_check(simply.data, simply.size, NULL));
    } else {
        CHECK(spliced.size == 6);
    }
    buffer_free(&spliced);
    buffer_free(&simply);
}

static void check_string(const struct json_value *v)
{
    struct buffer text = {0}, written = {0}, again = {0};
    struct json_value back;
    json_unescape(&text, v);
    CHECK(text.size <= v->size && fuzz_is_utf8(text.data, text.size));
    json_write_text(&written, text.size ? text.data : "", text.size);
    CHECK(json_check(written.data, written.size, NULL) && json_value_of(written.data, written.size, &back));
    json_unescape(&again, &back);
    CHECK(again.size == text.size && (!text.size || !memcmp(again.data, text.data, text.size)));
    buffer_free(&text);
    buffer_free(&written);
    buffer_free(&again);
}

static void check_number(const struct json_value *v)
{
    char *text = fuzz_text((const uint8_t *)v->text, v->size), *end;
    int64_t integer = 7;
    double real = 7, expected = strtod(text, &end);
    bool overflows = isinf(expected) && strcmp(text, "9e999") != 0 && strcmp(text, "-9e999") != 0;
    CHECK(*end == '\0' && json_double(v, &real) == !overflows);
    if (overflows)
        expected = 7;
    CHECK(memcmp(&real, &expected, sizeof real) == 0);
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    bool fits = v->type == JSON_INTEGER && errno == 0 && *end == '\0';
    CHECK(json_int64(v, &integer) == fits && integer == (fits ? whole : 7));
    free(text);
}

static void check_value(const struct json_value *v, const char *text, size_t size)
{
    CHECK(v->text >= text && v->size <= size && v->text + v->size <= text + size);
    switch (v->type) {
    case JSON_STRING: check_string(v); break;
    case JSON_INTEGER:
    case JSON_REAL: check_number(v); break;
    case JSON_NULL: CHECK(v->size == 4 && !memcmp(v->text, "null", 4)); break;
    case JSON_TRUE: CHECK(v->size == 4 && !memcmp(v->text, "true", 4)); break;
    case JSON_FALSE: CHECK(v->size == 5 && !memcmp(v->text, "false", 5)); break;
    case JSON_OBJECT:
    case JSON_ARRAY: CHECK(json_check(v->text, v->size, NULL)); break;
    }
}

/* SQLite's own count of the elements, and each of them. */
static void check_elements(const char *text, size_t size)
{
    static sqlite3_stmt *st;
    struct json_walk walk;
    struct json_value whole, name, value;
    int count = 0;

    CHECK(json_value_of(text, size, &whole));
    check_value(&whole, text, size);
    bool object = whole.type == JSON_OBJECT;
    CHECK(json_walk_begin(&walk, text, size) == (object || whole.type == JSON_ARRAY));
    if (!object && whole.type != JSON_ARRAY)
        return;
    while (object ? json_walk_member(&walk, &name, &value) : json_walk_element(&walk, &value)) {
        if (object)
            check_string(&name);
        check_value(&value, text, size);
        count++;
    }
    if (!st)
        st = fuzz_prepare(fuzz_memory_db(), "SELECT count(*) FROM json_each(?1)");
    sqlite3_bind_text(st, 1, text, (int)size, SQLITE_STATIC);
    CHECK(sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0) == count);
    sqlite3_reset(st);
}

/* SQLite's limit on nesting is its own, and not the same in each version. */
static bool may_be_deep(const char *text, size_t size)
{
    int brackets = 0;
    for (size_t i = 0; i < size; i++)
        brackets += text[i] == '[' || text[i] == '{';
    return brackets > JSON_DEPTH_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct json_error error = {SIZE_MAX, NULL};
    bool good = json_check(text, size, &error);

    CHECK(good ? !error.reason : error.reason && *error.reason && error.offset <= size);
    if (good || !may_be_deep(text, size))
        CHECK(good ==
              (size > 0 && !memchr(data, 0, size) && fuzz_is_utf8(data, size) && fuzz_sqlite_json_valid(data, size)));
    CHECK(!good || json_check_event(text, size, NULL));
    check_splice(text, size, good);
    if (good)
        check_elements(text, size);
    return 0;
}
