/* utf8_fuzz.c — liboutbox/utf8.c against the C library's converter, and against Unicode's definition by arithmetic. */
#include "fuzz.h"
#include "utf8.h"

/* The lowest and highest code point whose encoding begins with these n bytes, the rest being free. false: none is. */
static bool can_begin(const unsigned char *p, int n)
{
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000}, MASK[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    int length = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC0 ? 2 : 0;
    if (length == 0 || n > length || p[0] > 0xF7)
        return false;
    uint32_t low = p[0] & MASK[length], high = low;
    for (int i = 1; i < length; i++) {
        if (i < n && (p[i] & 0xC0) != 0x80)
            return false;
        low = low << 6 | (i < n ? p[i] & 0x3Fu : 0);
        high = high << 6 | (i < n ? p[i] & 0x3Fu : 0x3F);
    }
    if (low < LEAST[length])
        low = LEAST[length];
    if (high > 0x10FFFF)
        high = 0x10FFFF;
    return low <= high && !(low >= 0xD800 && high <= 0xDFFF);
}

/* The longest beginning of a well-formed sequence, at least one byte. */
static int maximal_part(const unsigned char *p, const unsigned char *end)
{
    int n = 1;
    while (n < 4 && end - p > n && can_begin(p, n + 1))
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *p = data, *end = data + size;
    size_t first_bad = size, offset = SIZE_MAX;

    while (p < end) {
        int n = utf8_sequence(p, end);
        CHECK(n >= 0 && n <= 4 && n <= end - p);
        if (n > 0) {
            CHECK(fuzz_is_utf8(p, (size_t)n));
            CHECK(n == 1 || !fuzz_is_utf8(p, (size_t)n - 1));
        } else {
            if (first_bad == size)
                first_bad = (size_t)(p - data);
            n = utf8_bad_part(p, end);
            CHECK(n == maximal_part(p, end) && n <= 3 && !fuzz_is_utf8(p, (size_t)n));
        }
        p += n;
    }
    bool valid = utf8_valid((const char *)data, size, &offset);
    CHECK(valid == (first_bad == size) && valid == fuzz_is_utf8(data, size));
    CHECK(valid ? offset == SIZE_MAX : offset == first_bad);
    CHECK(utf8_valid((const char *)data, size, NULL) == valid);
    return 0;
}
