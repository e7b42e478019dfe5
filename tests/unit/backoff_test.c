/* backoff_test.c — pauses stay in their bounds, and every form of Retry-After is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sinks/backoff.h"

static const int64_t MIN = 500 * 1000, MAX = 60 * 1000000;

static void the_ceiling_doubles_until_the_bound(void **state)
{
    (void)state;
    static const struct {
        int attempt;
        int64_t ceiling;
    } cases[] = {{1, 1000000},  {2, 2000000},  {3, 4000000},   {6, 32000000},
                 {7, 60000000}, {8, 60000000}, {63, 60000000}, {INT32_MAX, 60000000}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t span = (uint64_t)(cases[i].ceiling - MIN);
        assert_int_equal(backoff_delay_us(cases[i].attempt, MIN, MAX, span), cases[i].ceiling);
        assert_int_equal(backoff_delay_us(cases[i].attempt, MIN, MAX, span + 1), MIN);
        assert_int_equal(backoff_delay_us(cases[i].attempt, MIN, MAX, 0), MIN);
    }
}

static void jitter_fills_the_whole_span(void **state)
{
    (void)state;
    int low = 0, high = 0;
    uint64_t random = 88172645463325252u;

    for (int i = 0; i < 2000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        int64_t delay = backoff_delay_us(5, MIN, MAX, random);
        assert_true(delay >= MIN && delay <= 16000000);
        low += delay < MIN + (16000000 - MIN) / 10;
        high += delay > 16000000 - (16000000 - MIN) / 10;
    }
    assert_in_range(low, 120, 280); /* a tenth each, give or take */
    assert_in_range(high, 120, 280);
}

static void the_largest_bounds_do_not_overflow(void **state)
{
    (void)state;
    assert_in_range(backoff_delay_us(100, 1, INT64_MAX, UINT64_MAX), 1, INT64_MAX);
    assert_int_equal(backoff_delay_us(3, 7, 7, UINT64_MAX), 7);
}

static void every_form_of_retry_after_is_read_and_clamped(void **state)
{
    (void)state;
    enum { NOW = 1794200000, NOTHING = -1 }; /* Mon, 09 Nov 2026 04:53:20 GMT */
    static const struct {
        const char *value;
        int64_t seconds;
    } cases[] = {
        {"120", 120},
        {"  120", 120},
        {"120 \r\n", 120},
        {"120.5", 120},
        {"0", 1},
        {"1", 1},
        {"3600", 3600},
        {"3601", 3600},
        {"9223372036854775808", 3600},
        {"99999999999999999999999999999999", 3600},
        {"Mon, 09 Nov 2026 04:55:20 GMT", 120},
        {"Monday, 09-Nov-26 04:55:20 GMT", 120},
        {"Mon Nov  9 04:55:20 2026", 120},
        {"Mon, 09 Nov 2026 04:53:20 GMT", 1},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 1},
        {"Sun, 06 Nov 2094 08:49:37 GMT", 3600},
        {NULL, NOTHING},
        {"", NOTHING},
        {" ", NOTHING},
        {"-1", NOTHING},
        {"-5", NOTHING},
        {"+5", NOTHING},
        {"1e99", NOTHING},
        {"1e3", NOTHING},
        {"5 minutes", NOTHING},
        {"soon", NOTHING},
        {"0x10", NOTHING},
        {"20261109", 3600}, /* a number of seconds, not a date */
        {"Mon", NOTHING},
        {"10 Nov 2026", NOTHING},
        {"Mon, 09 Nov 2026", NOTHING},
        {"Mon, 99 Nov 2026 99:99:99 GMT", NOTHING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t delay = -1;
        bool asked = backoff_retry_after(cases[i].value, NOW, &delay);
        if (asked != (cases[i].seconds != NOTHING) || delay != (asked ? cases[i].seconds * 1000000 : -1))
            fail_msg("'%s': %d, %lld us", cases[i].value ? cases[i].value : "(none)", asked, (long long)delay);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_until_the_bound),
        cmocka_unit_test(jitter_fills_the_whole_span),
        cmocka_unit_test(the_largest_bounds_do_not_overflow),
        cmocka_unit_test(every_form_of_retry_after_is_read_and_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
