/* window_settle.c — what a window has to say: how full it is, and how far the consumer has come.
 *
 * Leaves to others: all that changes it (window.c). The invariant: a cursor is never given without every change that it
 * relies on, and a position names no event that is fresh.
 */
#include <utlist.h>

#include "window_state.h"

int64_t window_due_us(const struct window *w)
{
    return w->ready ? INT64_MIN : due_heap_next_us(&w->backoff);
}

int window_ready(const struct window *w)
{
    const struct lane *lane;
    int count = 0;

    DL_COUNT(w->ready, lane, count);
    return count;
}

bool window_is_unrecorded(const struct window *w)
{
    return w->untold || w->told;
}

size_t window_fresh(const struct window *w)
{
    return w->fresh_count;
}

size_t window_in_flight(const struct window *w)
{
    return w->in_flight;
}

int64_t window_retrying(const struct window *w)
{
    return w->aside_count - w->parked_count;
}

/* Everything read is settled but for the fresh events, of which those above settled_seq need not be looked at: a thousand
 * may wait there. What a position said before the start still holds beyond the last event read. */
static const char *position_text(struct window *w, int64_t acked_seq)
{
    struct position_writer writer;
    int64_t after = acked_seq;

    const struct window_event *e = w->fresh;

    position_begin(&writer, &w->position);
    for (; e && e->seq <= w->settled_seq; e = e->next) {
        position_add(&writer, after + 1, e->seq - 1);
        after = e->seq;
    }
    position_add(&writer, after + 1, e ? w->settled_seq : w->last_seq);
    for (int i = 0; i < w->settled.count; i++) {
        const struct seq_range *range = &w->settled.ranges[i];
        position_add(&writer, range->first > w->last_seq ? range->first : w->last_seq + 1, range->last);
    }
    position_end(&writer);
    return w->position.size ? buffer_text(&w->position) : NULL;
}

void window_touch(struct window *w)
{
    w->news = true;
}

bool window_settle(struct window *w, struct settlement *out)
{
    if (!w->news)
        return false;
    int64_t acked_seq = w->fresh ? w->fresh->seq - 1 : w->last_seq;
    const char *position = position_text(w, acked_seq);
    if (!buffer_ok(&w->position)) /* a kill would repeat what a cursor without it forgets */
        return false;
    *out = (struct settlement){.acked_seq = acked_seq, .position = position};
    change_list_give(&w->changes, out);
    DL_CONCAT(w->told, w->untold);
    w->untold = NULL;
    w->news = false;
    return true;
}
