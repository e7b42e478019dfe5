/* utf8.c — tells well-formed UTF-8 from the rest. Repairing and escaping are json_write.c's.
 *
 * Table 3-7 of the Unicode Standard is all there is to know: only the second byte's range depends on the first, and
 * with it go overlong forms (E0, F0), surrogates (ED) and what is over U+10FFFF (F4).
 */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

struct lead {
    int length;                /* of the whole sequence; 0: no sequence begins so */
    unsigned char first, last; /* the second byte's range */
};

static struct lead lead_of(unsigned char byte)
{
    if (byte < 0x80)
        return (struct lead){1, 0, 0};
    if (byte < 0xC2 || byte > 0xF4)
        return (struct lead){0, 0, 0};
    if (byte < 0xE0)
        return (struct lead){2, 0x80, 0xBF};
    if (byte < 0xF0)
        return (struct lead){3, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF};
    return (struct lead){4, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF};
}

/* How many bytes at p fit the sequence that *p begins: all of its length, or fewer. */
static int fitting(const unsigned char *p, const unsigned char *end, struct lead lead)
{
    int n = 1;

    if (lead.length < 2 || end - p < 2 || p[1] < lead.first || p[1] > lead.last)
        return n;
    for (n = 2; n < lead.length && n < end - p && (p[n] & 0xC0) == 0x80; n++)
        ;
    return n;
}

int utf8_sequence(const unsigned char *p, const unsigned char *end)
{
    struct lead lead = lead_of(*p);
    int n = fitting(p, end, lead);
    return n == lead.length ? n : 0;
}

int utf8_bad_part(const unsigned char *p, const unsigned char *end)
{
    return fitting(p, end, lead_of(*p));
}

bool utf8_valid(const char *text, size_t size, size_t *offset)
{
    const unsigned char *start = (const unsigned char *)text, *p = start, *end = start + size;

    while (p < end) {
        uint64_t word;
        if (end - p >= 8 && (memcpy(&word, p, 8), !(word & 0x8080808080808080u))) {
            p += 8;
            continue;
        }
        int n = utf8_sequence(p, end);
        if (n == 0) {
            if (offset)
                *offset = (size_t)(p - start);
            return false;
        }
        p += n;
    }
    return true;
}
