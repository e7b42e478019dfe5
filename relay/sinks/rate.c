/* rate.c — see rate.h. Leaves to others: what counts as an event, and waiting (webhook.c, and the pipeline for other sinks). */
#include "rate.h"

#include <limits.h>

static const int64_t TOKEN = 1000000, LONGEST_US = 86400LL * 1000000;

void rate_init(struct rate *r, int per_s, int64_t now_us)
{
    *r = (struct rate){.per_s = per_s, .millionths = TOKEN, .at_us = now_us};
}

/* A token's millionth is a microsecond of one event a second. */
static int64_t level(const struct rate *r, int64_t now_us)
{
    int64_t passed_us = now_us > r->at_us ? now_us - r->at_us : 0;
    int64_t most = r->per_s > 10 ? r->per_s * TOKEN / 10 : TOKEN;
    int64_t now = r->millionths + (passed_us < LONGEST_US ? passed_us : LONGEST_US) * r->per_s;

    return now < most ? now : most;
}

int rate_burst(const struct rate *r)
{
    if (r->per_s == 0)
        return INT_MAX;
    return r->per_s > 10 ? r->per_s / 10 : 1;
}

void rate_take(struct rate *r, int events, int64_t now_us)
{
    if (r->per_s == 0)
        return;
    r->millionths = level(r, now_us) - events * TOKEN;
    r->at_us = now_us;
}

int64_t rate_due_us(const struct rate *r, int64_t now_us)
{
    int64_t missing = r->per_s ? TOKEN - level(r, now_us) : 0;

    return missing > 0 ? now_us + (missing + r->per_s - 1) / r->per_s : INT64_MIN;
}
