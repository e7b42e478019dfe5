/* timestamp_test.c — every int64 of microseconds has its RFC 3339 text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "timestamp.h"

static void known_times_have_their_text(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {1795238460123456, "2026-11-21T05:21:00.123456Z"},
        {951782400000000, "2000-02-29T00:00:00.000000Z"},
        {4107542400000000, "2100-03-01T00:00:00.000000Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {253402300800000000, "+10000-01-01T00:00:00.000000Z"},
        {-62167219200000000, "0000-01-01T00:00:00.000000Z"},
        {-62167219200000001, "-0001-12-31T23:59:59.999999Z"},
        {INT64_MAX, "+294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TIMESTAMP_SIZE];
        int size = timestamp_format(text, cases[i].us);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(size, strlen(text));
        int64_t us = 17;
        assert_true(timestamp_parse(text, (size_t)size, &us));
        assert_int_equal(us, cases[i].us);
    }
}

static void every_day_of_eight_centuries_agrees_with_gmtime(void **state)
{
    (void)state;
    for (int64_t day = -146097; day < 146097; day++) {
        time_t seconds = day * 86400 + 86399;
        struct tm tm;
        char text[TIMESTAMP_SIZE], expected[64];
        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT23:59:59.000007Z", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday);
        timestamp_format(text, (int64_t)seconds * 1000000 + 7);
        assert_string_equal(text, expected);
    }
}

static void text_of_another_form_is_no_time(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "-",
        "2026",
        "2026-11-21",
        "2026-11-21T05:21:00Z",
        "2026-11-21T05:21:00.123Z",
        "2026-11-21T05:21:00.123456",
        "2026-11-21T05:21:00.123456Z ",
        "2026-11-21T05:21:00.123456+01:00",
        "2026-13-21T05:21:00.123456Z",
        "2026-00-21T05:21:00.123456Z",
        "2026-11-00T05:21:00.123456Z",
        "2026-1x-21T05:21:00.123456Z",
        "2026-02-30T05:21:00.123456Z",
        "2026-11-21T24:00:00.000000Z",
        "294247-01-10T04:00:54.775808Z", /* a microsecond after the last one, */
        "294247-01-11T00:00:00.000000Z", /* a day, */
        "999999-12-31T23:59:59.999999Z",
        "9999999-12-31T23:59:59.999999Z",
        "2026-11-21T05:60:00.123456Z",
        "2026-12-31T23:59:60.000000Z",
        "+2026-11-21T05:21:00.123456Z",
        "-0000-11-21T05:21:00.123456Z",
        "02026-11-21T05:21:00.123456Z",
        "+999999-01-01T00:00:00.000000Z",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t us = 17;
        if (timestamp_parse(texts[i], strlen(texts[i]), &us) || us != 17)
            fail_msg("\"%s\" was read as %lld", texts[i], (long long)us);
    }
}

static void now_is_the_wall_clock(void **state)
{
    (void)state;
    struct timespec before, after;

    clock_gettime(CLOCK_REALTIME, &before);
    int64_t now = timestamp_now_us();
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true(now >= before.tv_sec * INT64_C(1000000) + before.tv_nsec / 1000);
    assert_true(now <= after.tv_sec * INT64_C(1000000) + after.tv_nsec / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times_have_their_text),
        cmocka_unit_test(every_day_of_eight_centuries_agrees_with_gmtime),
        cmocka_unit_test(text_of_another_form_is_no_time),
        cmocka_unit_test(now_is_the_wall_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
