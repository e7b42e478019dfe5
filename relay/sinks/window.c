/* window.c — lanes, the fresh events among them, and the changes that they owe to the ledger.
 *
 * Leaves to others: what it all comes to (window_settle.c), sending, clocks, when to try again (webhook.c), and making it
 * durable (the ledger). The invariants: a lane has at least one event, and only its first, or its first few in one
 * request, may be in flight; its events are all fresh or have all stepped aside; one stops being fresh only in the
 * settlement that says what became of it.
 */
#include "window.h"

#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "window_state.h"

struct window *window_new(int64_t acked_seq, const char *position, bool skip_dead,
                          void (*free_item)(void *arg, void *item), void *arg)
{
    struct window *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->last_seq = acked_seq;
    w->skip_dead = skip_dead;
    w->free_item = free_item;
    w->arg = arg;
    if (!position_parse(&w->settled, position) && errno == ENOMEM) {
        free(w);
        return NULL;
    }
    return w;
}

enum { IDLE_MAX = 4096 };

static struct window_event *new_event(struct window *w)
{
    struct window_event *e = w->idle;

    if (!e)
        return calloc(1, sizeof *e);
    w->idle = e->behind;
    w->idle_count--;
    *e = (struct window_event){0};
    return e;
}

static void free_event(struct window *w, struct window_event *e)
{
    if (!e)
        return;
    if (w->idle_count == IDLE_MAX) {
        free(e);
        return;
    }
    e->behind = w->idle;
    w->idle = e;
    w->idle_count++;
}

static void free_idle(struct window *w)
{
    for (struct window_event *e = w->idle, *after; e; e = after) {
        after = e->behind;
        free(e);
    }
}

static void drop_item(struct window *w, struct window_event *e)
{
    if (e->item)
        w->free_item(w->arg, e->item);
    e->item = NULL;
}

static void free_lanes(struct window *w, struct lane *lanes)
{
    for (struct lane *lane = lanes, *after; lane; lane = after) {
        after = lane->hh.next;
        while (lane->first) {
            struct window_event *e = lane_shift(lane);
            drop_item(w, e);
            free_event(w, e);
        }
        lane_free(&w->lanes, lane);
    }
}

void window_free(struct window *w)
{
    if (!w)
        return;
    free_lanes(w, w->lanes.keyed);
    free_lanes(w, w->lanes.loners);
    lane_table_fini(&w->lanes);
    free_idle(w);
    change_list_free(&w->changes);
    due_heap_free(&w->backoff);
    position_free(&w->settled);
    buffer_free(&w->position);
    free(w);
}

/* ---- A lane's ways ---------------------------------------------------------------------------------------------------- */

static void make_ready(struct window *w, struct lane *lane)
{
    lane->state = LANE_READY;
    DL_APPEND(w->ready, lane);
}

static void park(struct window *w, struct lane *lane)
{
    lane->state = LANE_PARKED;
    w->parked_count += lane->count;
}

static void settle_one(struct window *w, int64_t seq)
{
    if (w->settled_seq < seq)
        w->settled_seq = seq;
}

static void stop_counting(struct window *w, struct window_event *e)
{
    if (e->lane->aside) {
        w->aside_count--;
    } else {
        DL_DELETE(w->fresh, e);
        w->fresh_count--;
        settle_one(w, e->seq);
    }
}

/* The first event is done with, and the lane with its last one; else the next event's turn has come, unless it went
 * along with the first. */
static void lane_advance(struct window *w, struct lane *lane)
{
    struct window_event *done = lane_shift(lane);

    if (!done->dead)
        stop_counting(w, done);
    drop_item(w, done);
    free_event(w, done);
    if (!lane->first)
        lane_free(&w->lanes, lane);
    else if (lane->in_flight > 0)
        lane->state = LANE_IN_FLIGHT;
    else if (lane->first->dead)
        park(w, lane);
    else
        make_ready(w, lane);
}

static void count_in_flight(struct window *w, struct lane *lane, int by)
{
    lane->in_flight += by;
    w->in_flight += (size_t)by;
}

/* The change that records what became of one event. how NULL: nothing was tried. */
static bool add_change(struct window *w, const struct window_event *e, enum failed_state state,
                       const struct window_failure *how)
{
    struct failed_change change = {.seq = e->seq, .state = state, .attempts = e->attempts};
    struct change_texts texts = {.key = e->lane->key};

    if (how) {
        change.attempts = how->attempts;
        change.next_attempt_at_us = how->next_attempt_at_us;
        change.failed_at_us = how->failed_at_us;
        change.last_status = how->status;
        change.attempt.at_us = how->attempted_at_us;
        texts.error = how->error;
        texts.request = how->request;
        texts.answer = how->answer;
        texts.answer_size = how->answer_size;
    }
    return change_list_add(&w->changes, &change, &texts);
}

/* The changes of a fresh lane that steps aside: its first event's as told, `waiting` for the others. All or none. */
static bool add_lane_changes(struct window *w, const struct lane *lane, enum failed_state state,
                             const struct window_failure *how)
{
    size_t before = w->changes.count;

    for (const struct window_event *e = lane->first; e; e = e->behind) {
        bool added = e == lane->first ? add_change(w, e, state, how) : add_change(w, e, FAILED_WAITING, NULL);
        if (!added) {
            change_list_cut(&w->changes, before);
            return false;
        }
    }
    return true;
}

/* All its events stop being fresh. Their items go: memory holds what can be sent now, change_log the rest. */
static void step_aside(struct window *w, struct lane *lane)
{
    for (struct window_event *e = lane->first; e; e = e->behind) {
        DL_DELETE(w->fresh, e);
        settle_one(w, e->seq);
        drop_item(w, e);
    }
    w->fresh_count -= (size_t)lane->count;
    w->aside_count += lane->count;
    lane->aside = true;
}

/* ---- In --------------------------------------------------------------------------------------------------------------- */

bool window_restore(struct window *w, const struct failed_change *row, int64_t due_us, int64_t failing_since_us)
{
    bool dead = row->state == FAILED_DEAD;

    if (dead && (w->skip_dead || !row->key))
        return true; /* nothing waits behind it */
    struct lane_key key = lane_key(row->key);
    struct lane *lane = lane_find(&w->lanes, &key);
    struct window_event *e = new_event(w);
    bool first = !lane;
    if (!e || !due_heap_reserve(&w->backoff, 1) || (first && !(lane = lane_new(&w->lanes, &key)))) {
        free_event(w, e);
        return false;
    }
    e->seq = row->seq;
    e->attempts = row->attempts;
    e->failing_since_us = failing_since_us;
    e->dead = dead;
    lane_append(lane, e);
    lane->aside = true;
    w->aside_count++;
    w->parked_count += lane->state == LANE_PARKED;
    if (!first)
        return true;
    if (dead) {
        park(w, lane);
    } else if (row->state == FAILED_RETRY) {
        lane->state = LANE_BACKOFF;
        due_heap_push(&w->backoff, due_us, lane);
    } else {
        make_ready(w, lane);
    }
    return true;
}

bool window_put(struct window *w, int64_t seq, const char *key, void *item)
{
    if (position_take(&w->settled, seq)) {
        w->free_item(w->arg, item);
        window_pass(w, seq);
        return true;
    }
    struct lane_key named = lane_key(key);
    struct lane *lane = lane_find(&w->lanes, &named);
    struct window_event *e = new_event(w);
    bool first = !lane;
    if (!e || (first && !(lane = lane_new(&w->lanes, &named))))
        goto no_memory;
    e->seq = seq;
    e->item = item;
    e->lane = lane;
    if (lane->aside && !add_change(w, e, FAILED_WAITING, NULL))
        goto no_memory;
    lane_append(lane, e);
    w->last_seq = seq;
    w->news = true;
    if (lane->aside) {
        drop_item(w, e);
        settle_one(w, seq);
        w->aside_count++;
        w->parked_count += lane->state == LANE_PARKED;
        return true;
    }
    DL_APPEND(w->fresh, e);
    w->fresh_count++;
    if (first)
        make_ready(w, lane);
    return true;

no_memory:
    free_event(w, e);
    return false;
}

void window_pass(struct window *w, int64_t seq)
{
    settle_one(w, seq);
    w->last_seq = seq;
    w->news = true;
}

/* ---- Out -------------------------------------------------------------------------------------------------------------- */

const struct window_event *window_peek(struct window *w, int64_t now_us)
{
    for (struct lane *due; (due = due_heap_pop(&w->backoff, now_us));)
        make_ready(w, due);
    return w->ready ? w->ready->first : NULL;
}

struct window_event *window_next(struct window *w, int64_t now_us)
{
    if (!window_peek(w, now_us))
        return NULL;
    struct lane *lane = w->ready;
    DL_DELETE(w->ready, lane);
    lane->state = LANE_IN_FLIGHT;
    count_in_flight(w, lane, 1);
    return lane->first;
}

struct window_event *window_behind(struct window *w, struct window_event *e)
{
    if (!e->behind || e->behind->dead)
        return NULL;
    count_in_flight(w, e->lane, 1);
    return e->behind;
}

bool window_leads(const struct window_event *e)
{
    return e == e->lane->first;
}

bool window_delivered(struct window *w, struct window_event *e)
{
    if (!window_leads(e) || (e->lane->aside && !add_change(w, e, FAILED_GONE, NULL)))
        return false;
    count_in_flight(w, e->lane, -1);
    w->news = true;
    lane_advance(w, e->lane);
    return true;
}

bool window_retry(struct window *w, struct window_event *e, int64_t due_us, const struct window_failure *how)
{
    struct lane *lane = e->lane;

    if (!window_leads(e) || !due_heap_reserve(&w->backoff, 1) ||
        !(lane->aside ? add_change(w, e, FAILED_RETRY, how) : add_lane_changes(w, lane, FAILED_RETRY, how)))
        return false;
    count_in_flight(w, lane, -1);
    w->news = true;
    e->attempts = how->attempts;
    if (!lane->aside)
        step_aside(w, lane);
    drop_item(w, e);
    lane->state = LANE_BACKOFF;
    due_heap_push(&w->backoff, due_us, lane);
    return true;
}

/* Parking keeps the dead event at the head of its lane, so that what comes later finds it there. Skipping does so until
 * the ledger has the death: a kill before that sends the event again, and those behind it would have overtaken. An
 * unordered one holds up nobody: the ledger's row is all that is left of it. */
bool window_dead(struct window *w, struct window_event *e, const struct window_failure *how)
{
    struct lane *lane = e->lane;
    bool parks = lane->key && !w->skip_dead, whole_lane = parks && !lane->aside;

    if (!window_leads(e) ||
        !(whole_lane ? add_lane_changes(w, lane, FAILED_DEAD, how) : add_change(w, e, FAILED_DEAD, how)))
        return false;
    count_in_flight(w, lane, -1);
    w->news = true;
    if (!lane->key) {
        lane_advance(w, lane);
        return true;
    }
    e->dead = true;
    if (whole_lane)
        step_aside(w, lane);
    drop_item(w, e);
    if (parks) {
        park(w, lane);
        return true;
    }
    stop_counting(w, e);
    lane->state = LANE_UNRECORDED;
    DL_APPEND(w->untold, lane);
    return true;
}

void window_recorded(struct window *w)
{
    for (struct lane *lane; (lane = w->told);) {
        DL_DELETE(w->told, lane);
        lane_advance(w, lane);
    }
}

void window_return(struct window *w, struct window_event *e)
{
    count_in_flight(w, e->lane, -1);
    if (e->lane->in_flight == 0)
        make_ready(w, e->lane);
}
