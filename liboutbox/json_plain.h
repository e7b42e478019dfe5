/* json_plain.h — the bytes that a JSON string carries as they are: ASCII but control characters, '"' and '\'.
 *
 * Eight at a time in a register, sixteen where there is SSE2: the writer's and the scanner's inner loop. Which bytes stop
 * it is the whole contract; what to do about one is the caller's.
 */
#ifndef OUTBOX_JSON_PLAIN_H
#define OUTBOX_JSON_PLAIN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define JSON_EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* The first byte lowest, so that the lowest mark is the first. */
static inline uint64_t json_load8(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

/* The last 1..7 bytes of a text, followed by bytes that are not plain. Reads nothing past them. */
static inline uint64_t json_load_tail(const unsigned char *p, size_t n)
{
    uint64_t word;

    if (n >= 4) {
        uint32_t head, tail;
        memcpy(&head, p, sizeof head);
        memcpy(&tail, p + n - 4, sizeof tail); /* may overlap the head: the same bytes at the same place */
        word = le32toh(head) | (uint64_t)le32toh(tail) << 8 * (n - 4);
    } else {
        word = p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
    }
    return word | UINT64_MAX << 8 * n;
}

/* The top bit of each byte that is not plain. A borrow can mark a byte above such a one too, never below: the lowest
 * mark is right. */
static inline uint64_t json_not_plain(uint64_t word)
{
    uint64_t quote = word ^ JSON_EACH_BYTE('"'), backslash = word ^ JSON_EACH_BYTE('\\');

    return ((word - JSON_EACH_BYTE(0x20)) | (quote - JSON_EACH_BYTE(1)) | (backslash - JSON_EACH_BYTE(1)) | word) &
           JSON_EACH_BYTE(0x80);
}

/* Sixteen at a time where the processor has registers for them; what is left of a text is always done with above. */
#ifdef __SSE2__
enum { JSON_WIDE = 16 };
typedef __m128i json_wide;

static inline json_wide json_load_wide(const unsigned char *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static inline void json_store_wide(char *to, json_wide wide)
{
    _mm_storeu_si128((__m128i *)to, wide);
}

/* A bit for each byte that is not plain, the first lowest. Signed, a byte from 0x80 on is below 0x20. */
static inline unsigned json_wide_not_plain(json_wide wide)
{
    __m128i quotes = _mm_cmpeq_epi8(wide, _mm_set1_epi8('"')), backslashes = _mm_cmpeq_epi8(wide, _mm_set1_epi8('\\'));
    __m128i others = _mm_cmplt_epi8(wide, _mm_set1_epi8(0x20));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), others));
}
#endif

/* How many bytes from p on are plain. */
static inline size_t json_plain_run(const unsigned char *p, const unsigned char *end)
{
    const unsigned char *start = p;
    uint64_t marks;

#ifdef __SSE2__
    for (unsigned bits; end - p >= JSON_WIDE; p += JSON_WIDE)
        if ((bits = json_wide_not_plain(json_load_wide(p))) != 0)
            return (size_t)(p - start) + (size_t)__builtin_ctz(bits);
#endif
    for (; end - p >= 8; p += 8)
        if ((marks = json_not_plain(json_load8(p))) != 0)
            return (size_t)(p - start) + (size_t)__builtin_ctzll(marks) / 8;
    if (p < end)
        p += __builtin_ctzll(json_not_plain(json_load_tail(p, (size_t)(end - p)))) / 8;
    return (size_t)(p - start);
}

/* The same, and copies them. to has room for 8 bytes more than are left. */
static inline size_t json_plain_copy(char *to, const unsigned char *p, const unsigned char *end)
{
    const unsigned char *start = p;
    uint64_t word, marks;

#ifdef __SSE2__
    for (unsigned bits; end - p >= JSON_WIDE; p += JSON_WIDE, to += JSON_WIDE) {
        json_wide wide = json_load_wide(p);
        json_store_wide(to, wide);
        if ((bits = json_wide_not_plain(wide)) != 0)
            return (size_t)(p - start) + (size_t)__builtin_ctz(bits);
    }
#endif
    for (; end - p >= 8; p += 8, to += 8) {
        marks = json_not_plain(json_load8(p));
        memcpy(to, p, 8);
        if (marks)
            return (size_t)(p - start) + (size_t)__builtin_ctzll(marks) / 8;
    }
    if (p < end) {
        word = json_load_tail(p, (size_t)(end - p));
        marks = json_not_plain(word);
        word = htole64(word);
        memcpy(to, &word, sizeof word);
        p += __builtin_ctzll(marks) / 8;
    }
    return (size_t)(p - start);
}

#endif
