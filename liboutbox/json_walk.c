/* json_walk.c — takes apart text that json_check has passed: members, elements, and a value's own meaning.
 *
 * Nothing is built: every value is a slice of the text. Because the text is known to be JSON, a value's end is found by
 * its quotes and brackets alone; text that was not checked gives nonsense, but never a read outside it.
 */
#include "json_scan.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "json_plain.h"

/* ---- Where things end --------------------------------------------------------------------------------------------- */

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* From behind the opening quote to the closing one. */
static const char *string_end(const char *p, const char *end, bool *escaped)
{
    for (;;) {
        p += json_plain_run((const unsigned char *)p, (const unsigned char *)end);
        if (p >= end || *p == '"')
            return p;
        if (*p == '\\') {
            *escaped = true;
            p++;
        }
        if (p < end)
            p++;
    }
}

/* From an opening bracket to behind the closing one. */
static const char *container_end(const char *p, const char *end)
{
    size_t depth = 0;
    bool escaped;

    for (; p < end; p++) {
        if (*p == '"') {
            p = string_end(p + 1, end, &escaped);
            if (p == end)
                break;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if ((*p == '}' || *p == ']') && --depth == 0) {
            return p + 1;
        }
    }
    return end;
}

static const char *scalar_end(const char *p, const char *end)
{
    while (p<end && * p> ' ' && *p != ',' && *p != '}' && *p != ']')
        p++;
    return p;
}

static enum json_type number_type(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
            return JSON_REAL;
    return JSON_INTEGER;
}

/* The value at *p, which goes on behind it. false: there is none. */
static bool take_value(const char **p, const char *end, struct json_value *v)
{
    const char *start = skip_space(*p, end), *after;
    bool escaped = false;

    if (start == end)
        return false;
    switch (*start) {
    case '"':
        after = string_end(start + 1, end, &escaped);
        *v = (struct json_value){JSON_STRING, start + 1, (size_t)(after - start - 1), escaped};
        *p = after < end ? after + 1 : end;
        return true;
    case '{':
    case '[':
        after = container_end(start, end);
        *v = (struct json_value){*start == '{' ? JSON_OBJECT : JSON_ARRAY, start, (size_t)(after - start), false};
        break;
    default:
        after = scalar_end(start, end);
        *v = (struct json_value){JSON_NULL, start, (size_t)(after - start), false};
        v->type = *start == 'n'   ? JSON_NULL
                  : *start == 't' ? JSON_TRUE
                  : *start == 'f' ? JSON_FALSE
                                  : number_type(v->text, v->size);
    }
    *p = after;
    return after > start;
}

/* ---- The walk ----------------------------------------------------------------------------------------------------- */

bool json_value_of(const char *text, size_t size, struct json_value *v)
{
    return take_value(&text, text + size, v);
}

bool json_walk_begin(struct json_walk *w, const char *text, size_t size)
{
    w->end = text + size;
    w->at = skip_space(text, w->end);
    if (w->at == w->end || (*w->at != '{' && *w->at != '['))
        return false;
    w->at++;
    return true;
}

bool json_walk_element(struct json_walk *w, struct json_value *value)
{
    w->at = skip_space(w->at, w->end);
    if (w->at < w->end && *w->at == ',')
        w->at = skip_space(w->at + 1, w->end);
    if (w->at == w->end || *w->at == ']' || *w->at == '}')
        return false;
    return take_value(&w->at, w->end, value);
}

bool json_walk_member(struct json_walk *w, struct json_value *name, struct json_value *value)
{
    if (!json_walk_element(w, name))
        return false;
    w->at = skip_space(w->at, w->end);
    if (w->at == w->end || *w->at != ':')
        return false;
    w->at++;
    return take_value(&w->at, w->end, value);
}

/* ---- What a value means ------------------------------------------------------------------------------------------- */

static unsigned hex4(const char *p)
{
    unsigned code = 0;

    for (int i = 0; i < 4; i++)
        code = code << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return code;
}

static void append_utf8(struct buffer *b, uint32_t code)
{
    unsigned char bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char LEAD[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        bytes[i] = (unsigned char)(0x80 | (code & 0x3F));
    bytes[0] = (unsigned char)(LEAD[n] | code);
    buffer_append(b, bytes, n);
}

/* The character of the \u at p, and of the \u behind it where the two are a pair of surrogates. */
static const char *unescape_unicode(struct buffer *b, const char *p, const char *end)
{
    uint32_t code = hex4(p + 2);

    p += 6;
    if (code >= 0xD800 && code <= 0xDBFF && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = hex4(p + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            append_utf8(b, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
            return p + 6;
        }
    }
    append_utf8(b, code >= 0xD800 && code <= 0xDFFF ? 0xFFFD : code);
    return p;
}

void json_unescape(struct buffer *b, const struct json_value *string)
{
    const char *p = string->text, *end = p + string->size;

    while (p < end) {
        const char *backslash = string->escaped ? memchr(p, '\\', (size_t)(end - p)) : NULL;
        if (!backslash)
            backslash = end;
        buffer_append(b, p, (size_t)(backslash - p));
        p = backslash;
        if (end - p >= 6 && p[1] == 'u') {
            p = unescape_unicode(b, p, end);
        } else if (p < end) {
            static const char LETTERS[] = "bfnrt", BYTES[] = "\b\f\n\r\t";
            const char *letter = end - p > 1 ? memchr(LETTERS, p[1], sizeof LETTERS - 1) : NULL;
            buffer_append_byte(b, letter ? BYTES[letter - LETTERS] : p[1]);
            p += 2;
        }
    }
}

bool json_int64(const struct json_value *v, int64_t *out)
{
    const char *p = v->text, *end = p + v->size;
    bool negative = p < end && *p == '-';
    int64_t value = 0; /* kept negative: that side has one value more */

    p += negative;
    if (v->type != JSON_INTEGER || p == end)
        return false;
    for (; p < end; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *p - '0', &value))
            return false;
    if (!negative && value == INT64_MIN)
        return false;
    *out = negative ? value : -value;
    return true;
}

/* strtod wants a NUL, which the text may not have. */
static bool parse_double(const char *digits, size_t size, double *out)
{
    char small[64], *text = size < sizeof small ? small : malloc(size + 1), *after;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's static one: nothing is allocated */

    if (!text)
        return false;
    memcpy(text, digits, size);
    text[size] = '\0';
    *out = strtod_l(text, &after, c);
    bool whole = size > 0 && after == text + size;
    freelocale(c);
    if (text != small)
        free(text);
    return whole;
}

bool json_double(const struct json_value *v, double *out)
{
    double value;

    if ((v->type != JSON_INTEGER && v->type != JSON_REAL) || !parse_double(v->text, v->size, &value))
        return false;
    if (isinf(value)) {
        bool negative = v->text[0] == '-';
        if (v->size != 5u + negative || memcmp(v->text + negative, "9e999", 5) != 0)
            return false;
    }
    *out = value;
    return true;
}
