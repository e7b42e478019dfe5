/* feed_database.c — events out of the database: what is owed, in one short read transaction per batch, copied, and the
 * WAL synced before anybody sees them.
 *
 * seq rises by exactly one per event. So a hole is a loss, unless a lifted sequence left it on purpose (lineage.h).
 */
#include <errno.h>
#include <stdlib.h>

#include "feed.h"
#include "handle.h"
#include "lineage.h"

enum feed_statement { FS_READ, FS_OLDEST, FS_LAST_SEQ, FS_FORMER, FS_COUNT };

static const char *const feed_sql[FS_COUNT] = {
    [FS_READ] = "SELECT " EVENT_COLUMNS " FROM main.outbox_events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    [FS_OLDEST] = "SELECT min(seq) FROM main.outbox",
    [FS_LAST_SEQ] = "SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0)",
    [FS_FORMER] = "SELECT value FROM main.outbox_meta WHERE name = 'former_sources'",
};

struct feed_database {
    struct feed feed; /* first: a feed is one of these */
    sqlite3_stmt *statements[FS_COUNT];
};

static struct feed_database *of(struct feed *feed)
{
    return (struct feed_database *)feed;
}

/* *value is untouched where the statement gives NULL or no row. */
static int one_int64(struct feed_database *f, enum feed_statement which, int64_t *value)
{
    sqlite3_stmt *st = f->statements[which];
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
        *value = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OUTBOX_OK : fail_sqlite(f->feed.ob, rc, "outbox tables");
}

/* ---- Where a reader stands ---- */

/* The oldest event owed, or the end where nothing is. */
static int start(struct feed *feed, int from, int64_t *after_seq)
{
    int64_t last_seq = 0, oldest = 0;
    int code = one_int64(of(feed), FS_LAST_SEQ, &last_seq);
    if (code == OUTBOX_OK && from == OUTBOX_FROM_START)
        code = one_int64(of(feed), FS_OLDEST, &oldest);
    if (code == OUTBOX_OK)
        *after_seq = oldest ? oldest - 1 : last_seq;
    return code;
}

static int rewound(outbox *ob, int64_t read_seq, int64_t last_seq)
{
    return fail(ob, OUTBOX_REWOUND,
                "the consumer has read up to seq %lld, but the database ends at %lld: was an older copy put in its "
                "place? see outboxctl new-source",
                (long long)read_seq, (long long)last_seq);
}

static int resume(struct feed *feed, int64_t after_seq, const char *position)
{
    int64_t last_seq = 0;
    (void)position;
    int code = one_int64(of(feed), FS_LAST_SEQ, &last_seq);
    return code == OUTBOX_OK && last_seq < after_seq ? rewound(feed->ob, after_seq, last_seq) : code;
}

static const char *position(const struct feed *feed, int64_t seq)
{
    (void)feed;
    (void)seq;
    return NULL; /* the seq says it all */
}

/* ---- Reading ---- */

static int copy_rows(struct feed_database *f, int64_t after_seq, int count, struct event_batch *batch)
{
    sqlite3_stmt *st = f->statements[FS_READ];
    sqlite3_bind_int64(st, 1, after_seq);
    sqlite3_bind_int(st, 2, count);
    int rc = SQLITE_ROW;
    bool room = true;
    while (room && !event_batch_is_large(batch) && (rc = sqlite3_step(st)) == SQLITE_ROW)
        room = event_batch_add(batch, st, f->feed.ob->source);
    sqlite3_reset(st); /* ends the read transaction */
    if (!room)
        return fail(f->feed.ob, OUTBOX_NOMEM, "out of memory");
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? OUTBOX_OK : fail_sqlite(f->feed.ob, rc, "outbox_events");
}

/* A hole that a lifted sequence left on purpose is none. */
static int hole(struct feed_database *f, int64_t last, int64_t next, bool *explained)
{
    sqlite3_stmt *st = f->statements[FS_FORMER];
    int rc = sqlite3_step(st);
    const char *former = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    *explained = lineage_explains(former, last, next);
    if (rc == SQLITE_ROW && !former && sqlite3_errcode(f->feed.ob->db) == SQLITE_NOMEM)
        rc = SQLITE_NOMEM; /* for the text: not there is not NULL, and this is no gap */
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OUTBOX_OK : fail_sqlite(f->feed.ob, rc, "outbox_meta");
}

static int found_gap(struct feed_database *f, int64_t first_available)
{
    f->feed.first_available = first_available;
    return OUTBOX_GAP;
}

/* Gives each event its prev; whatever is missing in between was lost, or skipped on purpose. */
static int check_chain(struct feed_database *f, int64_t last, struct event_batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        int64_t seq = event_batch_seq(batch, i);
        bool explained = true;
        int code = seq == last + 1 ? OUTBOX_OK : hole(f, last, seq, &explained);
        if (code != OUTBOX_OK)
            return code;
        if (!explained && i == 0)
            return found_gap(f, seq);
        if (!explained) { /* what comes before the hole is handed out first */
            event_batch_cut(batch, i);
            return OUTBOX_OK;
        }
        event_batch_set_prev(batch, i, last);
        last = seq;
    }
    return OUTBOX_OK;
}

/* Nothing is owed after after_seq: because nothing happened since, or because it was taken away? */
static int check_end(struct feed_database *f, int64_t after_seq, int count, struct event_batch *batch)
{
    int64_t last_seq = 0;
    bool explained = true;
    int code = one_int64(f, FS_LAST_SEQ, &last_seq);
    if (code != OUTBOX_OK || last_seq == after_seq)
        return code;
    if (last_seq < after_seq)
        return rewound(f->feed.ob, after_seq, last_seq);
    code = copy_rows(f, after_seq, count, batch); /* committed between the two looks */
    if (code != OUTBOX_OK || batch->count)
        return code;
    code = hole(f, after_seq, last_seq + 1, &explained);
    return code == OUTBOX_OK && !explained ? found_gap(f, 0) : code;
}

static int read_batch(struct feed *feed, int64_t after_seq, int count, struct event_batch *batch)
{
    struct feed_database *f = of(feed);
    /* Inside a transaction that has written, this connection sees its own events, which may yet be rolled back. */
    if (sqlite3_txn_state(feed->ob->db, "main") == SQLITE_TXN_WRITE)
        return OUTBOX_OK;
    int code = copy_rows(f, after_seq, count, batch);
    if (code == OUTBOX_OK && !batch->count)
        code = check_end(f, after_seq, count, batch);
    if (code == OUTBOX_OK && batch->count)
        code = check_chain(f, after_seq, batch);
    if (code != OUTBOX_OK || !batch->count)
        return code;
    /* Read is not durable yet: below synchronous=FULL a power cut could take back what is about to be handed out. */
    int rc = wal_sync(feed->ob->db);
    return rc == SQLITE_OK ? OUTBOX_OK
                           : fail(feed->ob, code_of_sqlite(rc), "sync of the write-ahead log: %s", sqlite3_errstr(rc));
}

/* ---- Open and close ---- */

static void close_feed(struct feed *feed, bool forked)
{
    for (int i = 0; !forked && i < FS_COUNT; i++)
        sqlite3_finalize(of(feed)->statements[i]);
    wake_close(feed->wake); /* in a child its descriptors are copies */
    free(feed);
}

static const struct feed_ops ops = {start, resume, read_batch, position, close_feed};

static int open_feed(struct feed_database *f)
{
    outbox *ob = f->feed.ob;
    const char *db_path = sqlite3_db_filename(ob->db, "main");
    if (!db_path || !*db_path)
        return fail(ob, OUTBOX_INVALID, "a database in memory has no consumers");
    ob->data_version = -1;         /* the connection itself may have made our tables anew: another source */
    int code = handle_refresh(ob); /* attached before our tables were there? */
    if (code != OUTBOX_OK)
        return code;
    for (int i = 0; i < FS_COUNT; i++) {
        int rc = sqlite3_prepare_v3(ob->db, feed_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &f->statements[i], NULL);
        if (rc != SQLITE_OK)
            return fail_sqlite(ob, rc, "outbox tables");
    }
    f->feed.wake = wake_open(db_path);
    return f->feed.wake ? OUTBOX_OK
                        : fail(ob, errno == ENOMEM ? OUTBOX_NOMEM : OUTBOX_IO, "cannot wait for commits: %m");
}

int feed_database_open(outbox *ob, struct feed **out)
{
    struct feed_database *f = calloc(1, sizeof *f);
    if (!f)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    f->feed.ops = &ops;
    f->feed.ob = ob;
    int code = open_feed(f);
    if (code != OUTBOX_OK) {
        close_feed(&f->feed, false);
        return code;
    }
    *out = &f->feed;
    return OUTBOX_OK;
}
