/* json_scan.c — whether text is JSON, and the copy of it that fits on a line.
 *
 * One loop with a bit per open bracket instead of recursion: the deepest input costs 126 bytes of stack. Taking checked
 * text apart is json_walk.c's.
 */
#include "json_scan.h"

#include "json_plain.h"
#include "utf8.h"

/* Everything before `copied` is in the buffer, where there is one; the rest follows in runs as long as can be. */
struct scan {
    const unsigned char *start, *p, *end;
    const unsigned char *copied;
    struct buffer *out; /* NULL: check only */
    const char *reason; /* of the failure at p */
    int depth, depth_max;
    bool in_object;                                    /* the innermost bracket */
    uint8_t is_object[(JSON_EVENT_DEPTH_MAX + 7) / 8]; /* by depth */
};

static bool fail(struct scan *s, const char *reason)
{
    s->reason = s->p < s->end ? reason : "unexpected end";
    return false;
}

/* Puts something else in the place of the n bytes at p. */
static void replace(struct scan *s, size_t n, const char *by)
{
    if (s->out) {
        buffer_append(s->out, s->copied, (size_t)(s->p - s->copied));
        buffer_append_text(s->out, by);
    }
    s->p += n;
    s->copied = s->p;
}

static unsigned char peek_behind_space(struct scan *s)
{
    while (s->p < s->end) {
        if (*s->p == '\n' || *s->p == '\r')
            replace(s, 1, " ");
        else if (*s->p == ' ' || *s->p == '\t')
            s->p++;
        else
            return *s->p;
    }
    return 0;
}

/* The next byte that isn't white space, NUL at the end (a NUL in the text fits nowhere either). */
static inline unsigned char peek(struct scan *s)
{
    const unsigned char *p = s->p;
    if (p == s->end || *p <= ' ')
        return peek_behind_space(s);
    return *p;
}

/* ---- Strings ------------------------------------------------------------------------------------------------------ */

static bool hex4(const unsigned char *p, const unsigned char *end)
{
    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f') || (p[i] >= 'A' && p[i] <= 'F')))
            return false;
    return true;
}

static bool scan_escape(struct scan *s)
{
    if (s->end - s->p < 2) {
        s->p = s->end;
        return fail(s, "");
    }
    if (s->p[1] == 'u') {
        if (!hex4(s->p + 2, s->end))
            return fail(s, "\\u without four hex digits");
        s->p += 6;
        return true;
    }
    if (!strchr("\"\\/bfnrt", s->p[1]) || s->p[1] == '\0')
        return fail(s, "unknown escape");
    s->p += 2;
    return true;
}

static bool scan_wide(struct scan *s)
{
    const unsigned char *p = s->p;
    int n = utf8_sequence(p, s->end);

    if (n == 0)
        return fail(s, "malformed UTF-8");
    if (n == 2 && p[0] == 0xC2 && p[1] == 0x85)
        replace(s, 2, "\\u0085");
    else if (n == 3 && p[0] == 0xE2 && p[1] == 0x80 && (p[2] & 0xFE) == 0xA8)
        replace(s, 3, p[2] == 0xA8 ? "\\u2028" : "\\u2029");
    else
        s->p += n;
    return true;
}

/* The rest of a string, from the first byte in it that isn't plain. */
static bool scan_string_rest(struct scan *s)
{
    for (;;) {
        if (s->p == s->end)
            return fail(s, "");
        if (*s->p == '"') {
            s->p++;
            return true;
        }
        if (*s->p < 0x20)
            return fail(s, "control character in a string");
        if (!(*s->p == '\\' ? scan_escape(s) : scan_wide(s)))
            return false;
        s->p += json_plain_run(s->p, s->end);
    }
}

/* From its opening quote to behind the closing one. */
static inline bool scan_string(struct scan *s)
{
    const unsigned char *p = s->p + 1, *end = s->end;

    p += json_plain_run(p, end);
    if (p < end && *p == '"') {
        s->p = p + 1;
        return true;
    }
    s->p = p;
    return scan_string_rest(s);
}

/* ---- Numbers and words -------------------------------------------------------------------------------------------- */

static const unsigned char *skip_digits(const unsigned char *p, const unsigned char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static bool scan_number(struct scan *s)
{
    const unsigned char *p = s->p, *end = s->end, *first;

    p += *p == '-';
    p = skip_digits(first = p, end);
    if (p == first)
        goto no_digit;
    if (*first == '0' && p > first + 1) {
        s->p = first;
        return fail(s, "a number begins with 0");
    }
    if (p < end && *p == '.') {
        p = skip_digits(first = p + 1, end);
        if (p == first)
            goto no_digit;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        p = skip_digits(first = p, end);
        if (p == first)
            goto no_digit;
    }
    s->p = p;
    return true;
no_digit:
    s->p = p;
    return fail(s, "a number lacks a digit");
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(s->end - s->p) < size || memcmp(s->p, word, size) != 0)
        return fail(s, "unexpected character");
    s->p += size;
    return true;
}

/* ---- Structure ---------------------------------------------------------------------------------------------------- */

static bool open_bracket(struct scan *s, bool object)
{
    if (s->depth == s->depth_max)
        return fail(s, "nested too deeply");
    uint8_t bit = (uint8_t)(1u << s->depth % 8), *byte = &s->is_object[s->depth / 8];
    uint8_t outer = s->depth % 8 ? *byte & (uint8_t)(bit - 1) : 0;
    *byte = object ? outer | bit : outer;
    s->in_object = object;
    s->depth++;
    s->p++;
    return true;
}

static void close_bracket(struct scan *s)
{
    int outer = --s->depth - 1;
    s->in_object = outer >= 0 && (s->is_object[outer / 8] >> outer % 8 & 1);
    s->p++;
}

static bool scan_name(struct scan *s)
{
    if (peek(s) != '"')
        return fail(s, "a member's name must be a string");
    if (!scan_string(s))
        return false;
    if (peek(s) != ':')
        return fail(s, "':' expected");
    s->p++;
    return true;
}

/* After a value: closes what ends here. *more: a value is next. */
static bool scan_ends(struct scan *s, bool *more)
{
    for (; s->depth > 0; close_bracket(s)) {
        unsigned char byte = peek(s);
        if (byte == ',') {
            s->p++;
            *more = true;
            return !s->in_object || scan_name(s);
        }
        if (byte != (s->in_object ? '}' : ']'))
            return fail(s, s->in_object ? "',' or '}' expected" : "',' or ']' expected");
    }
    *more = false;
    return true;
}

/* One value, or the opening bracket of one that isn't empty. *opened: its first element is next. */
static bool scan_value(struct scan *s, bool *opened)
{
    unsigned char byte = peek(s);

    *opened = false;
    switch (byte) {
    case '"': return scan_string(s);
    case '{':
        if (!open_bracket(s, true))
            return false;
        *opened = peek(s) != '}';
        return !*opened || scan_name(s);
    case '[':
        if (!open_bracket(s, false))
            return false;
        *opened = peek(s) != ']';
        return true;
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    default: return byte == '-' || (byte >= '0' && byte <= '9') ? scan_number(s) : fail(s, "unexpected character");
    }
}

static bool scan_document(struct scan *s)
{
    bool more = true;

    while (more)
        if (!scan_value(s, &more) || (!more && !scan_ends(s, &more)))
            return false;
    peek(s);
    return s->p == s->end || fail(s, "more than one value");
}

static bool scan(const char *text, size_t size, int depth_max, struct buffer *out, struct json_error *error)
{
    struct scan s;

    s.start = s.p = s.copied = (const unsigned char *)text;
    s.end = s.start + size;
    s.out = out;
    s.depth = 0;
    s.in_object = false;
    s.depth_max = depth_max;
    if (!scan_document(&s)) {
        if (error)
            *error = (struct json_error){(size_t)(s.p - s.start), s.reason};
        return false;
    }
    if (out)
        buffer_append(out, s.copied, (size_t)(s.end - s.copied));
    return true;
}

bool json_check(const char *text, size_t size, struct json_error *error)
{
    return scan(text, size, JSON_DEPTH_MAX, NULL, error);
}

bool json_check_event(const char *text, size_t size, struct json_error *error)
{
    return scan(text, size, JSON_EVENT_DEPTH_MAX, NULL, error);
}

bool json_splice(struct buffer *b, const char *text, size_t size, struct json_error *error)
{
    size_t before = b->size;
    bool good = scan(text, size, JSON_DEPTH_MAX, b, error);

    if (!good)
        b->size = before;
    return good;
}
