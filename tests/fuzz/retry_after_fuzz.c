/* retry_after_fuzz.c — Retry-After and dates: in bounds whatever comes, seconds by arithmetic, HTTP's three forms of a date
 * by strftime; our own times by gmtime_r and by their way back. The first eight bytes are a time, the rest the header. */
#include <ctype.h>
#include <time.h>

#include "fuzz.h"
#include "sinks/backoff.h"
#include "timestamp.h"

static const int64_t now_s = 1795234567;

static int64_t in_bounds_us(int64_t seconds)
{
    return seconds < 1 ? RETRY_AFTER_MIN_US : seconds > 3600 ? RETRY_AFTER_MAX_US : seconds * 1000000;
}

static void check_header(const char *value)
{
    int64_t delay_us = -7;
    const char *text = value + strspn(value, " \t");
    size_t digits = strspn(text, "0123456789");
    bool taken = backoff_retry_after(value, now_s, &delay_us);

    CHECK(taken ? delay_us >= RETRY_AFTER_MIN_US && delay_us <= RETRY_AFTER_MAX_US : delay_us == -7);
    CHECK(!taken || digits > 0 || isalpha((unsigned char)*text));
    if (digits > 0 && !text[digits]) {
        unsigned long long seconds = digits > 18 ? 1000000 : strtoull(text, NULL, 10);
        while (digits > 18 && *text == '0') /* zeros in front don't make it long */
            text++, digits--, seconds = digits > 18 ? 1000000 : strtoull(text, NULL, 10);
        CHECK(taken && delay_us == in_bounds_us((int64_t)(seconds > 1000000 ? 1000000 : seconds)));
    }
}

static void check_date(const char *text, time_t at)
{
    int64_t delay_us = -7;
    CHECK(backoff_retry_after(text, now_s, &delay_us) && delay_us == in_bounds_us(at - now_s));
}

/* The second, some way from now, as a server would say it: exactly so far from now, in each form. */
static void check_dates(uint64_t number)
{
    time_t at = now_s - 5000 + (time_t)(number % 10000);
    struct tm parts;
    char text[64];
    CHECK(gmtime_r(&at, &parts) != NULL);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    check_date(text, at);
    size_t head = strftime(text, sizeof text, "%A, %d-%b-", &parts); /* the year in two digits, against gcc's advice */
    snprintf(text + head, sizeof text - head, "%02d %02d:%02d:%02d GMT", parts.tm_year % 100, parts.tm_hour,
             parts.tm_min, parts.tm_sec);
    check_date(text, at);
    strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
    check_date(text, at);
}

static void check_timestamp(int64_t us)
{
    char ours[TIMESTAMP_SIZE], theirs[64];
    int64_t back = -7;
    time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0));
    struct tm parts;
    int size = timestamp_format(ours, us);
    CHECK(size == (int)strlen(ours) && size < TIMESTAMP_SIZE);
    CHECK(timestamp_parse(ours, (size_t)size, &back) && back == us);
    CHECK(gmtime_r(&seconds, &parts) != NULL);
    int year = parts.tm_year + 1900;
    if (year < 0 || year > 9999)
        return;
    snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, parts.tm_mon + 1, parts.tm_mday,
             parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(us - (int64_t)seconds * 1000000));
    CHECK(!strcmp(ours, theirs));
}

/* Exactly what timestamp_format() writes is taken. */
static void check_parse(const uint8_t *data, size_t size)
{
    char again[TIMESTAMP_SIZE];
    int64_t us = -7;
    if (!timestamp_parse((const char *)data, size, &us)) {
        CHECK(us == -7);
        return;
    }
    CHECK(timestamp_format(again, us) == (int)size && !memcmp(again, data, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_parse(data, size);
    uint64_t number = fuzz_take(&data, &size, 8);
    char *value = fuzz_text(data, size);
    check_header(value);
    check_dates(number);
    check_timestamp((int64_t)number);
    free(value);
    return 0;
}
