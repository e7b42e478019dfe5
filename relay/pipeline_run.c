/* pipeline_run.c — an event's way through one sink: read and put (pipeline_read.c), push, settle, wait.
 *
 * Every path from here either delivers what was put, or leaves for a stage that opens the sink again at a cursor before
 * it: nothing is ever both passed over and undelivered. No read transaction is open while anything waits.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "database.h"
#include "log.h"
#include "pipeline_run.h"
#include "settlement.h"

enum {
    BACKLOG_LOOK_US = 100000,
    HUSH_MAX_US = 5000,      /* what an operator commits is heard of that soon */
    SETTLE_GAP_US = 2000,    /* between two settlements: each wakes the ledger */
    FLUSH_MS = 10000,        /* at the end, for a writer that holds the lock */
    ONCE_STALL_US = 10000000 /* --once: beyond the sink's own time-out, nothing moves any more */
};

/* ---- Deliver and settle ------------------------------------------------------------------------------------------- */

static bool remember(struct cursor *cursor, const struct settlement *s)
{
    char *position = s->position ? strdup(s->position) : NULL;
    if (s->position && !position)
        return false;
    free(cursor->position);
    cursor->position = position;
    if (s->acked_seq > cursor->acked_seq)
        cursor->acked_seq = s->acked_seq;
    return true;
}

static enum stage settle(struct pipeline *p)
{
    struct settlement s = {0};
    p->settled_at_us = clock_monotonic_us();
    if (!p->options.ops->settle(p->sink, &s))
        return STAGE_DELIVER;
    p->reached_seq = s.acked_seq;
    p->progress_at_us = clock_monotonic_us();
    if (!p->consumer) {
        settlement_free_changes(s.changes, s.change_count);
        return STAGE_DELIVER;
    }
    bool remembered = remember(&p->cursor, &s), disabled = s.disable;
    /* Crash here: it is delivered and not recorded. A file says so by itself; the trail says so for a receiver, which
     * knows the id of what was in flight. */
    if (!ledger_post(p->consumer, &s) || !remembered)
        return STAGE_CLAIM;
    /* Once that is on record only an operator's word counts, which may have come by then. */
    return disabled ? STAGE_PAUSE : STAGE_DELIVER;
}

enum stage pipeline_stop_for_good(struct pipeline *p, const char *reason)
{
    log_write(LOG_LEVEL_ERROR, p->options.settings->consumer, "%s", reason);
    return STAGE_BROKEN;
}

static enum stage after_sink(struct pipeline *p, enum sink_result result)
{
    switch (result) {
    case SINK_OK: return STAGE_DELIVER;
    case SINK_LATER: return STAGE_OPEN;
    case SINK_BROKEN: return pipeline_stop_for_good(p, p->reason);
    }
    return STAGE_BROKEN; /* unreachable */
}

static enum stage push(struct pipeline *p)
{
    enum sink_result result = p->options.ops->push(p->sink);
    bool soon = result == SINK_OK && clock_monotonic_us() < p->settled_at_us + SETTLE_GAP_US;
    p->unsettled = soon;
    enum stage settled = soon ? STAGE_DELIVER : settle(p); /* what was reached before the fault counts */
    enum stage next = after_sink(p, result);
    return next != STAGE_DELIVER ? next : settled;
}

/* What is settled is posted, unless that is put off; what the ledger has then, the trail need not. */
static void look_at_ledger(struct pipeline *p)
{
    int64_t acked_seq;
    if (!p->trail)
        return;
    bool all = ledger_recorded(p->consumer, &acked_seq);
    trail_recorded(p->trail, acked_seq, all && !p->unsettled);
}

/* ---- Wait --------------------------------------------------------------------------------------------------------- */

static void wait_until(struct pipeline *p, int64_t deadline_us)
{
    int timeout_ms = clock_poll_ms(deadline_us, clock_monotonic_us());
    int fd = wake_fd(p->wake);
    struct pollfd wake = {.fd = fd, .events = POLLIN};
    if (p->options.ops->wait)
        p->options.ops->wait(p->sink, fd, timeout_ms);
    else
        poll(&wake, 1, timeout_ms);
}

static enum stage wait_for_more(struct pipeline *p)
{
    int64_t now_us = clock_monotonic_us(), deadline_us = p->options.ops->due(p->sink);
    int64_t read_us = pipeline_read_due_us(p);
    if (now_us >= read_us)
        return STAGE_DELIVER;
    if (read_us < deadline_us)
        deadline_us = read_us;
    if (read_us != INT64_MAX) /* something was written, and is to be read no sooner than then */
        wake_hush(p->wake, read_us - now_us < HUSH_MAX_US ? read_us - now_us : HUSH_MAX_US);
    if (pipeline_state_due_us(p) < deadline_us)
        deadline_us = pipeline_state_due_us(p);
    if (p->unsettled && p->settled_at_us + SETTLE_GAP_US < deadline_us)
        deadline_us = p->settled_at_us + SETTLE_GAP_US;
    if (p->consumer && ledger_backlog(p->consumer) >= PIPELINE_BACKLOG_MAX && now_us + BACKLOG_LOOK_US < deadline_us)
        deadline_us = now_us + BACKLOG_LOOK_US;
    if (p->options.once && now_us + ONCE_STALL_US < deadline_us)
        deadline_us = now_us + ONCE_STALL_US;
    wait_until(p, deadline_us);
    int fired = wake_drain(p->wake);
    p->look = p->look || fired;
    p->heard |= fired != 0;
    if ((fired & WAKE_MOVED) && database_moved(p->db))
        return pipeline_stop_for_good(p, PIPELINE_MOVED);
    return STAGE_DELIVER;
}

/* ---- The round ---------------------------------------------------------------------------------------------------- */

/* What others want of this pipeline. */
static enum stage look_around(struct pipeline *p)
{
    if (p->stop)
        return STAGE_FINISH;
    if (atomic_exchange(&p->reopen, false) && p->options.ops->reopen)
        p->options.ops->reopen(p->sink);
    if (!p->consumer)
        return STAGE_DELIVER;
    look_at_ledger(p);
    switch (ledger_standing(p->consumer)) {
    case LEDGER_HELD: return STAGE_DELIVER;
    case LEDGER_STALE: return STAGE_CLAIM;
    case LEDGER_ENDED: return pipeline_stop_for_good(p, "its acknowledgements can no longer be recorded");
    }
    return STAGE_BROKEN; /* unreachable */
}

/* --once is over when everything is with the sink, which finish() then sees through; or when nothing moves any more. */
static enum stage look_at_once(struct pipeline *p)
{
    if (!p->options.once)
        return STAGE_DELIVER;
    int64_t patience_us = ONCE_STALL_US;
    if (p->options.settings->kind == SINK_WEBHOOK)
        patience_us += p->options.settings->webhook.timeout_us;
    else if (p->options.settings->kind == SINK_EXEC)
        patience_us += p->options.settings->exec.timeout_us;
    bool stalled = clock_monotonic_us() - p->progress_at_us > patience_us;
    return p->read_seq >= p->options.once_seq || stalled ? STAGE_FINISH : STAGE_DELIVER;
}

enum stage pipeline_run(struct pipeline *p)
{
    enum stage next = STAGE_DELIVER;
    while (next == STAGE_DELIVER) {
        next = look_around(p);
        if (next == STAGE_DELIVER)
            next = pipeline_read(p);
        if (next == STAGE_DELIVER)
            next = push(p);
        if (next == STAGE_DELIVER)
            next = look_at_once(p);
        if (next == STAGE_DELIVER)
            next = wait_for_more(p);
    }
    read_ahead_drop(p->ahead); /* what comes next may close the sink, or move the cursor */
    return next;
}

bool pipeline_pause(struct pipeline *p, int timeout_ms)
{
    if (!p->stop)
        wake_wait(p->wake, timeout_ms);
    return p->stop;
}

bool pipeline_rest(struct pipeline *p, int64_t until_us)
{
    for (int64_t now_us = clock_monotonic_us(); now_us < until_us && !p->stop; now_us = clock_monotonic_us())
        wake_wait(p->wake, clock_poll_ms(until_us, now_us));
    return p->stop;
}

bool pipeline_flush(struct pipeline *p)
{
    switch (p->consumer ? ledger_flush(p->consumer, FLUSH_MS) : LEDGER_OK) {
    case LEDGER_OK: return true;
    case LEDGER_LATER:
        log_write(LOG_LEVEL_WARN, p->options.settings->consumer,
                  "the last acknowledgements could not be recorded: what they cover is delivered again");
        return false;
    case LEDGER_BROKEN:
    case LEDGER_INTERRUPTED: break;
    }
    return false;
}

/* --once sees everything through that was read, unless an operator pauses, moves or removes the consumer meanwhile. */
static bool is_called_off(struct pipeline *p)
{
    return p->context.once && clock_monotonic_us() >= pipeline_state_due_us(p) &&
           pipeline_look_at_state(p) != STAGE_DELIVER;
}

enum sink_result pipeline_finish(struct pipeline *p)
{
    const struct sink_ops *ops = p->options.ops;
    enum sink_result result;
    for (;;) {
        if (p->stop || is_called_off(p))
            p->context.once = false;
        if ((result = ops->finish(p->sink)) != SINK_LATER)
            break;
        look_at_ledger(p);
        enum stage next = push(p);
        if (next != STAGE_DELIVER && next != STAGE_PAUSE) {
            pipeline_flush(p); /* what it reached before that is settled, an attempt that failed too */
            return next == STAGE_BROKEN ? SINK_BROKEN : SINK_LATER;
        }
        int64_t due_us = ops->due(p->sink);
        wait_until(p, pipeline_state_due_us(p) < due_us ? pipeline_state_due_us(p) : due_us);
        p->heard |= wake_drain(p->wake) != 0;
    }
    enum stage settled = settle(p);
    if (settled != STAGE_DELIVER && settled != STAGE_PAUSE)
        return SINK_LATER;
    if (result == SINK_BROKEN) {
        log_write(LOG_LEVEL_ERROR, p->options.settings->consumer, "%s", p->reason);
        return SINK_BROKEN;
    }
    if (!pipeline_flush(p))
        return SINK_LATER;
    if (!trail_clear(p->trail)) {
        /* The database has it all; what the file still says of it is true, and says nothing new. */
    }
    return SINK_OK;
}
