/* backoff.c — exponential backoff with full jitter, and what receivers say in Retry-After.
 *
 * Leaves to others: clocks, random bits, and what is waited for. The invariant: whatever goes in, the pause that comes
 * out is within its bounds.
 */
#include "backoff.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

int64_t backoff_delay_us(int attempt, int64_t min_us, int64_t max_us, uint64_t random)
{
    int64_t ceiling = min_us;

    for (int i = 0; i < attempt && ceiling < max_us; i++)
        ceiling = ceiling > max_us / 2 ? max_us : ceiling * 2;
    return min_us + (int64_t)(random % ((uint64_t)(ceiling - min_us) + 1));
}

static int64_t clamp(int64_t seconds)
{
    if (seconds < RETRY_AFTER_MIN_US / 1000000)
        return RETRY_AFTER_MIN_US;
    return seconds > RETRY_AFTER_MAX_US / 1000000 ? RETRY_AFTER_MAX_US : seconds * 1000000;
}

/* Digits, and a fraction that is dropped: some receivers send one. Saturates, so that 2^64 is long and not short. */
static bool parse_seconds(const char *text, int64_t *seconds)
{
    int64_t value = 0;

    if (!isdigit((unsigned char)*text))
        return false;
    for (; isdigit((unsigned char)*text); text++)
        value = value > RETRY_AFTER_MAX_US ? value : value * 10 + (*text - '0');
    if (*text == '.')
        text += 1 + strspn(text + 1, "0123456789");
    text += strspn(text, " \t\r\n");
    *seconds = value;
    return *text == 0;
}

/* curl_getdate forgives a lot (a bare number is a date to it); all three of HTTP's forms begin with the day's name and
 * have a time of day. */
static bool parse_date(const char *text, int64_t *at_s)
{
    const char *colon = strchr(text, ':');

    if (!isalpha((unsigned char)*text) || !colon || !strchr(colon + 1, ':'))
        return false;
    time_t at = curl_getdate(text, NULL);
    *at_s = at;
    return at != -1;
}

bool backoff_retry_after(const char *value, int64_t now_s, int64_t *delay_us)
{
    int64_t seconds, at_s;

    if (!value)
        return false;
    value += strspn(value, " \t");
    if (parse_seconds(value, &seconds)) {
        *delay_us = clamp(seconds);
        return true;
    }
    if (parse_date(value, &at_s)) {
        *delay_us = clamp(at_s > now_s ? at_s - now_s : 0);
        return true;
    }
    return false;
}
