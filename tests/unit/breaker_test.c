/* breaker_test.c — what opens it, what closes it, and how it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sinks/breaker.h"

enum { SECOND = 1000000, LIMIT = 8 };

static struct breaker fresh(void)
{
    struct breaker b;
    breaker_init(&b, LIMIT, SECOND, 60 * SECOND);
    return b;
}

static struct breaker opened_at(int64_t now)
{
    struct breaker b = fresh();
    assert_false(breaker_failed(&b, 1, now, 0));
    assert_false(breaker_failed(&b, 2, now, 0));
    assert_true(breaker_failed(&b, 3, now, 0));
    return b;
}

static void different_keys_failing_in_a_row_open_it(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    assert_true(breaker_is_down(&b));
    assert_false(breaker_allows(&b, 0, SECOND - 1));
}

static void one_poison_key_never_opens_it(void **state)
{
    (void)state;
    struct breaker b = fresh();
    for (int i = 0; i < 1000; i++)
        assert_false(breaker_failed(&b, 42, i, 0));
    for (int i = 0; i < 1000; i++)
        assert_false(breaker_failed(&b, 42 + (i & 1), i, 0));
    assert_false(breaker_is_down(&b));
    assert_true(breaker_allows(&b, LIMIT - 1, 0));
}

static void two_that_reach_nobody_open_it_whatever_the_key(void **state)
{
    (void)state;
    struct breaker b = fresh();
    assert_false(breaker_unreachable(&b, 0, 0));
    assert_false(breaker_is_down(&b));
    assert_true(breaker_unreachable(&b, 0, 0));
    assert_true(breaker_is_down(&b));
    assert_false(breaker_unreachable(&b, 0, 0)); /* one that was under way */
    assert_false(breaker_allows(&b, 0, SECOND - 1));
    breaker_started(&b);
    assert_false(breaker_unreachable(&b, 5 * SECOND, 0)); /* the probe */
    assert_false(breaker_allows(&b, 0, 6 * SECOND - 1));
}

static void one_that_reaches_nobody_among_answers_does_not(void **state)
{
    (void)state;
    struct breaker b = fresh();
    for (int i = 0; i < 1000; i++) {
        assert_false(breaker_unreachable(&b, 0, 0));
        if (i % 2)
            breaker_succeeded(&b);
        else
            assert_false(breaker_failed(&b, 42, 0, 0)); /* it answers */
    }
    assert_false(breaker_is_down(&b));
}

/* R56: two hours without a connection, one key, --max-attempts 2: as webhook_answer.c counts. */
static void an_outage_of_two_hours_counts_one_attempt(void **state)
{
    (void)state;
    const int64_t hour = INT64_C(3600) * SECOND;
    struct breaker b = fresh();
    int64_t now = 0;
    int attempts = 0, requests = 0;
    for (; now < 2 * hour; now += SECOND / 10) {
        if (!breaker_allows(&b, 0, now))
            continue;
        breaker_started(&b);
        requests++;
        breaker_unreachable(&b, now, 0x9e3779b97f4a7c15u * (unsigned)requests);
        attempts += !breaker_is_down(&b);
    }
    assert_int_equal(attempts, 1);
    assert_in_range(requests, 2 * 60, 1000); /* not given up, and no storm */
    now = b.until_us;
    assert_true(breaker_allows(&b, 0, now));
    breaker_started(&b);
    assert_true(breaker_succeeded(&b));
    assert_true(breaker_allows(&b, 0, now));
    assert_false(breaker_allows(&b, 1, now)); /* one at a time, at first */
}

static void a_success_between_ends_the_row(void **state)
{
    (void)state;
    struct breaker b = fresh();
    for (uint64_t key = 0; key < 1000; key++) {
        assert_false(breaker_failed(&b, key, 0, 0));
        if (key % 2)
            breaker_succeeded(&b);
    }
    assert_false(breaker_is_down(&b));
}

static void one_probe_at_a_time_goes_when_the_pause_is_over(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    assert_false(breaker_allows(&b, 1, SECOND)); /* an old one is still under way */
    assert_true(breaker_allows(&b, 0, SECOND));
    breaker_started(&b);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_false(breaker_allows(&b, 1, SECOND));
    assert_false(breaker_allows(&b, 0, 1000 * (int64_t)SECOND));
}

static void a_failed_probe_opens_it_for_longer(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    int64_t now = SECOND, last = SECOND;
    for (int i = 0; i < 10; i++) {
        assert_true(breaker_allows(&b, 0, now));
        breaker_started(&b);
        assert_false(breaker_failed(&b, 7, now, UINT64_MAX / 2));
        assert_int_equal(b.state, BREAKER_OPEN);
        assert_true(b.until_us - now >= SECOND && b.until_us - now <= 60 * SECOND);
        last = b.until_us - now;
        now = b.until_us;
    }
    assert_true(last > SECOND);
    assert_int_equal(b.openings, 11);
}

static void failures_under_way_when_it_opened_do_not_lengthen_the_pause(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    int64_t until = b.until_us;
    for (uint64_t key = 10; key < 15; key++)
        assert_false(breaker_failed(&b, key, 10, UINT64_MAX));
    assert_int_equal(b.until_us, until);
}

static void recovery_is_a_ramp_of_one_per_success(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    breaker_started(&b);
    assert_true(breaker_succeeded(&b));
    for (int allowed = 1; allowed < LIMIT; allowed++) {
        assert_true(breaker_allows(&b, allowed - 1, SECOND));
        assert_false(breaker_allows(&b, allowed, SECOND));
        assert_false(breaker_succeeded(&b));
    }
    breaker_succeeded(&b);
    assert_false(breaker_allows(&b, LIMIT, SECOND));
}

static void one_failure_during_the_ramp_is_the_events_own(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    breaker_started(&b);
    breaker_succeeded(&b);
    assert_false(breaker_failed(&b, 1, SECOND, 0));
    assert_false(breaker_is_down(&b));
}

static void the_pause_begins_short_again_after_a_success(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    breaker_started(&b);
    breaker_failed(&b, 1, 0, 0);
    breaker_started(&b);
    breaker_succeeded(&b);
    assert_int_equal(b.openings, 0);
}

static void a_probe_given_back_lets_another_go(void **state)
{
    (void)state;
    struct breaker b = opened_at(0);
    breaker_started(&b);
    breaker_abandoned(&b);
    assert_true(breaker_allows(&b, 0, SECOND));
}

static void retry_after_holds_everybody_whatever_the_state(void **state)
{
    (void)state;
    struct breaker b = fresh();
    breaker_hold(&b, 5 * SECOND);
    breaker_hold(&b, 3 * SECOND); /* a shorter one takes nothing back */
    assert_false(breaker_allows(&b, 0, 5 * SECOND - 1));
    assert_int_equal(breaker_due_us(&b, 0), 5 * SECOND);
    assert_true(breaker_allows(&b, 0, 5 * SECOND));
    b = opened_at(0);
    breaker_hold(&b, 5 * SECOND);
    assert_false(breaker_allows(&b, 0, 2 * SECOND));
    assert_int_equal(breaker_due_us(&b, 0), 5 * SECOND);
}

static void it_is_due_only_where_time_alone_changes_it(void **state)
{
    (void)state;
    struct breaker b = fresh();
    assert_true(breaker_due_us(&b, 0) == INT64_MAX);
    b = opened_at(0);
    assert_int_equal(breaker_due_us(&b, 0), SECOND);
    assert_true(breaker_due_us(&b, SECOND) == INT64_MAX);
    breaker_started(&b);
    assert_true(breaker_due_us(&b, 0) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(different_keys_failing_in_a_row_open_it),
        cmocka_unit_test(one_poison_key_never_opens_it),
        cmocka_unit_test(two_that_reach_nobody_open_it_whatever_the_key),
        cmocka_unit_test(one_that_reaches_nobody_among_answers_does_not),
        cmocka_unit_test(an_outage_of_two_hours_counts_one_attempt),
        cmocka_unit_test(a_success_between_ends_the_row),
        cmocka_unit_test(one_probe_at_a_time_goes_when_the_pause_is_over),
        cmocka_unit_test(a_failed_probe_opens_it_for_longer),
        cmocka_unit_test(failures_under_way_when_it_opened_do_not_lengthen_the_pause),
        cmocka_unit_test(recovery_is_a_ramp_of_one_per_success),
        cmocka_unit_test(one_failure_during_the_ramp_is_the_events_own),
        cmocka_unit_test(the_pause_begins_short_again_after_a_success),
        cmocka_unit_test(a_probe_given_back_lets_another_go),
        cmocka_unit_test(retry_after_holds_everybody_whatever_the_state),
        cmocka_unit_test(it_is_due_only_where_time_alone_changes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
