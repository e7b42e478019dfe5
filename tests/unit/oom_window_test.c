/* oom_window_test.c — out of memory at each place of the window: what says no has changed nothing, and asked again it
 * settles the same events in the same way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fail_alloc.h"
#include "sinks/window.h"

static int items; /* handed out and not freed yet */

static void free_item(void *arg, void *item)
{
    (void)arg;
    items--;
    free(item);
}

static void *new_item(void)
{
    long left = alloc_left;
    alloc_left = -1; /* the caller's own memory is not what is tested */
    void *item = calloc(1, 8);
    alloc_left = left;
    items++;
    return item;
}

/* Once refused, once more: there is memory again. */
#define do_it(call)                                                                                                    \
    do {                                                                                                               \
        if (!(call)) {                                                                                                 \
            assert_true(alloc_failed);                                                                                 \
            assert_true(call);                                                                                         \
        }                                                                                                              \
    } while (0)

static void write_settlement(struct window *w, char *text, size_t size)
{
    struct settlement s = {0};
    size_t n = strlen(text);
    if (!window_settle(w, &s)) {
        assert_true(alloc_failed); /* whatever is there to be told, it tells it when there is memory again */
        assert_true(window_settle(w, &s));
    }
    n += (size_t)snprintf(text + n, size - n, "%lld [%s]", (long long)s.acked_seq, s.position ? s.position : "");
    for (int i = 0; i < s.change_count; i++) {
        struct failed_change *c = &s.changes[i];
        n += (size_t)snprintf(text + n, size - n, " %lld=%d,%d,%s,%s,%s,%.*s", (long long)c->seq, c->state, c->attempts,
                              c->key ? c->key : "-", c->last_error ? c->last_error : "-",
                              c->attempt.request ? c->attempt.request : "-", (int)c->attempt.answer_size,
                              c->attempt.answer ? (const char *)c->attempt.answer : "");
        failed_change_fini(c);
    }
    snprintf(text + n, size - n, "\n");
    free(s.changes);
}

static void restore(struct window *w, int64_t seq, const char *key, enum failed_state state)
{
    char *copy = NULL;
    long left = alloc_left;
    alloc_left = -1;
    copy = strdup(key);
    alloc_left = left;
    struct failed_change row = {.seq = seq, .key = copy, .state = state, .attempts = 2};
    do_it(window_restore(w, &row, 1000, 500));
    free(copy);
}

static void put(struct window *w, int64_t seq, const char *key)
{
    void *item = new_item();
    do_it(window_put(w, seq, key, item));
}

static struct window_event *next(struct window *w, int64_t now_us, int64_t seq)
{
    struct window_event *e = window_next(w, now_us);
    assert_non_null(e);
    assert_int_equal(e->seq, seq);
    return e;
}

static void deliver(struct window *w, struct window_event *e)
{
    do_it(window_delivered(w, e));
}

/* Deliveries of every kind. What is settled on the way goes to text. False: there was no memory for a window. */
static bool run(bool skip_dead, char *text, size_t size)
{
    const struct window_failure later = {.attempts = 1,
                                         .next_attempt_at_us = 77,
                                         .status = 503,
                                         .error = "not now",
                                         .attempted_at_us = 3,
                                         .request = "msg_1",
                                         .answer = "busy",
                                         .answer_size = 4};
    const struct window_failure never = {.attempts = 9, .status = 400, .error = "bad"};
    struct window *w = window_new(10, "{\"settled\":\"12-13,30\"}", skip_dead, free_item, NULL);
    text[0] = '\0';
    if (!w)
        return false;
    restore(w, 5, "a", FAILED_RETRY);
    restore(w, 6, "a", FAILED_WAITING);
    restore(w, 7, "b", FAILED_DEAD);
    put(w, 11, "c");
    put(w, 14, "a"); /* waits behind 5 */
    put(w, 15, "c");
    put(w, 16, NULL);
    put(w, 17, "d");
    put(w, 18, "d");
    put(w, 19, "e");
    window_pass(w, 20);
    write_settlement(w, text, size);
    struct window_event *first = next(w, 0, 11), *second = next(w, 0, 16), *third = next(w, 0, 17);
    do_it(window_retry(w, first, 2000, &later)); /* and 15 waits */
    do_it(window_delivered(w, second));
    write_settlement(w, text, size);
    do_it(window_dead(w, third, &never));
    window_recorded(w);
    deliver(w, next(w, 0, 19));
    write_settlement(w, text, size);
    deliver(w, next(w, 1500, 5));
    deliver(w, next(w, 1500, 6));
    write_settlement(w, text, size);
    window_free(w);
    assert_int_equal(items, 0);
    return true;
}

static void a_refusal_changes_nothing(bool skip_dead)
{
    static char wanted[4096], text[4096];
    assert_true(run(skip_dead, wanted, sizeof wanted));
    assert_non_null(strstr(wanted, "not now,msg_1,busy"));
    long k = 1, ours = alloc_ours;
    for (;; k++) {
        alloc_arm(k, false);
        bool there = run(skip_dead, text, sizeof text);
        bool met = alloc_disarm();
        if (there && strcmp(text, wanted))
            fail_msg("allocation %ld: settled\n%sand not\n%s", k, text, wanted);
        if (alloc_ours != ours)
            fail_msg("allocation %ld: %ld blocks leak", k, alloc_ours - ours);
        if (!met)
            break;
    }
    assert_true(k > 20);
}

static void where_the_dead_are_parked(void **state)
{
    (void)state;
    a_refusal_changes_nothing(false);
}

static void where_they_are_skipped(void **state)
{
    (void)state;
    a_refusal_changes_nothing(true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_the_dead_are_parked),
        cmocka_unit_test(where_they_are_skipped),
    };
    return cmocka_run_group_tests_name("oom_window", tests, NULL, NULL);
}
