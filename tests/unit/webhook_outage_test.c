/* webhook_outage_test.c — two hours of outage and 28 hours of retries, in virtual time: breaker.h and backoff.h together,
 * as webhook_send.c and webhook_answer.c use them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sinks/backoff.h"
#include "sinks/breaker.h"

static const int64_t SECOND = 1000000, HOUR = 3600 * SECOND;
enum { KEYS = 50, WINDOW = 16 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

/* A receiver that is away from 0 to until_us; each request takes 10 ms, and a new one begins whenever it may. */
struct outage {
    struct breaker breaker;
    int64_t now_us, until_us, longest_pause_us;
    int requests, counted;
    uint64_t random;
};

static void fail_until_the_end(struct outage *o)
{
    int64_t last_us = 0;

    while (o->now_us < o->until_us) {
        if (!breaker_allows(&o->breaker, 0, o->now_us)) {
            o->now_us = breaker_due_us(&o->breaker, o->now_us);
            assert_true(o->now_us != INT64_MAX); /* it is time that lets the next probe go */
            continue;
        }
        if (o->now_us - last_us > o->longest_pause_us)
            o->longest_pause_us = o->now_us - last_us;
        breaker_started(&o->breaker);
        last_us = o->now_us += 10000;
        breaker_failed(&o->breaker, (uint64_t)(o->requests++ % KEYS), o->now_us, next_random(&o->random));
        o->counted += !breaker_is_down(&o->breaker); /* else the attempt is nobody's */
    }
}

static void two_hours_of_outage_cost_next_to_no_attempts(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct outage o = {.until_us = 2 * HOUR, .random = seed * 88172645463325252u};
        breaker_init(&o.breaker, WINDOW, SECOND, 300 * SECOND);
        fail_until_the_end(&o);
        assert_int_equal(o.counted, BREAKER_KEYS - 1); /* before it was known */
        assert_in_range(o.requests, 2 * 3600 / 300, 600);
        assert_true(o.longest_pause_us <= 300 * SECOND);
    }
}

static void afterwards_they_come_back_one_more_at_a_time(void **state)
{
    (void)state;
    struct outage o = {.until_us = 2 * HOUR, .random = 1};
    int in_flight = 0;

    breaker_init(&o.breaker, WINDOW, SECOND, 300 * SECOND);
    fail_until_the_end(&o);
    while (!breaker_allows(&o.breaker, 0, o.now_us))
        o.now_us = breaker_due_us(&o.breaker, o.now_us);
    for (int answers = 0; answers < 2 * WINDOW; answers++) { /* as many as may, then one answer */
        for (; breaker_allows(&o.breaker, in_flight, o.now_us); in_flight++)
            breaker_started(&o.breaker);
        assert_in_range(in_flight, 1, answers < WINDOW ? answers + 1 : WINDOW);
        in_flight--;
        breaker_succeeded(&o.breaker);
    }
    assert_int_equal(in_flight, WINDOW - 1);
}

/* The default bounds, until they add up to 28 hours; beginning again in the middle changes nothing, as only the number
 * of the attempt counts. */
static void twenty_eight_hours_of_retries_keep_to_their_schedule(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed * 88172645463325252u;
        int64_t now_us = 0;
        int attempt = 0;
        while (now_us < 28 * HOUR) {
            attempt++;
            int64_t ceiling = attempt < 12 ? SECOND << attempt : HOUR;
            int64_t delay_us = backoff_delay_us(attempt, SECOND, HOUR, next_random(&random));
            assert_in_range(delay_us, SECOND, ceiling < HOUR ? ceiling : HOUR);
            now_us += delay_us;
        }
        assert_in_range(attempt, 28 + 10, 3 * 28 + 20); /* half an hour each in the mean, after the first few */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hours_of_outage_cost_next_to_no_attempts),
        cmocka_unit_test(afterwards_they_come_back_one_more_at_a_time),
        cmocka_unit_test(twenty_eight_hours_of_retries_keep_to_their_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
