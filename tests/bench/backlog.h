/* backlog.h — a database with n events owed, as the library would have written them. */
#ifndef BENCH_BACKLOG_H
#define BENCH_BACKLOG_H

#include "bench.h"
#include "outbox.h"

/* Payloads, as SQL expressions of i and the number of keys k: one of some 400 bytes, and one that makes a CloudEvent of 400. */
static const char backlog_order[] =
    "printf('{\"id\":\"order-%06d\",\"customer\":\"customer-0042\",\"status\":\"paid\",\"total\":%d.25,\"items\":%d,"
    "\"note\":\"%s\",\"revision\":1}', i % k, i, i,"
    " 'Leave the parcel with the neighbours at number twelve if nobody answers the door before noon, and please do not put"
    " it behind the bins again; the last one was taken away with the rubbish on the Thursday, which was nobody''s fault but"
    " cost us a new lamp.')";
static const char backlog_short_order[] =
    "printf('{\"id\":\"order-%06d\",\"customer\":\"customer-0042\",\"status\":\"paid\",\"revision\":1}', i % k)";

static const char backlog_fill[] =
    "BEGIN;"
    "INSERT INTO change_log(topic, table_name, key, op, revision, payload, created_at)"
    " WITH RECURSIVE n(i, k) AS (SELECT 1, %d UNION ALL SELECT i + 1, k FROM n WHERE i < %d)"
    " SELECT 'orders', 'orders', printf('order-%%06d', i %% k), 'insert', 1, %s, 1795252692334000 + i FROM n;"
    "INSERT INTO outbox SELECT seq FROM change_log;"
    "COMMIT";

/* retain keeps the janitor from reclaiming what the next round needs; "0" lets it. */
static inline void backlog_make_of(const char *payload, const char *path, int events, int keys, const char *retain_us)
{
    outbox *ob;
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL};
    if (outbox_open(path, &o, &ob) != OUTBOX_OK)
        bench_die(path, outbox_errmsg(NULL));
    char *sql = sqlite3_mprintf(backlog_fill, keys, events, payload);
    char *set = sqlite3_mprintf("UPDATE outbox_meta SET value = %s WHERE name = 'retain'", retain_us);
    sqlite3 *db = outbox_db(ob);
    if (sqlite3_exec(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL) ||
        sqlite3_exec(db, sql, NULL, NULL, NULL) || sqlite3_exec(db, set, NULL, NULL, NULL) ||
        sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL))
        bench_die("fill", sqlite3_errmsg(db));
    sqlite3_free(sql);
    sqlite3_free(set);
    outbox_close(ob);
    sync(); /* what the disk has to do it does now, and not while something is measured */
}

static inline void backlog_make(const char *path, int events, int keys, const char *retain_us)
{
    backlog_make_of(backlog_order, path, events, keys, retain_us);
}

#endif
