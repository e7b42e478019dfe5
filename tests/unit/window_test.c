/* window_test.c — order per key, the prefix that is settled, stepping aside. */
#include "window_rig.h"

static void the_second_of_a_key_waits_for_the_first(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    put(w, 1, "a");
    put(w, 2, "a");
    put(w, 3, "b");
    struct window_event *a1 = next_is(w, 0, 1), *b3 = next_is(w, 0, 3);
    nothing_is_next(w, 0);
    assert_true(window_delivered(w, b3));
    nothing_is_next(w, 0);
    assert_true(window_delivered(w, a1));
    next_is(w, 0, 2);
    window_free(w);
}

/* Keys are made by applications: some put a whole document there. */
static void a_key_of_any_length_is_a_key(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    char *key = calloc(1, 5001), *other = calloc(1, 5001);
    memset(key, 'x', 5000);
    memcpy(other, key, 4999);
    for (int round = 0; round < 3; round++) {
        int64_t seq = 1 + 4 * round;
        put(w, seq, "short"); /* what it leaves is too short for the others */
        assert_true(window_delivered(w, next_is(w, 0, seq)));
        put(w, seq + 1, key);
        put(w, seq + 2, key);
        put(w, seq + 3, other);
        struct window_event *first = next_is(w, 0, seq + 1), *third = next_is(w, 0, seq + 3);
        nothing_is_next(w, 0);
        assert_true(window_delivered(w, first));
        assert_true(window_delivered(w, next_is(w, 0, seq + 2)));
        assert_true(window_delivered(w, third));
    }
    window_free(w);
    free(key);
    free(other);
}

static void several_of_a_key_go_together_and_land_in_order(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    for (int64_t seq = 1; seq <= 4; seq++)
        put(w, seq, "a");
    struct window_event *a1 = next_is(w, 0, 1), *a2 = window_behind(w, a1), *a3 = window_behind(w, a2);
    assert_true(a3 && a3->seq == 3 && window_in_flight(w) == 3);
    nothing_is_next(w, 0);
    assert_false(window_delivered(w, a2)); /* a1 is before it */
    assert_true(window_delivered(w, a1) && window_delivered(w, a2));
    nothing_is_next(w, 0); /* a3 is still under way */
    settles_as(w, "2 -");
    assert_true(window_delivered(w, a3));
    next_is(w, 0, 4);
    window_free(w);
}

static void of_several_of_a_key_the_leading_one_fails(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    for (int64_t seq = 1; seq <= 3; seq++)
        put(w, seq, "a");
    struct window_event *a1 = next_is(w, 0, 1), *a2 = window_behind(w, a1);
    assert_true(window_leads(a1) && !window_leads(a2));
    window_return(w, a2);
    nothing_is_next(w, 0); /* a1 is still under way */
    fails(w, a1, 100);
    settles_as(w, "3 - 1:retry 2:waiting 3:waiting");
    nothing_is_next(w, 99);
    assert_int_equal(window_peek(w, 100)->seq, 1);
    a1 = next_is(w, 100, 1);
    a2 = window_behind(w, a1);
    window_return(w, a2);
    window_return(w, a1);
    next_is(w, 100, 1);
    assert_int_equal(window_in_flight(w), 1);
    window_free(w);
}

static void unordered_events_go_freely(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    for (int64_t seq = 1; seq <= 3; seq++)
        put(w, seq, NULL);
    for (int64_t seq = 1; seq <= 3; seq++)
        next_is(w, 0, seq);
    window_free(w);
}

static void the_cursor_is_the_contiguous_prefix(void **state)
{
    (void)state;
    struct window *w = opened(10, NULL, false);
    struct window_event *e[16];
    for (int64_t seq = 11; seq <= 15; seq++)
        put(w, seq, NULL);
    for (int64_t seq = 11; seq <= 15; seq++)
        e[seq - 11] = next_is(w, 0, seq);
    settles_as(w, "10 -");
    assert_true(window_delivered(w, e[1]) && window_delivered(w, e[2]) && window_delivered(w, e[4]));
    settles_as(w, "10 {\"settled\":\"12-13,15\"}");
    assert_true(window_delivered(w, e[0]));
    settles_as(w, "13 {\"settled\":\"15\"}");
    window_pass(w, 16);
    settles_as(w, "13 {\"settled\":\"15-16\"}");
    assert_true(window_delivered(w, e[3]));
    settles_as(w, "16 -");
    struct settlement s;
    assert_false(window_settle(w, &s));
    window_free(w);
}

static void a_failing_key_steps_aside_and_the_cursor_goes_on(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    put(w, 1, "a");
    put(w, 2, "b");
    put(w, 3, "a");
    fails(w, next_is(w, 0, 1), 100);
    put(w, 4, "a");
    settles_as(w, "1 {\"settled\":\"3-4\"} 1:retry 3:waiting 4:waiting");
    assert_int_equal(window_retrying(w), 3);
    assert_true(window_delivered(w, next_is(w, 0, 2)));
    settles_as(w, "4 -");
    nothing_is_next(w, 99);
    assert_int_equal(window_due_us(w), 100);
    window_free(w);
}

static void a_key_that_stepped_aside_goes_on_in_order(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    put(w, 1, "a");
    put(w, 2, "a");
    fails(w, next_is(w, 0, 1), 100);
    struct window_event *e = next_is(w, 100, 1);
    assert_null(e->item); /* to be read again */
    assert_int_equal(e->attempts, 1);
    put(w, 3, "a");
    nothing_is_next(w, 100);
    assert_true(window_delivered(w, e));
    e = next_is(w, 100, 2);
    assert_int_equal(e->attempts, 0);
    assert_true(window_delivered(w, e));
    assert_true(window_delivered(w, next_is(w, 100, 3)));
    settles_as(w, "3 - 1:retry 2:waiting 3:waiting 1:gone 2:gone 3:gone");
    assert_int_equal(window_retrying(w), 0);
    put(w, 4, "a"); /* fresh again */
    assert_non_null(next_is(w, 100, 4)->item);
    window_free(w);
}

static void a_dead_event_parks_its_key_alone(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    put(w, 1, "a");
    put(w, 2, "a");
    put(w, 3, "b");
    dies(w, next_is(w, 0, 1));
    put(w, 4, "a");
    settles_as(w, "2 {\"settled\":\"4\"} 1:dead 2:waiting 4:waiting");
    next_is(w, INT64_MAX - 1, 3);
    nothing_is_next(w, INT64_MAX - 1);
    assert_int_equal(window_retrying(w), 0);
    window_free(w);
}

static void skipping_lets_the_key_go_on_once_the_death_is_recorded(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, true);
    put(w, 1, "a");
    put(w, 2, "a");
    dies(w, next_is(w, 0, 1));
    window_recorded(w); /* of what was settled before: not of this */
    nothing_is_next(w, 0);
    settles_as(w, "1 - 1:dead");
    nothing_is_next(w, 0);
    assert_true(window_is_unrecorded(w));
    window_recorded(w);
    assert_false(window_is_unrecorded(w));
    fails(w, next_is(w, 0, 2), 10);
    put(w, 3, "a");
    dies(w, next_is(w, 10, 2));
    settles_as(w, "3 - 2:retry 3:waiting 2:dead");
    window_recorded(w);
    assert_true(window_delivered(w, next_is(w, 10, 3)));
    settles_as(w, "3 - 3:gone");
    assert_int_equal(window_retrying(w), 0);
    window_free(w);
}

/* The key is known to be waiting even where the dead one was its last. */
static void what_comes_behind_an_unrecorded_death_waits_too(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, true);
    put(w, 1, "a");
    dies(w, next_is(w, 0, 1));
    put(w, 2, "a");
    put(w, 3, "b");
    next_is(w, 0, 3);
    nothing_is_next(w, 0);
    settles_as(w, "1 - 1:dead");
    window_recorded(w);
    next_is(w, 0, 2);
    window_free(w);
}

static void a_dead_unordered_event_holds_up_nobody(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    put(w, 1, NULL);
    put(w, 2, NULL);
    dies(w, next_is(w, 0, 1));
    assert_true(window_delivered(w, next_is(w, 0, 2)));
    settles_as(w, "2 - 1:dead");
    window_free(w);
}

static void a_returned_event_is_as_if_it_had_not_gone(void **state)
{
    (void)state;
    struct window *w = opened(0, NULL, false);
    put(w, 1, "a");
    put(w, 2, "b");
    window_return(w, next_is(w, 0, 1));
    struct window_event *b = next_is(w, 0, 2); /* others go first */
    struct window_event *a = next_is(w, 0, 1);
    assert_non_null(a->item);
    assert_int_equal(a->attempts, 0);
    assert_true(window_delivered(w, b));
    settles_as(w, "0 {\"settled\":\"2\"}");
    window_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_of_a_key_waits_for_the_first),
        cmocka_unit_test(a_key_of_any_length_is_a_key),
        cmocka_unit_test(several_of_a_key_go_together_and_land_in_order),
        cmocka_unit_test(of_several_of_a_key_the_leading_one_fails),
        cmocka_unit_test(unordered_events_go_freely),
        cmocka_unit_test(the_cursor_is_the_contiguous_prefix),
        cmocka_unit_test(a_failing_key_steps_aside_and_the_cursor_goes_on),
        cmocka_unit_test(a_key_that_stepped_aside_goes_on_in_order),
        cmocka_unit_test(a_dead_event_parks_its_key_alone),
        cmocka_unit_test(skipping_lets_the_key_go_on_once_the_death_is_recorded),
        cmocka_unit_test(what_comes_behind_an_unrecorded_death_waits_too),
        cmocka_unit_test(a_dead_unordered_event_holds_up_nobody),
        cmocka_unit_test(a_returned_event_is_as_if_it_had_not_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
