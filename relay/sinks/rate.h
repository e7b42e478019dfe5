/* rate.h — so many events a second, on average. Pure: the clock is an argument.
 *
 * A bucket of tokens, one for each event. A request may begin when there is a whole one, and may take more than there
 * are, so that a batch needs not wait for as many; the debt is paid before the next. What may go in a burst is a tenth
 * of a second's, and at the start one: a relay that starts again and again is no faster than one that runs.
 */
#ifndef RELAY_SINKS_RATE_H
#define RELAY_SINKS_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_MAX = 1000000 };

struct rate {
    int per_s;          /* 0: no limit */
    int64_t millionths; /* of a token, at_us; below 0: debt */
    int64_t at_us;
};

/* As many events as may go at once without falling into debt for long; INT_MAX: no limit. */
int rate_burst(const struct rate *);

void rate_init(struct rate *, int per_s, int64_t now_us);
void rate_take(struct rate *, int events, int64_t now_us);

/* When the next request may begin: INT64_MIN where it may now. */
int64_t rate_due_us(const struct rate *, int64_t now_us);

#endif
