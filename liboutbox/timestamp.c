/* timestamp.c — microseconds since 1970 as RFC 3339 text. Integer arithmetic only: no time zone, no locale, no printf.
 *
 * Every int64 has its text, and that text its int64. Other forms of RFC 3339 are nobody's here.
 */
#include "timestamp.h"

#include <string.h>
#include <time.h>

#include "decimal.h"

enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };
static const int64_t US_PER_DAY = INT64_C(86400) * 1000000;

struct date {
    int64_t year;
    int month, day;
};

/* The proleptic Gregorian date of a day. Years are counted from March here, so that the leap day comes last, and 400
 * of them, an era, always have the same number of days. */
static struct date date_of(int64_t days_since_1970)
{
    int64_t day = days_since_1970 + DAYS_TO_1970;
    int64_t era = (day >= 0 ? day : day - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int of_era = (int)(day - era * DAYS_PER_ERA);
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153; /* 0: March */
    return (struct date){
        .year = year + era * 400 + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
    };
}

static char *put_digits(char *to, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

static char *put_year(char *to, int64_t year)
{
    if (year >= 0 && year <= 9999)
        return decimal_pair(decimal_pair(to, (unsigned)year / 100), (unsigned)year % 100);
    if (year < 0)
        *to++ = '-';
    else
        *to++ = '+';
    int magnitude = (int)(year < 0 ? -year : year), digits = 4;
    for (int rest = magnitude / 10000; rest > 0; rest /= 10)
        digits++;
    return put_digits(to, magnitude, digits);
}

int timestamp_format(char out[TIMESTAMP_SIZE], int64_t us)
{
    int64_t day = us / US_PER_DAY, of_day = us % US_PER_DAY;
    if (of_day < 0) { /* before 1970: the day began earlier */
        of_day += US_PER_DAY;
        day--;
    }
    struct date date = date_of(day);
    unsigned seconds = (unsigned)(of_day / 1000000), micros = (unsigned)(of_day % 1000000);
    char *to = put_year(out, date.year);

    *to++ = '-';
    to = decimal_pair(to, (unsigned)date.month);
    *to++ = '-';
    to = decimal_pair(to, (unsigned)date.day);
    *to++ = 'T';
    to = decimal_pair(to, seconds / 3600);
    *to++ = ':';
    to = decimal_pair(to, seconds / 60 % 60);
    *to++ = ':';
    to = decimal_pair(to, seconds % 60);
    *to++ = '.';
    to = decimal_pair(to, micros / 10000);
    to = decimal_pair(to, micros / 100 % 100);
    to = decimal_pair(to, micros % 100);
    *to++ = 'Z';
    *to = '\0';
    return (int)(to - out);
}

/* ---- And back ----------------------------------------------------------------------------------------------------- */

static bool take_digits(const char **at, const char *end, int digits, int64_t *value)
{
    *value = 0;
    if (end - *at < digits)
        return false;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2)
        year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
}

bool timestamp_parse(const char *text, size_t size, int64_t *us)
{
    static const char AFTER[] = {'-', 'T', ':',
                                 ':', '.', 'Z'}; /* what stands behind month, day, hour, minute, second, fraction */
    static const int DIGITS[] = {2, 2, 2, 2, 2, 6};
    enum { MONTH, DAY, HOUR, MINUTE, SECOND, FRACTION, PARTS, YEAR_DIGITS_MAX = 6 };
    const char *at = text, *end = text + size;
    char again[TIMESTAMP_SIZE];
    int64_t year, part[PARTS], value;

    bool negative = size > 0 && *at == '-', sign = negative || (size > 0 && *at == '+');
    at += sign;
    int digits = 0;
    while (digits < end - at && at[digits] >= '0' && at[digits] <= '9')
        digits++;
    if (digits < 4 || digits > YEAR_DIGITS_MAX || !take_digits(&at, end, digits, &year) || at == end || *at++ != '-')
        return false;
    for (int i = 0; i < PARTS; i++)
        if (!take_digits(&at, end, DIGITS[i], &part[i]) || at == end || *at++ != AFTER[i])
            return false;
    if (at != end)
        return false;
    int64_t day = days_of(negative ? -year : year, part[MONTH], part[DAY]);
    int64_t of_day = ((part[HOUR] * 60 + part[MINUTE]) * 60 + part[SECOND]) * 1000000 + part[FRACTION];
    if (day < 0) { /* the first day of all begins before INT64_MIN */
        day++;
        of_day -= US_PER_DAY;
    }
    if (__builtin_mul_overflow(day, US_PER_DAY, &value) || __builtin_add_overflow(value, of_day, &value))
        return false;
    /* A 30th of February, a second 60, a year with a zero too many: the time is another than the text says. */
    if ((size_t)timestamp_format(again, value) != size || memcmp(again, text, size) != 0)
        return false;
    *us = value;
    return true;
}

int64_t timestamp_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
