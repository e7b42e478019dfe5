/* window_restore_test.c — what a window is told at the start: what was settled before a kill, what waits in
 * failed_deliveries, and a position that is none.
 */
#include "window_rig.h"

#include "sinks/position.h"

static void what_was_settled_before_a_kill_is_passed_over(void **state)
{
    (void)state;
    struct window *w = opened(10, "{\"settled\":\"12-13,15,20-21\"}", false);
    put(w, 11, "a");
    put(w, 12, "b");
    settles_as(w, "10 {\"settled\":\"12-13,15,20-21\"}"); /* what is not read again yet is not forgotten */
    put(w, 13, "c");
    put(w, 14, "d");
    put(w, 15, "e");
    put(w, 16, "f");
    next_is(w, 0, 11);
    next_is(w, 0, 14);
    next_is(w, 0, 16);
    nothing_is_next(w, 0);
    settles_as(w, "10 {\"settled\":\"12-13,15,20-21\"}");
    window_free(w);
}

static void restored(struct window *w, int64_t seq, const char *key, enum failed_state failed, int attempts,
                     int64_t due)
{
    struct failed_change row = {.seq = seq, .state = failed, .attempts = attempts};
    row.key = key ? strdup(key) : NULL;
    assert_true(window_restore(w, &row, due, 0));
    free(row.key);
}

static void failed_deliveries_are_taken_up_again_in_order(void **state)
{
    (void)state;
    struct window *w = opened(50, NULL, false);
    restored(w, 1, "a", FAILED_RETRY, 3, 100);
    restored(w, 2, "b", FAILED_DEAD, 9, 0);
    restored(w, 3, "a", FAILED_WAITING, 0, 0);
    restored(w, 4, "b", FAILED_WAITING, 0, 0);
    restored(w, 5, "c", FAILED_WAITING, 0, 0); /* the one before it was discarded */
    restored(w, 6, NULL, FAILED_DEAD, 0, 0);
    restored(w, 7, NULL, FAILED_RETRY, 1, 50);
    assert_int_equal(window_retrying(w), 4);
    put(w, 51, "b");
    put(w, 52, "d");
    next_is(w, 0, 5);
    next_is(w, 0, 52);
    nothing_is_next(w, 49);
    next_is(w, 50, 7);
    struct window_event *e = next_is(w, 100, 1);
    assert_int_equal(e->attempts, 3);
    assert_true(window_delivered(w, e));
    next_is(w, 100, 3);
    settles_as(w, "51 - 51:waiting 1:gone");
    window_free(w);
}

static void a_dead_event_in_the_middle_parks_when_its_turn_comes(void **state)
{
    (void)state;
    struct window *w = opened(50, NULL, false);
    restored(w, 1, "a", FAILED_WAITING, 0, 0);
    restored(w, 2, "a", FAILED_DEAD, 5, 0);
    restored(w, 3, "a", FAILED_WAITING, 0, 0);
    assert_true(window_delivered(w, next_is(w, 0, 1)));
    nothing_is_next(w, INT64_MAX - 1);
    assert_int_equal(window_retrying(w), 0);
    window_free(w);
}

static void a_damaged_position_is_nothing_settled(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "{",
        "{\"settled\":\"\"}",
        "{\"settled\":\"5",
        "{\"settled\":\"5\"} ",
        "{\"settled\":\"5-\"}",
        "{\"settled\":\"-5\"}",
        "{\"settled\":\"5-5\"}",
        "{\"settled\":\"7-5\"}",
        "{\"settled\":\"7,5\"}",
        "{\"settled\":\"5,5\"}",
        "{\"settled\":\"0\"}",
        "{\"settled\":\"5,\"}",
        "{\"settled\":\"99999999999999999999\"}",
        "{\"settled\":\"+5\"}",
        "{\"settled\":\"a\"}",
        "{\"settled\":\":5\"}",
        "{\"settled\":\" 5\"}",
        "{\"seq\":5}",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct position p;
        if (position_parse(&p, damaged[i]))
            fail_msg("%s was taken", damaged[i]);
        assert_int_equal(p.count, 0);
        struct window *w = opened(0, damaged[i], false);
        put(w, 5, "a");
        next_is(w, 0, 5);
        window_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_settled_before_a_kill_is_passed_over),
        cmocka_unit_test(failed_deliveries_are_taken_up_again_in_order),
        cmocka_unit_test(a_dead_event_in_the_middle_parks_when_its_turn_comes),
        cmocka_unit_test(a_damaged_position_is_nothing_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
