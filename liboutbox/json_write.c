/* json_write.c — the writer of JSON values: every byte of every event passes here on its way into the database.
 *
 * Checking JSON that somebody else wrote is json_scan.c's. Whatever goes in, what comes out is one valid value on one
 * line.
 */
#include "json_write.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "decimal.h"
#include "json_plain.h"
#include "utf8.h"

enum { ESCAPE_SIZE = 6, WORD_SIZE = 8 };

/* ---- Numbers ------------------------------------------------------------------------------------------------------ */

void json_write_int(struct buffer *b, int64_t value)
{
    char text[DECIMAL_SIZE], *end = text + sizeof text;
    char *start = decimal_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);

    if (value < 0)
        *--start = '-';
    buffer_append(b, start, (size_t)(end - start));
}

/* Whole numbers, prices, percentages: at most 15 digits, at most four of them after the point. The quotient of two exact
 * doubles is the double nearest to the decimal, so where that is the value itself, the decimal reads back; and it has no
 * shorter form. */
static bool write_short_decimal(struct buffer *b, double magnitude)
{
    static const int64_t POWERS[] = {1, 10, 100, 1000, 10000};

    for (size_t places = 0; places < sizeof POWERS / sizeof *POWERS; places++) {
        double power = (double)POWERS[places];
        if (magnitude * power >= 1e15)
            return false;
        int64_t scaled = (int64_t)(magnitude * power + 0.5);
        if ((double)scaled / power != magnitude)
            continue;
        json_write_int(b, scaled / POWERS[places]);
        if (places == 0) {
            buffer_append(b, ".0", 2);
            return true;
        }
        char text[] = ".0000";
        int64_t fraction = scaled % POWERS[places];
        for (size_t at = places; at > 0; at--, fraction /= 10)
            text[at] = (char)('0' + fraction % 10);
        buffer_append(b, text, places + 1);
        return true;
    }
    return false;
}

/* The shortest of 15, 16 and 17 digits that reads back; 17 always do. */
static void write_any_real(struct buffer *b, double magnitude)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's static one: nothing is allocated */
    locale_t callers = uselocale(c);
    char text[32];
    int size = 0;

    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(text, sizeof text, "%.*g", digits, magnitude);
        if (strtod(text, NULL) == magnitude)
            break;
    }
    uselocale(callers);
    freelocale(c);
    buffer_append(b, text, (size_t)size);
    if (!strpbrk(text, ".e"))
        buffer_append(b, ".0", 2);
}

void json_write_real(struct buffer *b, double value)
{
    if (isnan(value)) {
        buffer_append(b, "null", 4);
        return;
    }
    if (signbit(value))
        buffer_append_byte(b, '-');
    if (isinf(value))
        buffer_append(b, "9e999", 5);
    else if (!write_short_decimal(b, fabs(value)))
        write_any_real(b, fabs(value));
}

/* ---- Text --------------------------------------------------------------------------------------------------------- */

static char *put_unicode_escape(char *to, unsigned code)
{
    static const char HEX[] = "0123456789abcdef";

    memcpy(to, "\\u", 2);
    for (int i = 0; i < 4; i++)
        to[2 + i] = HEX[code >> (12 - 4 * i) & 15];
    return to + ESCAPE_SIZE;
}

static char *put_ascii_escape(char *to, unsigned char byte)
{
    static const char SHORT[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: the byte, its letter */

    for (const char *pair = SHORT; *pair; pair += 2)
        if ((unsigned char)pair[0] == byte) {
            *to++ = '\\';
            *to++ = pair[1];
            return to;
        }
    return put_unicode_escape(to, byte);
}

/* The characters outside ASCII from *p on, up to the first that takes more room than it had; *p goes on behind it. */
static char *put_wide(char *to, const unsigned char **p, const unsigned char *end)
{
    const unsigned char *at = *p;

    while (at < end && *at >= 0x80) {
        int n = utf8_sequence(at, end);
        if (n == 0) {
            *p = at + utf8_bad_part(at, end);
            memcpy(to, "\xEF\xBF\xBD", 3); /* U+FFFD */
            return to + 3;
        }
        if (n == 2 && at[0] == 0xC2 && at[1] == 0x85) {
            *p = at + 2;
            return put_unicode_escape(to, 0x85);
        }
        if (n == 3 && at[0] == 0xE2 && at[1] == 0x80 && (at[2] & 0xFE) == 0xA8) {
            *p = at + 3;
            return put_unicode_escape(to, 0x2000u + (at[2] & 0x3Fu));
        }
        memcpy(to, at, (size_t)n);
        at += n;
        to += n;
    }
    *p = at;
    return to;
}

void json_write_text_part(struct buffer *b, const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + size;

    while (p < end) {
        char *start = buffer_reserve(b, (size_t)(end - p) + WORD_SIZE + ESCAPE_SIZE), *to = start;
        if (!to)
            return;
        size_t plain = json_plain_copy(to, p, end);
        p += plain;
        to += plain;
        if (p < end)
            to = *p < 0x80 ? put_ascii_escape(to, *p++) : put_wide(to, &p, end);
        buffer_grow(b, (size_t)(to - start));
    }
}

void json_write_text(struct buffer *b, const char *text, size_t size)
{
    buffer_append_byte(b, '"');
    json_write_text_part(b, text, size);
    buffer_append_byte(b, '"');
}

/* ---- Bytes -------------------------------------------------------------------------------------------------------- */

void json_write_base64(struct buffer *b, const void *data, size_t size)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    char *start = size / 3 < SIZE_MAX / 8 ? buffer_reserve(b, (size + 2) / 3 * 4) : buffer_reserve(b, SIZE_MAX);
    char *to = start;

    if (!to || size == 0)
        return;
    for (; size >= 3; size -= 3, p += 3, to += 4) {
        unsigned bits = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
        to[0] = DIGITS[bits >> 18];
        to[1] = DIGITS[bits >> 12 & 63];
        to[2] = DIGITS[bits >> 6 & 63];
        to[3] = DIGITS[bits & 63];
    }
    if (size > 0) {
        unsigned bits = (unsigned)p[0] << 16 | (size == 2 ? (unsigned)p[1] << 8 : 0);
        to[0] = DIGITS[bits >> 18];
        to[1] = DIGITS[bits >> 12 & 63];
        to[2] = size == 2 ? DIGITS[bits >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    buffer_grow(b, (size_t)(to - start));
}

void json_write_blob(struct buffer *b, const void *data, size_t size)
{
    buffer_append_text(b, "{\"$base64\":\"");
    json_write_base64(b, data, size);
    buffer_append(b, "\"}", 2);
}
