/* pipeline_run.c — an event's way through one sink: room, read, put, push, settle, wait.
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
    BATCH_MIN = 64,
    READ_BATCH_DEFAULT = 1000,
    READ_RETRY_MS = 1000,
    BACKLOG_MAX = 10000, /* changes that the ledger could not write yet */
    BACKLOG_LOOK_US = 100000,
    READ_MIN = 128, /* with less room than that, reads are READ_GAP_US apart: a transaction per event is dear */
    READ_GAP_US = 2000,
    STATE_GAP_US = 5000,     /* between looks at the consumer's state where nothing can be read */
    SETTLE_GAP_US = 2000,    /* as are settlements: each wakes the ledger */
    FLUSH_MS = 10000,        /* at the end, for a writer that holds the lock */
    ONCE_STALL_US = 10000000 /* --once: beyond the sink's own time-out, nothing moves any more */
};

/* One call of source_read. */
struct taking {
    struct pipeline *pipeline;
    enum sink_result result;
    int put; /* events, without those filtered out */
};

/* Few rows when quiet, so that the first of them leave soon; more under a backlog. */
static void adapt_batch(struct pipeline *p, bool full)
{
    int most = p->options.settings->read_batch > 0 ? p->options.settings->read_batch : READ_BATCH_DEFAULT;
    p->batch = full ? p->batch * 2 : BATCH_MIN;
    if (p->batch > most)
        p->batch = most;
}

void pipeline_run_begin(struct pipeline *p, int64_t read_seq)
{
    p->read_seq = p->reached_seq = read_seq;
    adapt_batch(p, false);
    p->look = true;
    p->heard = false;
    p->progress_at_us = clock_monotonic_us();
    bool registered = p->consumer != NULL;
    source_expect(p->source, p->schema.source, p->lease_token, registered ? p->cursor.acked_seq : INT64_MAX);
}

/* ---- Read and put ------------------------------------------------------------------------------------------------- */

/* In the read transaction: encodes, nothing else. */
static bool take(void *arg, const struct source_row *row, bool wanted)
{
    struct taking *t = arg;
    struct pipeline *p = t->pipeline;
    if (!wanted)
        p->options.ops->skip(p->sink, row->event.seq);
    else
        t->result = p->options.ops->put(p->sink, row);
    t->put += wanted && t->result == SINK_OK;
    return t->result == SINK_OK;
}

/* When there is something to read, and room for it: INT64_MAX where there isn't. */
static int64_t read_due_us(const struct pipeline *p)
{
    bool read_all = p->options.once && p->read_seq >= p->options.once_seq;
    int room = p->look && !read_all ? p->options.ops->room(p->sink) : 0;
    if (room <= 0 || (p->consumer && ledger_backlog(p->consumer) >= BACKLOG_MAX))
        return INT64_MAX;
    int64_t due_us = room >= READ_MIN ? 0 : p->read_at_us + READ_GAP_US;
    int64_t rate_us = rate_due_us(&p->rate, clock_monotonic_us());
    return due_us > rate_us ? due_us : rate_us;
}

static bool may_read(const struct pipeline *p)
{
    return clock_monotonic_us() >= read_due_us(p);
}

static enum stage stop_for_good(struct pipeline *p, const char *reason)
{
    log_write(LOG_LEVEL_ERROR, p->options.settings->consumer, "%s", reason);
    return STAGE_BROKEN;
}

/* The database could not be read. Rows put before that are not known to be durable: the sink has to forget them, which
 * a new claim sees to. */
static enum stage read_later(struct pipeline *p)
{
    if (!p->trouble_said)
        log_write(LOG_LEVEL_WARN, p->options.settings->consumer, "%s; trying again", source_message(p->source));
    p->trouble_said = true;
    if (p->options.once)
        return STAGE_TEMPORARY;
    return pipeline_pause(p, READ_RETRY_MS) ? STAGE_DONE : STAGE_CLAIM;
}

static enum stage read_batch(struct pipeline *p)
{
    struct taking t = {p, SINK_OK, 0};
    int room = p->options.ops->room(p->sink), burst = rate_burst(&p->rate);
    if (room > burst)
        room = burst;
    int64_t before = p->read_seq;
    bool full = false;
    enum source_result result = source_read(p->source, &p->read_seq, room < p->batch ? room : p->batch, take, &t,
                                            &full);
    rate_take(&p->rate, t.put, clock_monotonic_us());
    if (t.result != SINK_OK)
        return STAGE_OPEN;
    switch (result) {
    case SOURCE_OK: break;
    case SOURCE_PAUSED: return STAGE_PAUSE;
    case SOURCE_STALE:
        log_write(LOG_LEVEL_INFO, p->options.settings->consumer, "%s: beginning again", source_message(p->source));
        return STAGE_CLAIM;
    case SOURCE_LATER: return read_later(p);
    case SOURCE_GAP:
    case SOURCE_REWOUND:
    case SOURCE_BROKEN: return stop_for_good(p, source_message(p->source));
    }
    p->trouble_said = p->heard = false;
    p->read_at_us = p->state_seen_at_us = clock_monotonic_us();
    p->look = full;
    adapt_batch(p, full);
    if (p->read_seq != before) {
        p->progress_at_us = clock_monotonic_us();
        wake_found(p->wake);
    }
    return STAGE_DELIVER;
}

/* ---- The consumer's state --------------------------------------------------------------------------------------------- */

static int64_t state_due_us(const struct pipeline *p)
{
    return p->consumer && p->heard ? p->state_seen_at_us + STATE_GAP_US : INT64_MAX;
}

/* Each read sees whether an operator has paused, moved or removed the consumer. A sink that is full, backs off or is
 * down goes on sending what it has, and nothing is read: so it is looked at here. What else is wrong a read will say. */
static enum stage look_at_state(struct pipeline *p)
{
    enum source_result result = source_look(p->source, 0);
    p->state_seen_at_us = clock_monotonic_us();
    p->heard = result == SOURCE_LATER;
    if (result == SOURCE_STALE)
        log_write(LOG_LEVEL_INFO, p->options.settings->consumer, "%s: beginning again", source_message(p->source));
    return result == SOURCE_PAUSED ? STAGE_PAUSE : result == SOURCE_STALE ? STAGE_CLAIM : STAGE_DELIVER;
}

static enum stage read_or_look(struct pipeline *p)
{
    if (may_read(p))
        return read_batch(p);
    return clock_monotonic_us() >= state_due_us(p) ? look_at_state(p) : STAGE_DELIVER;
}

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

static enum stage after_sink(struct pipeline *p, enum sink_result result)
{
    switch (result) {
    case SINK_OK: return STAGE_DELIVER;
    case SINK_LATER: return STAGE_OPEN;
    case SINK_BROKEN: return stop_for_good(p, p->reason);
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
    int64_t read_us = read_due_us(p);
    if (now_us >= read_us)
        return STAGE_DELIVER;
    if (read_us < deadline_us)
        deadline_us = read_us;
    if (state_due_us(p) < deadline_us)
        deadline_us = state_due_us(p);
    if (p->unsettled && p->settled_at_us + SETTLE_GAP_US < deadline_us)
        deadline_us = p->settled_at_us + SETTLE_GAP_US;
    if (p->consumer && ledger_backlog(p->consumer) >= BACKLOG_MAX && now_us + BACKLOG_LOOK_US < deadline_us)
        deadline_us = now_us + BACKLOG_LOOK_US;
    if (p->options.once && now_us + ONCE_STALL_US < deadline_us)
        deadline_us = now_us + ONCE_STALL_US;
    wait_until(p, deadline_us);
    int fired = wake_drain(p->wake);
    p->look = p->look || fired;
    p->heard |= fired != 0;
    if ((fired & WAKE_MOVED) && database_moved(p->db))
        return stop_for_good(p, "the database file was moved, removed or replaced; start the relay again");
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
    case LEDGER_ENDED: return stop_for_good(p, "its acknowledgements can no longer be recorded");
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
            next = read_or_look(p);
        if (next == STAGE_DELIVER)
            next = push(p);
        if (next == STAGE_DELIVER)
            next = look_at_once(p);
        if (next == STAGE_DELIVER)
            next = wait_for_more(p);
    }
    return next;
}

bool pipeline_pause(struct pipeline *p, int timeout_ms)
{
    if (!p->stop)
        wake_wait(p->wake, timeout_ms);
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
    return p->context.once && clock_monotonic_us() >= state_due_us(p) && look_at_state(p) != STAGE_DELIVER;
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
        wait_until(p, state_due_us(p) < due_us ? state_due_us(p) : due_us);
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
