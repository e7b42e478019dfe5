/* decimal.h — whole numbers as decimal digits, two at a time: the inner loop of each seq, revision and time that leaves.
 *
 * Who writes knows how much room there is; nothing here is terminated by NUL.
 */
#ifndef OUTBOX_DECIMAL_H
#define OUTBOX_DECIMAL_H

#include <stdint.h>
#include <string.h>

enum { DECIMAL_SIZE = 20 }; /* the digits of UINT64_MAX; those of INT64_MIN with its sign */

static const char decimal_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                    "8081828384858687888990919293949596979899";

/* Writes 0 to 99 as two digits; returns where they end. */
static inline char *decimal_pair(char *to, unsigned value)
{
    memcpy(to, decimal_pairs + value * 2, 2);
    return to + 2;
}

/* Writes the digits so that they end before end, at most DECIMAL_SIZE of them; returns where they begin. */
static inline char *decimal_before(char *end, uint64_t value)
{
    for (; value >= 100; value /= 100)
        decimal_pair(end -= 2, (unsigned)(value % 100));
    if (value >= 10) {
        decimal_pair(end -= 2, (unsigned)value);
        return end;
    }
    *--end = (char)('0' + value);
    return end;
}

#endif
