/* clock.h — the monotonic clock: for intervals, deadlines and sink_ops.due(). What is stored or shown uses timestamp.h. */
#ifndef RELAY_CLOCK_H
#define RELAY_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A deadline as poll()'s timeout, rounded up so that nobody wakes a moment too early and spins. INT64_MAX: -1. */
static inline int clock_poll_ms(int64_t deadline_us, int64_t now_us)
{
    if (deadline_us == INT64_MAX)
        return -1;
    if (deadline_us <= now_us)
        return 0;
    int64_t left_ms = (deadline_us - now_us + 999) / 1000;
    return left_ms > 3600000 ? 3600000 : (int)left_ms;
}

#endif
