/* text.c — see text.h. Widths are the C library's, from its UTF-8 locale, whatever the user's locale is. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "text.h"
#include "utf8.h"

static uint32_t code_point(const unsigned char *p, int size)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & first_bits[size];
    for (int i = 1; i < size; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

/* C1 controls, line and paragraph separators, and the marks that turn the direction of what follows. */
static bool is_disruptive(uint32_t c)
{
    return (c >= 0x80 && c <= 0x9f) || c == 0x061c || (c >= 0x200b && c <= 0x200f && c != 0x200c && c != 0x200d) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

static void append_escaped_byte(struct buffer *out, unsigned char byte)
{
    char text[8];
    switch (byte) {
    case '\n': buffer_append_text(out, "\\n"); break;
    case '\t': buffer_append_text(out, "\\t"); break;
    case '\r': buffer_append_text(out, "\\r"); break;
    default: snprintf(text, sizeof text, "\\x%02x", byte); buffer_append_text(out, text);
    }
}

void text_escape(struct buffer *out, const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    while (p < end) {
        int n = utf8_sequence(p, end);
        uint32_t c = n ? code_point(p, n) : 0;
        if (n == 0 || c < 0x20 || c == 0x7f) {
            append_escaped_byte(out, *p);
            n = 1;
        } else if (is_disruptive(c)) {
            char escape[16];
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
            buffer_append_text(out, escape);
        } else {
            buffer_append(out, p, (size_t)n);
        }
        p += n;
    }
}

static bool is_ascii(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

int text_width(const char *text, size_t size)
{
    if (is_ascii(text, size))
        return (int)size;
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    int width = 0;
    while (p < end) {
        int n = utf8_sequence(p, end);
        int columns = n && utf8 ? wcwidth((wchar_t)code_point(p, n)) : 1;
        width += columns < 0 ? 1 : columns; /* a character newer than this C library: most take one column */
        p += n ? n : 1;
    }
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    return width;
}

bool text_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0 && isatty(fileno(stream));
}

void text_append_duration(struct buffer *out, int64_t us)
{
    static const struct {
        int64_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    enum { UNITS = sizeof units / sizeof *units };
    int64_t seconds = us < 0 ? 0 : us / 1000000;
    int unit = 0;
    while (unit < UNITS - 1 && seconds < units[unit].seconds)
        unit++;
    text_append_int(out, seconds / units[unit].seconds);
    buffer_append_byte(out, units[unit].letter);
    int64_t rest = seconds % units[unit].seconds;
    if (unit < UNITS - 1 && rest / units[unit + 1].seconds > 0) {
        buffer_append_byte(out, ' ');
        text_append_int(out, rest / units[unit + 1].seconds);
        buffer_append_byte(out, units[unit + 1].letter);
    }
}

void text_append_bytes(struct buffer *out, int64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    char text[32];
    if (bytes < 1024) {
        snprintf(text, sizeof text, "%lld B", (long long)bytes);
    } else {
        double value = (double)bytes / 1024;
        size_t unit = 0;
        while (value >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
            value /= 1024;
            unit++;
        }
        snprintf(text, sizeof text, "%.1f %s", value, units[unit]);
    }
    buffer_append_text(out, text);
}

void text_append_int(struct buffer *out, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    buffer_append_text(out, text);
}
