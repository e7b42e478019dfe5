/* reader.c — outbox_reader: a durable consumer of the database, in the application's own process.
 *
 * Reads a batch in one short read transaction, copies it, syncs the WAL, hands out one event after the other. The
 * cursor is a row of consumer_offsets; every acknowledgement names the lease token, so that a reader whose cursor was
 * moved, or which was taken over, learns of it instead of overwriting it.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "consumer.h"
#include "event_batch.h"
#include "handle.h"
#include "lineage.h"
#include "timestamp.h"
#include "transaction.h"
#include "wake.h"

enum reader_statement { RS_READ, RS_LAST_SEQ, RS_FORMER, RS_LEASE, RS_ACK, RS_COUNT };

static const char *const reader_sql[RS_COUNT] = {
    [RS_READ] = "SELECT " EVENT_COLUMNS " FROM main.outbox_events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    [RS_LAST_SEQ] = "SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0)",
    [RS_FORMER] = "SELECT value FROM main.outbox_meta WHERE name = 'former_sources'",
    [RS_LEASE] = "SELECT lease_token FROM main.consumer_offsets WHERE consumer = ?1",
    [RS_ACK] = "UPDATE main.consumer_offsets SET acked_seq = max(acked_seq, ?3), updated_at = ?4"
               " WHERE consumer = ?1 AND lease_token = ?2",
};

enum { BATCH_DEFAULT = 100, BATCH_MAX = 100000 };

struct outbox_reader {
    outbox *ob;
    struct consumer consumer;
    struct wake *wake;
    sqlite3_stmt *statements[RS_COUNT];
    int64_t read_seq;   /* the last one read into a batch */
    int64_t handed_seq; /* the last one handed out: what may be acknowledged */
    int batch_count;
    struct event_batch batch;
    bool gap;
    int64_t gap_last, gap_first;
    atomic_bool interrupted;
};

static int64_t monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Opening ---- */

static int prepare_all(outbox_reader *r)
{
    for (int i = 0; i < RS_COUNT; i++) {
        int rc = sqlite3_prepare_v3(r->ob->db, reader_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &r->statements[i], NULL);
        if (rc != SQLITE_OK)
            return fail_sqlite(r->ob, rc, "outbox tables");
    }
    return OUTBOX_OK;
}

static int one_int64(outbox_reader *r, enum reader_statement which, int64_t *value)
{
    sqlite3_stmt *st = r->statements[which];
    int rc = sqlite3_step(st);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OUTBOX_OK : fail_sqlite(r->ob, rc, "outbox tables");
}

static int open_reader(outbox_reader *r, const char *consumer, const outbox_reader_options *o)
{
    const char *db_path = sqlite3_db_filename(r->ob->db, "main");
    if (!db_path || !*db_path)
        return fail(r->ob, OUTBOX_INVALID, "a database in memory has no consumers");
    r->batch_count = o->batch_count ? o->batch_count : BATCH_DEFAULT;
    int code = prepare_all(r);
    if (code == OUTBOX_OK && !(r->wake = wake_open(db_path)))
        code = fail(r->ob, OUTBOX_IO, "cannot wait for commits: %m");
    if (code == OUTBOX_OK)
        code = consumer_take(r->ob, consumer, o->from, &r->consumer);
    r->read_seq = r->handed_seq = r->consumer.acked_seq;
    return code;
}

int outbox_reader_open(outbox *ob, const char *consumer, const outbox_reader_options *options, outbox_reader **out)
{
    outbox_reader_options o = {.size = sizeof o};
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!consumer || !out)
        return fail(ob, OUTBOX_MISUSE, "consumer or out is NULL");
    if (options_check(options, sizeof o) != OUTBOX_OK)
        return fail(ob, OUTBOX_INVALID, "reader options: size is not set, or an option this library does not know is");
    if (options)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (o.from < OUTBOX_FROM_START || o.from > OUTBOX_FROM_NOW || o.batch_count < 0 || o.batch_count > BATCH_MAX)
        return fail(ob, OUTBOX_INVALID, "reader options: from or batch_count out of range");
    if (!consumer_name_is_good(consumer))
        return fail(ob, OUTBOX_INVALID, "consumer name \"%s\": use 1 to 64 of A-Z a-z 0-9 . _ -, no leading dot",
                    consumer);
    if (!sqlite3_get_autocommit(ob->db))
        return fail(ob, OUTBOX_MISUSE, "outbox_reader_open inside a transaction; commit it first");
    outbox_reader *r = calloc(1, sizeof *r);
    if (!r)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    r->ob = ob;
    r->consumer.lock.fd = -1;
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
    bool mine = r->ob->pid == getpid();
    for (int i = 0; mine && i < RS_COUNT; i++)
        sqlite3_finalize(r->statements[i]);
    if (mine) {
        wake_close(r->wake);
        consumer_release(&r->consumer);
    }
    event_batch_free(&r->batch);
    r->ob->readers--;
    free(r);
}

/* ---- Reading ---- */

static int tell_gap(outbox_reader *r)
{
    if (r->gap_first)
        return fail(r->ob, OUTBOX_GAP, "consumer %s: events after seq %lld are gone; the first one there is %lld",
                    r->consumer.name, (long long)r->gap_last, (long long)r->gap_first);
    return fail(r->ob, OUTBOX_GAP, "consumer %s: events after seq %lld are gone, and none is there", r->consumer.name,
                (long long)r->gap_last);
}

static int found_gap(outbox_reader *r, int64_t first)
{
    r->gap = true;
    r->gap_last = r->handed_seq;
    r->gap_first = first;
    event_batch_clear(&r->batch);
    return tell_gap(r);
}

/* A hole that a lifted sequence left on purpose is none. */
static int hole(outbox_reader *r, int64_t last, int64_t next, bool *explained)
{
    sqlite3_stmt *st = r->statements[RS_FORMER];
    int rc = sqlite3_step(st);
    const char *former = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    *explained = lineage_explains(former, last, next);
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OUTBOX_OK : fail_sqlite(r->ob, rc, "outbox_meta");
}

static int copy_rows(outbox_reader *r)
{
    sqlite3_stmt *st = r->statements[RS_READ];
    event_batch_clear(&r->batch);
    sqlite3_bind_int64(st, 1, r->read_seq);
    sqlite3_bind_int(st, 2, r->batch_count);
    int rc;
    bool room = true;
    while (room && (rc = sqlite3_step(st)) == SQLITE_ROW)
        room = event_batch_add(&r->batch, st, r->ob->source);
    sqlite3_reset(st); /* ends the read transaction */
    if (!room)
        return fail(r->ob, OUTBOX_NOMEM, "out of memory");
    return rc == SQLITE_DONE ? OUTBOX_OK : fail_sqlite(r->ob, rc, "outbox_events");
}

/* seq rises by one: whatever is missing was lost, or skipped on purpose. */
static int check_chain(outbox_reader *r)
{
    int64_t last = r->read_seq;
    for (int i = 0; i < r->batch.count; i++) {
        int64_t seq = event_batch_seq(&r->batch, i);
        bool explained = true;
        int code = seq == last + 1 ? OUTBOX_OK : hole(r, last, seq, &explained);
        if (code != OUTBOX_OK)
            return code;
        if (!explained && i > 0) { /* what comes before the hole is handed out first */
            event_batch_cut(&r->batch, i);
            break;
        }
        if (!explained)
            return found_gap(r, seq);
        last = seq;
    }
    r->read_seq = last;
    return OUTBOX_OK;
}

/* Nothing is owed after read_seq: because nothing happened since, or because it was taken away? */
static int check_end(outbox_reader *r)
{
    int64_t last_seq;
    bool explained = true;
    int code = one_int64(r, RS_LAST_SEQ, &last_seq);
    if (code != OUTBOX_OK || last_seq == r->read_seq)
        return code;
    if (last_seq < r->read_seq)
        return consumer_rewound(r->ob, r->consumer.name, r->read_seq, last_seq);
    code = copy_rows(r); /* committed between the two looks */
    if (code != OUTBOX_OK || r->batch.count)
        return code;
    code = hole(r, r->read_seq, last_seq + 1, &explained);
    return code == OUTBOX_OK && !explained ? found_gap(r, 0) : code;
}

static int check_lease(outbox_reader *r)
{
    int64_t token;
    sqlite3_bind_text(r->statements[RS_LEASE], 1, r->consumer.name, -1, SQLITE_STATIC);
    int code = one_int64(r, RS_LEASE, &token);
    if (code == OUTBOX_OK && token != r->consumer.lease_token)
        code = fail(r->ob, OUTBOX_STALE,
                    "consumer %s was moved, removed or taken over; close the reader and open it again",
                    r->consumer.name);
    return code;
}

/* OUTBOX_OK with a batch, perhaps an empty one. */
static int read_batch(outbox_reader *r)
{
    /* Inside a transaction that has written, this connection sees its own events, which may yet be rolled back. */
    if (sqlite3_txn_state(r->ob->db, "main") == SQLITE_TXN_WRITE)
        return OUTBOX_OK;
    int code = check_lease(r);
    if (code == OUTBOX_OK)
        code = copy_rows(r);
    if (code == OUTBOX_OK && !r->batch.count)
        code = check_end(r);
    if (code != OUTBOX_OK || !r->batch.count)
        return code;
    code = check_chain(r);
    if (code != OUTBOX_OK)
        return code;
    /* Read is not durable yet: below synchronous=FULL a power cut could take back what is about to be handed out. */
    int rc = wal_sync(r->ob->db);
    if (rc != SQLITE_OK) {
        r->read_seq = r->handed_seq;
        event_batch_clear(&r->batch);
        return fail(r->ob, code_of_sqlite(rc), "sync of the write-ahead log: %s", sqlite3_errstr(rc));
    }
    wake_found(r->wake);
    return OUTBOX_OK;
}

static int hand_out(outbox_reader *r, const outbox_event **event)
{
    outbox_event *e = event_batch_next(&r->batch);
    e->prev = r->handed_seq;
    r->handed_seq = e->seq;
    *event = e;
    return OUTBOX_OK;
}

int outbox_reader_next(outbox_reader *r, int timeout_ms, const outbox_event **event)
{
    int code = handle_enter(r ? r->ob : NULL);
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
        if (r->batch.next == r->batch.count) {
            event_batch_clear(&r->batch);
            code = read_batch(r);
            if (code != OUTBOX_OK)
                return code;
        }
        if (r->batch.next < r->batch.count)
            return hand_out(r, event);
        int64_t left = timeout_ms < 0 ? -1 : deadline - monotonic_ms();
        if (timeout_ms == 0 || (timeout_ms > 0 && left <= 0)) {
            wake_drain(r->wake);
            return fail(r->ob, OUTBOX_DONE, "no event");
        }
        wake_wait(r->wake, (int)left);
    }
}

int outbox_reader_ack(outbox_reader *r, int64_t seq)
{
    struct scope scope;
    int code = handle_enter(r ? r->ob : NULL);
    if (code != OUTBOX_OK)
        return code;
    if (seq > r->handed_seq)
        return fail(r->ob, OUTBOX_MISUSE, "consumer %s: seq %lld has not been handed out; the last one was %lld",
                    r->consumer.name, (long long)seq, (long long)r->handed_seq);
    code = scope_enter(r->ob, &scope);
    if (code != OUTBOX_OK)
        return code;
    sqlite3_stmt *st = r->statements[RS_ACK];
    sqlite3_bind_text(st, 1, r->consumer.name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, r->consumer.lease_token);
    sqlite3_bind_int64(st, 3, seq);
    sqlite3_bind_int64(st, 4, timestamp_now_us());
    int rc = statement_run(st);
    if (rc != SQLITE_OK)
        code = fail_sqlite(r->ob, rc, "consumer_offsets");
    else if (sqlite3_changes(r->ob->db) == 0)
        code = fail(r->ob, OUTBOX_STALE,
                    "consumer %s was moved, removed or taken over; close the reader and open it again",
                    r->consumer.name);
    return scope_leave(r->ob, &scope, code);
}

int outbox_reader_gap(const outbox_reader *r, int64_t *last_read, int64_t *first_available)
{
    if (!r)
        return OUTBOX_MISUSE;
    if (!r->gap)
        return OUTBOX_NOT_FOUND;
    if (last_read)
        *last_read = r->gap_last;
    if (first_available)
        *first_available = r->gap_first;
    return OUTBOX_OK;
}

int outbox_reader_fd(const outbox_reader *r)
{
    return r ? wake_fd(r->wake) : -1;
}

void outbox_reader_interrupt(outbox_reader *r)
{
    if (!r)
        return;
    atomic_store(&r->interrupted, true);
    wake_poke(r->wake);
}
