/* consumer.c — see consumer.h.
 *
 * The lock says who may; the token, in every later write's WHERE, makes sure that who was displaced writes nothing.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "consumer.h"
#include "handle.h"
#include "schema.h"
#include "segment.h"
#include "timestamp.h"
#include "transaction.h"

static const char sql_find[] = "SELECT reads, kind FROM main.consumer_offsets WHERE consumer = ?1";

static const char sql_register[] =
    "INSERT INTO main.consumer_offsets(consumer, reads, acked_seq, lease_token, updated_at, kind)"
    " VALUES (?1, ?2, nullif(?3, -1), 0, ?4, 'reader')";

/* reads anew: the stream is the same, but its path may be spelled another way than last time. */
static const char sql_claim[] =
    "UPDATE main.consumer_offsets SET lease_token = coalesce(lease_token, 0) + 1, lease_owner = ?2, updated_at = ?3,"
    " kind = 'reader', reads = ?4"
    " WHERE consumer = ?1 RETURNING lease_token, coalesce(acked_seq, -1), position";

static const char sql_look[] =
    "SELECT lease_token, coalesce(acked_seq, -1) FROM main.consumer_offsets WHERE consumer = ?1";

/* An acknowledgement of something older says nothing new, nor does what stood beside it. */
static const char sql_ack[] =
    "UPDATE main.consumer_offsets SET acked_seq = nullif(max(coalesce(acked_seq, -1), ?3), -1),"
    " position = iif(?3 >= coalesce(acked_seq, -1), nullif(coalesce(?4, position), ''), position), updated_at = ?5"
    " WHERE consumer = ?1 AND lease_token = ?2";

static const char sql_move[] =
    "UPDATE main.consumer_offsets SET acked_seq = nullif(?3, -1), position = NULL, lease_token = lease_token + 1,"
    " updated_at = ?4 WHERE consumer = ?1 AND lease_token = ?2";

/* How many columns it has (0: there is no such table), and whether they are ours. */
static const char sql_table[] = "SELECT count(*), group_concat(name) ="
                                " '" CONSUMER_OFFSETS_COLUMNS "' FROM pragma_table_info('consumer_offsets', 'main')";

bool consumer_name_is_good(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n >= 1 && n <= CONSUMER_NAME_MAX && !name[n] && name[0] != '.';
}

static int stale(outbox *ob, const struct consumer *c)
{
    return fail(ob, OUTBOX_STALE, "consumer %s was moved, removed or taken over; close the reader and open it again",
                c->name);
}

static int enter(outbox *ob, const struct consumer *c, struct scope *scope)
{
    return c->of_files ? scope_join(ob, scope) : scope_enter(ob, scope);
}

/* Prepares one of the statements; consumer is ?1. */
static int prepare(outbox *ob, const char *sql, const char *name, sqlite3_stmt **st)
{
    int rc = sqlite3_prepare_v2(ob->db, sql, -1, st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(*st, 1, name, -1, SQLITE_STATIC);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, "consumer_offsets");
}

/* ---- Taking it ---- */

static int check_reads(outbox *ob, const char *name, const char *stored, const char *kind, const char *reads)
{
    if (kind && strcmp(kind, "reader") != 0)
        return fail(ob, OUTBOX_INVALID, "consumer %s is an outbox-relay's, of kind %s; give this reader another name",
                    name, kind);
    if (stored && !reads)
        return fail(ob, OUTBOX_INVALID, "consumer %s follows the file %s; give this reader another name", name, stored);
    if (!stored && reads)
        return fail(ob, OUTBOX_INVALID, "consumer %s reads the database; give this reader of %s another name", name,
                    reads);
    if (stored && stream_same(stored, reads) != STREAM_SAME)
        return fail(ob, OUTBOX_INVALID, "consumer %s follows the file %s, not %s; give this reader another name", name,
                    stored, reads);
    return OUTBOX_OK;
}

static int find(outbox *ob, const char *name, const char *reads, bool *exists)
{
    sqlite3_stmt *st = NULL;
    int code = prepare(ob, sql_find, name, &st);
    if (code == OUTBOX_OK) {
        int rc = sqlite3_step(st);
        const char *stored = (const char *)sqlite3_column_text(st, 0), *kind = (const char *)sqlite3_column_text(st, 1);
        *exists = rc == SQLITE_ROW;
        if (rc == SQLITE_ROW && sqlite3_errcode(ob->db) == SQLITE_NOMEM) /* for a text, which is not NULL then */
            code = fail_sqlite(ob, SQLITE_NOMEM, "consumer_offsets");
        else if (rc == SQLITE_ROW)
            code = check_reads(ob, name, stored, kind, reads);
        else if (rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, "consumer_offsets");
    }
    sqlite3_finalize(st);
    return code;
}

static int enroll(outbox *ob, const char *name, struct feed *feed, int from)
{
    sqlite3_stmt *st = NULL;
    int64_t after_seq;
    int code = feed->ops->start(feed, from, &after_seq);
    if (code == OUTBOX_OK)
        code = prepare(ob, sql_register, name, &st);
    if (code == OUTBOX_OK) {
        int rc = sqlite3_bind_text(st, 2, feed->reads, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, after_seq);
        sqlite3_bind_int64(st, 4, timestamp_now_us());
        if (rc == SQLITE_OK)
            rc = sqlite3_step(st);
        if (rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, "consumer_offsets");
    }
    sqlite3_finalize(st);
    return code;
}

static int claim(outbox *ob, struct consumer *c, const char *reads)
{
    sqlite3_stmt *st = NULL;
    char owner[80];
    int code = prepare(ob, sql_claim, c->name, &st);
    if (code == OUTBOX_OK) {
        snprintf(owner, sizeof owner, "reader pid %d", (int)getpid());
        int rc = sqlite3_bind_text(st, 2, owner, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, timestamp_now_us());
        if (rc == SQLITE_OK)
            rc = sqlite3_bind_text(st, 4, reads, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK)
            rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            const char *position = (const char *)sqlite3_column_text(st, 2); /* out of memory: the next step says so */
            c->lease_token = sqlite3_column_int64(st, 0);
            c->acked_seq = sqlite3_column_int64(st, 1);
            snprintf(c->position, sizeof c->position, "%s", position ? position : "");
            rc = sqlite3_step(st);
        }
        if (rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, "consumer_offsets");
    }
    sqlite3_finalize(st);
    return code;
}

/* A reader's own database has none of our tables: this one it needs. */
static int make_table(outbox *ob)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(ob->db, sql_table, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    bool there = rc == SQLITE_ROW && sqlite3_column_int(st, 0), ours = there && sqlite3_column_int(st, 1);
    sqlite3_finalize(st);
    if (rc != SQLITE_ROW)
        return fail_sqlite(ob, rc, "consumer_offsets");
    if (there && !ours)
        return fail(
            ob, OUTBOX_SCHEMA,
            "the database has a table \"consumer_offsets\" that is not ours; move it out of the way: ALTER TABLE "
            "\"consumer_offsets\" RENAME TO \"consumer_offsets_old\"");
    if (there)
        return OUTBOX_OK;
    char *sql = schema_consumer_offsets_sql();
    rc = sql ? sqlite3_exec(ob->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, "consumer_offsets");
}

static int take_row(outbox *ob, struct consumer *c, struct feed *feed, int from)
{
    struct scope scope;
    bool exists = false;
    int code = enter(ob, c, &scope);
    if (code != OUTBOX_OK)
        return code;
    if (c->of_files)
        code = make_table(ob);
    if (code == OUTBOX_OK)
        code = find(ob, c->name, feed->reads, &exists);
    if (code == OUTBOX_OK && !exists)
        code = enroll(ob, c->name, feed, from);
    if (code == OUTBOX_OK)
        code = claim(ob, c, feed->reads);
    if (code == OUTBOX_OK)
        code = feed->ops->resume(feed, c->acked_seq, c->position);
    /* Before the commit: a consumer that could not be opened must not stay behind and hold events back for nobody. */
    if (code == OUTBOX_OK)
        code = prepare(ob, sql_look, c->name, &c->look);
    if (code == OUTBOX_OK)
        code = prepare(ob, sql_ack, c->name, &c->ack);
    return scope_leave(ob, &scope, code);
}

static int take_lock(outbox *ob, struct consumer *c)
{
    char holder[128];
    const char *db_path = sqlite3_db_filename(ob->db, "main");
    if (!db_path || !*db_path)
        return fail(ob, OUTBOX_INVALID, "a database in memory has no consumers");
    char *path = sqlite3_mprintf("%s.%s.lock", db_path, c->name);
    if (!path)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    int code = OUTBOX_OK;
    switch (lock_try(&c->lock, path)) {
    case LOCK_HELD: break;
    case LOCK_TAKEN:
        lock_holder(path, holder, sizeof holder);
        code = fail(ob, OUTBOX_BUSY, "consumer %s is held by %s", c->name, holder);
        break;
    case LOCK_ERROR: code = fail(ob, OUTBOX_IO, "%s: %m", path); break;
    }
    sqlite3_free(path);
    return code;
}

int consumer_take(outbox *ob, const char *name, struct feed *feed, int from, struct consumer *c)
{
    *c = (struct consumer){.lock = {-1}, .of_files = feed->reads};
    memcpy(c->name, name, strlen(name) + 1);
    int code = take_lock(ob, c);
    if (code == OUTBOX_OK)
        code = take_row(ob, c, feed, from);
    if (code != OUTBOX_OK)
        consumer_release(c, false);
    return code;
}

void consumer_release(struct consumer *c, bool forked)
{
    if (forked)
        return;
    sqlite3_finalize(c->look);
    sqlite3_finalize(c->ack);
    c->look = c->ack = NULL;
    lock_release(&c->lock);
}

/* ---- Holding it ---- */

int consumer_look(outbox *ob, struct consumer *c, int64_t *acked_seq)
{
    int rc = sqlite3_step(c->look);
    int64_t token = rc == SQLITE_ROW ? sqlite3_column_int64(c->look, 0) : -1;
    int64_t seq = rc == SQLITE_ROW ? sqlite3_column_int64(c->look, 1) : -1;
    sqlite3_reset(c->look);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return fail_sqlite(ob, rc, "consumer_offsets");
    if (token != c->lease_token)
        return stale(ob, c);
    *acked_seq = seq;
    return OUTBOX_OK;
}

int consumer_check(outbox *ob, struct consumer *c)
{
    int64_t ignored;
    return consumer_look(ob, c, &ignored);
}

int consumer_ack(outbox *ob, struct consumer *c, int64_t seq, const char *position)
{
    struct scope scope;
    int code = enter(ob, c, &scope);
    if (code != OUTBOX_OK)
        return code;
    sqlite3_bind_int64(c->ack, 2, c->lease_token);
    sqlite3_bind_int64(c->ack, 3, seq);
    sqlite3_bind_int64(c->ack, 5, timestamp_now_us());
    int rc = sqlite3_bind_text(c->ack, 4, position, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = statement_run(c->ack);
    if (rc != SQLITE_OK)
        code = fail_sqlite(ob, rc, "consumer_offsets");
    else if (sqlite3_changes(ob->db) == 0)
        code = stale(ob, c);
    return scope_leave(ob, &scope, code);
}

static int move(outbox *ob, const struct consumer *c, int64_t seq)
{
    sqlite3_stmt *st = NULL;
    int code = prepare(ob, sql_move, c->name, &st);
    if (code == OUTBOX_OK) {
        sqlite3_bind_int64(st, 2, c->lease_token);
        sqlite3_bind_int64(st, 3, seq);
        sqlite3_bind_int64(st, 4, timestamp_now_us());
        int rc = sqlite3_step(st);
        if (rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, "consumer_offsets");
        else if (sqlite3_changes(ob->db) == 0)
            code = stale(ob, c);
    }
    sqlite3_finalize(st);
    return code;
}

int consumer_restart(outbox *ob, struct consumer *c, struct feed *feed, int from, int64_t *after_seq)
{
    struct scope scope;
    int64_t seq = 0;
    int code = enter(ob, c, &scope);
    if (code != OUTBOX_OK)
        return code;
    code = feed->ops->start(feed, from, &seq);
    if (code == OUTBOX_OK)
        code = feed->ops->resume(feed, seq, "");
    if (code == OUTBOX_OK)
        code = move(ob, c, seq);
    code = scope_leave(ob, &scope, code);
    if (code != OUTBOX_OK)
        return code;
    c->lease_token++;
    *after_seq = seq;
    return OUTBOX_OK;
}
