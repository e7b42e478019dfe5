/* pipeline_read.c — room in the sink, events into it; under a backlog by way of read_ahead.h.
 *
 * Leaves to others: what becomes of an event then (pipeline_run.c). The invariant: the sink is handed every event once,
 * in seq order, and read_seq is the last one: only what follows it is ever asked for.
 */
#include <inttypes.h>

#include "clock.h"
#include "database.h"
#include "log.h"
#include "pipeline_run.h"

enum {
    BATCH_MIN = 64,
    READ_BATCH_DEFAULT = 1000,
    READ_RETRY_US = 1000000,
    READ_MIN = 128, /* with less room than that, reads are READ_GAP_US apart: a transaction per event is dear */
    READ_GAP_US = 2000,
    /* Each read of what was just committed syncs the WAL, and the writer's next sync waits for that one. So at a writer
     * who doesn't pause, reads of less than a whole batch come once in so long; the first few come at once. */
    READ_PACE_US = 5000,
    READ_BURST = 4,
    /* Of several pipelines that do so one syncs, and the others read what it has synced: so long after its next sync is
     * to be expected, or they would be a whole pace behind. */
    FOLLOW_US = 500,
    STATE_GAP_US = 5000 /* between looks at the consumer's state where no read sees it */
};

/* One call of source_read. */
struct taking {
    struct pipeline *pipeline;
    enum sink_result result;
    int put; /* events, without those filtered out */
};

/* Few rows when quiet, so that the first of them leave soon; more under a backlog, and at a writer who doesn't pause as
 * many as come between two reads: each one more is a transaction more. */
static void adapt_batch(struct pipeline *p, bool full, int taken)
{
    int most = p->options.settings->read_batch > 0 ? p->options.settings->read_batch : READ_BATCH_DEFAULT;
    if (full)
        p->batch *= 2;
    else if (taken < p->batch / 8) /* not a quarter: this may be what a full one has left */
        p->batch /= 2;
    if (p->batch < BATCH_MIN)
        p->batch = BATCH_MIN;
    if (p->batch > most)
        p->batch = most;
}

void pipeline_run_begin(struct pipeline *p, int64_t read_seq)
{
    p->read_seq = p->reached_seq = read_seq;
    p->owed_after = p->consumer ? p->cursor.acked_seq : INT64_MAX;
    p->batch = 0;
    adapt_batch(p, false, 0);
    p->look = true;
    p->heard = p->page_open = false;
    p->progress_at_us = clock_monotonic_us();
    source_expect(p->source, p->schema.source, p->lease_token, p->owed_after);
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

/* When there is something to read, or to take of what was read ahead, and room for it: INT64_MAX where there isn't. */
int64_t pipeline_read_due_us(const struct pipeline *p)
{
    enum page_state ahead = read_ahead_state(p->ahead);
    bool read_all = p->options.once && p->read_seq >= p->options.once_seq;
    if (read_all || ahead == PAGE_ASKED || (ahead == PAGE_NONE && !p->look))
        return INT64_MAX;
    int room = p->options.ops->room(p->sink);
    if (room <= 0 || (p->consumer && ledger_backlog(p->consumer) >= PIPELINE_BACKLOG_MAX))
        return INT64_MAX;
    int64_t due_us = room >= READ_MIN || ahead == PAGE_READY ? 0 : p->read_at_us + READ_GAP_US;
    int64_t paced_us = p->read_paced_us - READ_BURST * READ_PACE_US;
    if (ahead != PAGE_READY && paced_us > due_us)
        due_us = paced_us;
    int64_t rate_us = rate_due_us(&p->rate, clock_monotonic_us());
    return due_us > rate_us ? due_us : rate_us;
}

static int room_of(const struct pipeline *p)
{
    int room = p->options.ops->room(p->sink), burst = rate_burst(&p->rate);
    return room < burst ? room : burst;
}

/* The database could not be read. Rows put before that are not known to be durable: the sink has to forget them, which
 * a new claim sees to. */
static enum stage read_later(struct pipeline *p, const char *message)
{
    if (!p->trouble_said)
        log_write(LOG_LEVEL_WARN, p->options.settings->consumer, "%s; trying again", message);
    p->trouble_said = true;
    if (p->options.once)
        return STAGE_TEMPORARY;
    return pipeline_rest(p, clock_monotonic_us() + READ_RETRY_US) ? STAGE_DONE : STAGE_CLAIM;
}

static enum stage after_source(struct pipeline *p, enum source_result result, const char *message)
{
    switch (result) {
    case SOURCE_OK: p->trouble_said = false; return STAGE_DELIVER;
    case SOURCE_PAUSED: return STAGE_PAUSE;
    case SOURCE_STALE:
        log_write(LOG_LEVEL_INFO, p->options.settings->consumer, "%s: beginning again", message);
        return STAGE_CLAIM;
    case SOURCE_LATER: return read_later(p, message);
    case SOURCE_GAP:
    case SOURCE_REWOUND:
    case SOURCE_BROKEN: return pipeline_stop_for_good(p, message);
    }
    return STAGE_BROKEN; /* unreachable */
}

/* ---- Ahead -------------------------------------------------------------------------------------------------------- */

/* There is more after `after`, and the sink has a while to do: the next page meanwhile. What is written from here on may
 * or may not be in it, so the wake is heeded as ever. False: it will have to be read here. */
static bool ask_for_page(struct pipeline *p, int64_t after)
{
    const struct sink_ops *ops = p->options.ops;
    if (!ops->prepare || (p->options.once && after >= p->options.once_seq))
        return false;
    if (!p->ahead)
        p->ahead = read_ahead_start(p->options.db_path, p->options.settings, ops, p->options.durable, p->wake);
    if (!p->ahead || !read_ahead_may_ask(p->ahead))
        return false;
    ops->prepare_more(p->sink);
    p->look = false;
    read_ahead_ask(p->ahead, &(struct page_wish){.sink = p->sink,
                                                 .source_id = p->schema.source,
                                                 .lease_token = p->lease_token,
                                                 .owed_after = p->owed_after,
                                                 .after = after,
                                                 .limit = p->batch});
    return true;
}

/* A read that was not full has been made, here or ahead: the next one comes when its turn is. */
static void set_pace(struct pipeline *p)
{
    int64_t now_us = clock_monotonic_us();
    p->read_paced_us = (p->read_paced_us > now_us ? p->read_paced_us : now_us) + READ_PACE_US;
    if (source_held_back(p->source))
        p->read_paced_us = p->options.durable->at_us + FOLLOW_US + (READ_BURST + 1) * READ_PACE_US;
}

/* A page whose turn has come, when nothing of it is taken yet: the one after it is asked for before anything else. */
static enum stage open_page(struct pipeline *p)
{
    struct page_end end = read_ahead_end(p->ahead);
    p->page_open = true;
    enum stage next = after_source(p, end.result, end.message);
    if (next != STAGE_DELIVER)
        return next;
    /* Its connection is another than ours: of the same file, as long as nobody has put another in its place. */
    if (database_moved(p->db))
        return pipeline_stop_for_good(p, PIPELINE_MOVED);
    adapt_batch(p, end.full, end.count);
    if (!end.full && !p->options.once)
        set_pace(p);
    bool none = end.after == p->read_seq; /* or no memory for the first: reading here says so */
    if (!none)
        wake_found(p->wake);
    if (none || (end.full && !ask_for_page(p, end.after)))
        p->look = true;
    return STAGE_DELIVER;
}

/* As much of the page as there is room for. */
static enum stage take_page(struct pipeline *p)
{
    const struct sink_ops *ops = p->options.ops;
    enum stage next = p->page_open ? STAGE_DELIVER : open_page(p);
    if (next != STAGE_DELIVER)
        return next;
    struct page_entry entry;
    int room = room_of(p), put = 0;
    enum sink_result result = SINK_OK;
    bool more = true;
    while (put < room && result == SINK_OK && (more = read_ahead_take(p->ahead, &entry))) {
        if (entry.item)
            result = ops->put_prepared(p->sink, entry.item);
        else
            ops->skip(p->sink, entry.seq);
        put += entry.item && result == SINK_OK;
        p->read_seq = entry.seq;
    }
    rate_take(&p->rate, put, clock_monotonic_us());
    if (result != SINK_OK)
        return STAGE_OPEN;
    p->progress_at_us = clock_monotonic_us();
    if (!more) {
        p->read_seq = read_ahead_end(p->ahead).after; /* seqs that are skipped on record have no entry */
        p->page_open = false;
        read_ahead_turn(p->ahead);
    }
    return STAGE_DELIVER;
}

/* ---- At once ------------------------------------------------------------------------------------------------------ */

/* The writer doesn't pause: the reads that may come at once have come, and this one may even be late. */
static bool is_paced(const struct pipeline *p)
{
    return !p->options.once && p->read_paced_us - clock_monotonic_us() > READ_BURST * READ_PACE_US / 2;
}

/* At a pace one reads and syncs for all. False: somebody else is at it, and it can be had without another sync soon. Who
 * has an expression to work out, which may take long, reads for itself: nobody waits for that. */
static bool may_read(struct pipeline *p)
{
    struct durable *d = p->options.durable;
    if (!source_may_follow(p->source) || !is_paced(p) || p->read_seq < durable_seq(d))
        return true;
    p->leads = !atomic_exchange(&d->led, true);
    if (!p->leads)
        p->read_paced_us = clock_monotonic_us() + FOLLOW_US + READ_BURST * READ_PACE_US;
    return p->leads;
}

static enum stage read_now(struct pipeline *p)
{
    struct taking t = {p, SINK_OK, 0};
    source_follow(p->source, is_paced(p));
    int room = room_of(p);
    int64_t before = p->read_seq;
    bool full = false;
    enum source_result result = source_read(p->source, &p->read_seq, room < p->batch ? room : p->batch, take, &t,
                                            &full);
    if (p->leads)
        atomic_store(&p->options.durable->led, false);
    p->leads = false;
    rate_take(&p->rate, t.put, clock_monotonic_us());
    if (t.result != SINK_OK)
        return STAGE_OPEN;
    enum stage next = after_source(p, result, source_message(p->source));
    if (next != STAGE_DELIVER)
        return next;
    p->read_at_us = p->state_seen_at_us = clock_monotonic_us();
    p->heard = false;
    p->look = full || source_held_back(p->source);
    adapt_batch(p, full, t.put);
    if (p->read_seq != before) {
        p->progress_at_us = clock_monotonic_us();
        if (!full && !p->options.once)
            set_pace(p);
        wake_found(p->wake);
    }
    if (full)
        ask_for_page(p, p->read_seq);
    return STAGE_DELIVER;
}

/* ---- The consumer's state ----------------------------------------------------------------------------------------- */

int64_t pipeline_state_due_us(const struct pipeline *p)
{
    return p->consumer && p->heard ? p->state_seen_at_us + STATE_GAP_US : INT64_MAX;
}

enum stage pipeline_look_at_state(struct pipeline *p)
{
    enum source_result result = source_look(p->source, 0);
    p->state_seen_at_us = clock_monotonic_us();
    p->heard = result == SOURCE_LATER;
    if (result == SOURCE_STALE)
        log_write(LOG_LEVEL_INFO, p->options.settings->consumer, "%s: beginning again", source_message(p->source));
    return result == SOURCE_PAUSED ? STAGE_PAUSE : result == SOURCE_STALE ? STAGE_CLAIM : STAGE_DELIVER;
}

enum stage pipeline_read(struct pipeline *p)
{
    /* In this order: what is due while a page is asked for is nothing. A page that came between the two looks would be
     * read here, too, and then taken. */
    bool now = clock_monotonic_us() >= pipeline_read_due_us(p);
    bool ahead = read_ahead_state(p->ahead) == PAGE_READY;
    if (now && !ahead && may_read(p))
        return read_now(p);
    now = now && ahead;
    enum stage next = clock_monotonic_us() >= pipeline_state_due_us(p) ? pipeline_look_at_state(p) : STAGE_DELIVER;
    return next == STAGE_DELIVER && now ? take_page(p) : next;
}
