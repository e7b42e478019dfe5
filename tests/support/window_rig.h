/* window_rig.h — a window of events as a few words each: put, next, fails, dies, settles as.
 *
 * Items are heap bytes, so that the sanitizers see one that is lost or freed twice.
 */
#ifndef TESTS_WINDOW_RIG_H
#define TESTS_WINDOW_RIG_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/window.h"

static inline void free_item(void *arg, void *item)
{
    (void)arg;
    free(item);
}

static inline struct window *opened(int64_t acked, const char *position, bool skip_dead)
{
    struct window *w = window_new(acked, position, skip_dead, free_item, NULL);
    assert_non_null(w);
    return w;
}

static inline void put(struct window *w, int64_t seq, const char *key)
{
    assert_true(window_put(w, seq, key, malloc(1)));
}

static inline struct window_event *next_is(struct window *w, int64_t now, int64_t seq)
{
    struct window_event *e = window_next(w, now);
    if (!e || e->seq != seq)
        fail_msg("next is %" PRId64 ", not %" PRId64, e ? e->seq : -1, seq);
    return e;
}

static inline void nothing_is_next(struct window *w, int64_t now)
{
    assert_null(window_next(w, now));
}

static inline void fails(struct window *w, struct window_event *e, int64_t due)
{
    struct window_failure how = {.attempts = e->attempts + 1, .next_attempt_at_us = due, .status = 503, .error = "503"};
    assert_true(window_retry(w, e, due, &how));
}

static inline void dies(struct window *w, struct window_event *e)
{
    struct window_failure how = {.attempts = e->attempts + 1, .status = 400, .error = "400"};
    assert_true(window_dead(w, e, &how));
}

static inline void free_settlement(struct settlement *s)
{
    for (int i = 0; i < s->change_count; i++)
        failed_change_fini(&s->changes[i]);
    free(s->changes);
}

/* "acked POSITION SEQ:STATE …", as one text to compare */
static inline void settles_as(struct window *w, const char *expected)
{
    static const char *const states[] = {"retry", "waiting", "dead", "gone"};
    struct settlement s;
    char text[1024];

    assert_true(window_settle(w, &s));
    int size = snprintf(text, sizeof text, "%" PRId64 " %s", s.acked_seq, s.position ? s.position : "-");
    for (int i = 0; i < s.change_count; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, " %" PRId64 ":%s", s.changes[i].seq,
                         states[s.changes[i].state]);
    free_settlement(&s);
    assert_string_equal(text, expected);
}

#endif
