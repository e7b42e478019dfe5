/* backoff.h — when to try again. Pure: time and randomness are arguments. */
#ifndef RELAY_SINKS_BACKOFF_H
#define RELAY_SINKS_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum { RETRY_AFTER_MIN_US = 1000000 };                      /* "now" from a receiver that just said no is not now */
static const int64_t RETRY_AFTER_MAX_US = 3600LL * 1000000; /* nobody stops us for a week with one header */

/* The pause before the try that follows the attempt-th failure (from 1), in µs: drawn from [min, ceiling], the whole
 * of it ("full jitter", so that those who failed together do not come back together), where the ceiling doubles with
 * each attempt from 2·min and ends at max. random: any 64 random bits. 0 < min <= max. */
int64_t backoff_delay_us(int attempt, int64_t min_us, int64_t max_us, uint64_t random);

/* What the value of a Retry-After header asks for: seconds or a date in one of HTTP's three forms (RFC 9110, 10.2.3).
 * True: *delay_us, clamped to [RETRY_AFTER_MIN_US, RETRY_AFTER_MAX_US]; a date gone by is the minimum. False: NULL or
 * neither; the receiver has asked for nothing. now_s: seconds since 1970. */
bool backoff_retry_after(const char *value, int64_t now_s, int64_t *delay_us);

#endif
