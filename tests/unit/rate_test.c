/* rate_test.c — tokens, bursts and debts, by a clock that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sinks/rate.h"

enum { SECOND = 1000000 };

/* How many single events go by until the clock says until_us, taken as early as allowed. */
static int events_until(struct rate *r, int64_t now_us, int64_t until_us)
{
    int events = 0;

    for (;;) {
        int64_t due = rate_due_us(r, now_us);
        if (due > now_us)
            now_us = due;
        if (now_us >= until_us)
            return events;
        rate_take(r, 1, now_us);
        events++;
    }
}

static void without_a_limit_nothing_waits(void **state)
{
    (void)state;
    struct rate r;
    rate_init(&r, 0, 5);
    rate_take(&r, 1000000, 5);
    assert_true(rate_due_us(&r, 5) == INT64_MIN);
}

static void the_first_goes_at_once_and_the_next_in_its_turn(void **state)
{
    (void)state;
    struct rate r;
    rate_init(&r, 4, 1000);
    assert_true(rate_due_us(&r, 1000) == INT64_MIN);
    rate_take(&r, 1, 1000);
    assert_int_equal(rate_due_us(&r, 1000), 1000 + SECOND / 4);
    assert_int_equal(rate_due_us(&r, 1000 + SECOND / 4 - 1), 1000 + SECOND / 4);
    assert_true(rate_due_us(&r, 1000 + SECOND / 4) == INT64_MIN);
}

static void the_average_is_the_rate(void **state)
{
    (void)state;
    static const int rates[] = {1, 3, 7, 10, 11, 999, 30000, RATE_MAX};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct rate r;
        rate_init(&r, rates[i], 0);
        assert_int_equal(events_until(&r, 0, 10 * SECOND), 10 * rates[i]);
    }
}

static void a_pause_earns_a_tenth_of_a_second(void **state)
{
    (void)state;
    struct rate r;
    rate_init(&r, 100, 0);
    for (int i = 0; i < 10; i++) {
        assert_true(rate_due_us(&r, 3600LL * SECOND) == INT64_MIN);
        rate_take(&r, 1, 3600LL * SECOND);
    }
    assert_true(rate_due_us(&r, 3600LL * SECOND) > 3600LL * SECOND);
}

static void a_batch_is_a_debt(void **state)
{
    (void)state;
    struct rate r;
    rate_init(&r, 10, 0);
    rate_take(&r, 100, 0);
    assert_int_equal(rate_due_us(&r, 0), 10 * SECOND);
    assert_int_equal(rate_due_us(&r, 9 * SECOND), 10 * SECOND);
    assert_true(rate_due_us(&r, 10 * SECOND) == INT64_MIN);
}

static void the_edges_do_not_overflow(void **state)
{
    (void)state;
    struct rate r;
    rate_init(&r, RATE_MAX, 0);
    rate_take(&r, 1000, 0);
    assert_true(rate_due_us(&r, INT64_MAX) == INT64_MIN);
    rate_init(&r, 1, 1000);
    rate_take(&r, 1000, 1000);
    assert_int_equal(rate_due_us(&r, 0), 1000 * SECOND); /* a clock that went back earns nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_nothing_waits),
        cmocka_unit_test(the_first_goes_at_once_and_the_next_in_its_turn),
        cmocka_unit_test(the_average_is_the_rate),
        cmocka_unit_test(a_pause_earns_a_tenth_of_a_second),
        cmocka_unit_test(a_batch_is_a_debt),
        cmocka_unit_test(the_edges_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
