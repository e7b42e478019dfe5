/* reader.c — outbox_reader: a consumer, or a listener, in the application's own process.
 *
 * The calls: waiting, handing out one event after the other, acknowledging, telling of a gap, starting again. Where
 * events come from is the feed's (feed.h) or, until its last row is handed out, the snapshot's (snapshot.h); the cursor
 * is the consumer's (consumer.h), of which a listener has none.
 *
 * The invariant: an event is handed out only if nothing is missing between it and the one before.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "consumer.h"
#include "event_batch.h"
#include "feed.h"
#include "handle.h"
#include "reader.h"
#include "snapshot.h"

enum { BATCH_DEFAULT = 100, BATCH_MAX = 100000 };

struct outbox_reader {
    outbox *ob;
    struct feed *feed;
    bool durable; /* it has a consumer; a listener hasn't */
    struct consumer consumer;
    struct snapshot *snapshot; /* while it has rows to hand out */
    char *snapshot_db;         /* where to take it; NULL: from the handle's database */
    char **snapshot_tables;    /* NULL: all */
    int64_t handed_seq;        /* the last one handed out: what may be acknowledged, and where the next read begins */
    int batch_count;
    struct event_batch batch;
    bool gap;
    int64_t gap_first;
    atomic_bool interrupted;
};

static int64_t monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int enter(const outbox_reader *r)
{
    return r ? handle_enter(r->ob) : OUTBOX_MISUSE;
}

/* ---- Opening ---- */

static int read_options(outbox *ob, const outbox_reader_options *options, outbox_reader_options *o)
{
    *o = (outbox_reader_options){.size = sizeof *o};
    if (options_check(options, sizeof *o) != OUTBOX_OK)
        return fail(ob, OUTBOX_INVALID, "reader options: size is not set, or an option this library does not know is");
    if (options)
        memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
    if (o->from < OUTBOX_FROM_START || o->from > OUTBOX_FROM_NOW || o->batch_count < 0 || o->batch_count > BATCH_MAX)
        return fail(ob, OUTBOX_INVALID, "reader options: from or batch_count out of range");
    return OUTBOX_OK;
}

static void free_list(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

static int copy_list(outbox *ob, const char *const *list, char ***copy)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    if (!list)
        return OUTBOX_OK;
    *copy = calloc(n + 1, sizeof **copy);
    for (size_t i = 0; *copy && i < n; i++)
        if (!((*copy)[i] = strdup(list[i])))
            return fail(ob, OUTBOX_NOMEM, "out of memory");
    return *copy ? OUTBOX_OK : fail(ob, OUTBOX_NOMEM, "out of memory");
}

static int begin_listening(outbox_reader *r, int from)
{
    int code = r->feed->ops->start(r->feed, from, &r->handed_seq);
    return code == OUTBOX_OK ? r->feed->ops->resume(r->feed, r->handed_seq, "") : code;
}

static int open_reader(outbox_reader *r, const char *consumer, const outbox_reader_options *o)
{
    r->batch_count = o->batch_count ? o->batch_count : BATCH_DEFAULT;
    if (o->snapshot_db && !(r->snapshot_db = strdup(o->snapshot_db)))
        return fail(r->ob, OUTBOX_NOMEM, "out of memory");
    int code = copy_list(r->ob, o->snapshot_tables, &r->snapshot_tables);
    if (code == OUTBOX_OK)
        code = o->jsonl ? feed_files_open(r->ob, o->jsonl, &r->feed) : feed_database_open(r->ob, &r->feed);
    if (code == OUTBOX_OK && !consumer)
        return begin_listening(r, o->from);
    if (code == OUTBOX_OK)
        code = consumer_take(r->ob, consumer, r->feed, o->from, &r->consumer);
    r->durable = code == OUTBOX_OK;
    r->handed_seq = r->consumer.acked_seq;
    return code;
}

int outbox_reader_open(outbox *ob, const char *consumer, const outbox_reader_options *options, outbox_reader **out)
{
    outbox_reader_options o;
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!out)
        return fail(ob, OUTBOX_MISUSE, "out is NULL");
    code = read_options(ob, options, &o);
    if (code != OUTBOX_OK)
        return code;
    if (consumer && !consumer_name_is_good(consumer))
        return fail(ob, OUTBOX_INVALID, "consumer name \"%s\": use 1 to 64 of A-Z a-z 0-9 . _ -, no leading dot",
                    consumer);
    if (!sqlite3_get_autocommit(ob->db))
        return fail(ob, OUTBOX_MISUSE, "outbox_reader_open inside a transaction; commit it first");
    outbox_reader *r = calloc(1, sizeof *r);
    if (!r)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    r->ob = ob;
    ob->readers++;
    code = open_reader(r, consumer, &o);
    if (code != OUTBOX_OK) {
        outbox_reader_close(r);
        return code;
    }
    *out = r;
    return OUTBOX_OK;
}

void outbox_reader_close(outbox_reader *r)
{
    if (!r)
        return;
    bool forked = r->ob->pid != getpid();
    if (r->durable)
        consumer_release(&r->consumer, forked);
    snapshot_close(r->snapshot, forked);
    if (r->feed)
        r->feed->ops->close(r->feed, forked);
    event_batch_free(&r->batch);
    free(r->snapshot_db);
    free_list(r->snapshot_tables);
    r->ob->readers--;
    free(r);
}

/* ---- Reading ---- */

static int say_gap(outbox_reader *r, int64_t after_seq, int64_t first)
{
    const char *who = r->durable ? "consumer " : "a listener", *name = r->consumer.name;
    if (first)
        return fail(r->ob, OUTBOX_GAP, "%s%s: events after seq %lld are gone; the first one there is %lld", who, name,
                    (long long)after_seq, (long long)first);
    return fail(r->ob, OUTBOX_GAP, "%s%s: events after seq %lld are gone, and none is there", who, name,
                (long long)after_seq);
}

static int tell_gap(outbox_reader *r)
{
    return say_gap(r, r->handed_seq, r->gap_first);
}

/* Its last row is handed out: from here on its seq can be acknowledged, and the events after it follow. */
static void end_snapshot(outbox_reader *r)
{
    r->handed_seq = snapshot_seq(r->snapshot);
    snapshot_close(r->snapshot, false);
    r->snapshot = NULL;
}

/* OUTBOX_OK with a batch, perhaps an empty one. */
static int fill(outbox_reader *r)
{
    event_batch_clear(&r->batch);
    int code = r->durable ? consumer_check(r->ob, &r->consumer) : OUTBOX_OK;
    if (code == OUTBOX_OK)
        code = r->snapshot ? snapshot_read(r->ob, r->snapshot, r->batch_count, &r->batch)
                           : r->feed->ops->read(r->feed, r->handed_seq, r->batch_count, &r->batch);
    if (code != OUTBOX_OK)
        event_batch_clear(&r->batch);
    if (code == OUTBOX_GAP) {
        r->gap = true;
        r->gap_first = r->feed->first_available;
        return tell_gap(r);
    }
    if (code == OUTBOX_OK && r->batch.count)
        wake_found(r->feed->wake);
    return code;
}

static int hand_out(outbox_reader *r, const outbox_event **event)
{
    *event = event_batch_next(&r->batch);
    if (!r->snapshot)
        r->handed_seq = (*event)->seq;
    else if (r->batch.next == r->batch.count && snapshot_is_done(r->snapshot))
        end_snapshot(r);
    return OUTBOX_OK;
}

int outbox_reader_next(outbox_reader *r, int timeout_ms, const outbox_event **event)
{
    int code = enter(r);
    if (code != OUTBOX_OK)
        return code;
    if (!event)
        return fail(r->ob, OUTBOX_MISUSE, "event is NULL");
    if (timeout_ms != 0 && !sqlite3_get_autocommit(r->ob->db))
        return fail(r->ob, OUTBOX_MISUSE,
                    "outbox_reader_next with a timeout inside a transaction: nothing new can be seen; use 0");
    int64_t deadline = monotonic_ms() + timeout_ms;
    for (;;) {
        if (atomic_exchange(&r->interrupted, false))
            return fail(r->ob, OUTBOX_INTERRUPTED, "interrupted");
        if (r->gap)
            return tell_gap(r);
        if (r->batch.next == r->batch.count && (code = fill(r)) != OUTBOX_OK)
            return code;
        if (r->batch.next < r->batch.count)
            return hand_out(r, event);
        int64_t left = timeout_ms < 0 ? -1 : deadline - monotonic_ms();
        if (timeout_ms == 0 || (timeout_ms > 0 && left <= 0)) {
            wake_drain(r->feed->wake);
            return fail(r->ob, OUTBOX_DONE, "no event");
        }
        wake_wait(r->feed->wake, (int)left);
    }
}

int outbox_reader_ack(outbox_reader *r, int64_t seq)
{
    int code = enter(r);
    if (code != OUTBOX_OK)
        return code;
    if (!r->durable)
        return fail(r->ob, OUTBOX_MISUSE, "a listener keeps no cursor; open the reader with a consumer's name");
    if (seq > r->handed_seq && r->snapshot)
        return fail(r->ob, OUTBOX_MISUSE, "consumer %s: the last row of the snapshot has not been handed out",
                    r->consumer.name);
    if (seq > r->handed_seq)
        return fail(r->ob, OUTBOX_MISUSE, "consumer %s: seq %lld has not been handed out; the last one was %lld",
                    r->consumer.name, (long long)seq, (long long)r->handed_seq);
    return consumer_ack(r->ob, &r->consumer, seq, r->feed->ops->position(r->feed, seq));
}

/* ---- Starting again ---- */

static int restart_from_snapshot(outbox_reader *r)
{
    struct snapshot *snapshot;
    const char *db = r->snapshot_db ? r->snapshot_db : sqlite3_db_filename(r->ob->db, "main");
    int code = snapshot_open(r->ob, db, (const char *const *)r->snapshot_tables, &snapshot);
    if (code == OUTBOX_OK) {
        code = r->feed->ops->resume(r->feed, snapshot_seq(snapshot), "");
        if (code != OUTBOX_OK)
            snapshot_close(snapshot, false);
    }
    if (code != OUTBOX_OK)
        return code;
    snapshot_close(r->snapshot, false);
    r->snapshot = snapshot;
    if (snapshot_is_done(snapshot)) /* not one row */
        end_snapshot(r);
    return OUTBOX_OK;
}

static int restart_from(outbox_reader *r, int from)
{
    int code = r->durable ? consumer_restart(r->ob, &r->consumer, r->feed, from, &r->handed_seq)
                          : begin_listening(r, from);
    if (code != OUTBOX_OK)
        return code;
    snapshot_close(r->snapshot, false);
    r->snapshot = NULL;
    return OUTBOX_OK;
}

int outbox_reader_restart(outbox_reader *r, int from)
{
    int code = enter(r);
    if (code != OUTBOX_OK)
        return code;
    if (!sqlite3_get_autocommit(r->ob->db))
        return fail(r->ob, OUTBOX_MISUSE, "outbox_reader_restart inside a transaction; commit it first");
    switch (from) {
    case OUTBOX_FROM_START:
    case OUTBOX_FROM_NOW: code = restart_from(r, from); break;
    case OUTBOX_FROM_SNAPSHOT: code = restart_from_snapshot(r); break;
    default: return fail(r->ob, OUTBOX_INVALID, "outbox_reader_restart: from out of range");
    }
    if (code != OUTBOX_OK)
        return code;
    event_batch_clear(&r->batch);
    r->gap = false;
    return OUTBOX_OK;
}

int outbox_reader_gap(const outbox_reader *r, int64_t *last_read, int64_t *first_available)
{
    if (!r)
        return OUTBOX_MISUSE;
    if (!r->gap)
        return OUTBOX_NOT_FOUND;
    if (last_read)
        *last_read = r->handed_seq;
    if (first_available)
        *first_available = r->gap_first;
    return OUTBOX_OK;
}

int outbox_reader_fd(const outbox_reader *r)
{
    return r ? wake_fd(r->feed->wake) : -1;
}

void outbox_reader_interrupt(outbox_reader *r)
{
    if (!r)
        return;
    atomic_store(&r->interrupted, true);
    wake_poke(r->feed->wake);
}

/* ---- Reading from a place of the caller's (reader.h) ---- */

int reader_acked(outbox_reader *r, int64_t *acked_seq)
{
    int code = enter(r);
    return code == OUTBOX_OK ? consumer_look(r->ob, &r->consumer, acked_seq) : code;
}

int reader_read(outbox_reader *r, int64_t after_seq, int count, struct event_batch *batch)
{
    event_batch_clear(batch);
    int code = enter(r);
    if (code == OUTBOX_OK)
        code = r->feed->ops->read(r->feed, after_seq, count, batch);
    if (code == OUTBOX_OK)
        return OUTBOX_OK;
    event_batch_clear(batch);
    return code == OUTBOX_GAP ? say_gap(r, after_seq, r->feed->first_available) : code;
}

void reader_handed(outbox_reader *r, int64_t seq)
{
    if (seq > r->handed_seq)
        r->handed_seq = seq;
}

int reader_wait(outbox_reader *r, int timeout_ms, bool *any)
{
    int64_t deadline = monotonic_ms() + timeout_ms, left = timeout_ms;
    for (;;) {
        int code = enter(r);
        if (code == OUTBOX_OK)
            code = consumer_check(r->ob, &r->consumer);
        if (code == OUTBOX_OK)
            code = r->feed->ops->read(r->feed, r->handed_seq, 1, &r->batch);
        *any = r->batch.count > 0 || code == OUTBOX_GAP; /* a gap is told by who reads */
        event_batch_clear(&r->batch);
        if (code != OUTBOX_OK && code != OUTBOX_GAP)
            return code;
        if (*any)
            wake_found(r->feed->wake);
        if (*any || left <= 0)
            return OUTBOX_OK;
        wake_wait(r->feed->wake, (int)left);
        left = deadline - monotonic_ms();
    }
}
