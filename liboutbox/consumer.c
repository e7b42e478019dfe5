/* consumer.c — see consumer.h.
 *
 * The lock says who may; the token, in every later write's WHERE, makes sure that who was displaced writes nothing.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "consumer.h"
#include "handle.h"
#include "timestamp.h"
#include "transaction.h"

static const char sql_find[] = "SELECT acked_seq, reads FROM main.consumer_offsets WHERE consumer = ?1";

/* The oldest event owed, or the end where nothing is. */
static const char sql_register[] =
    "INSERT INTO main.consumer_offsets(consumer, acked_seq, lease_token, updated_at)"
    " SELECT ?1, CASE ?2 WHEN 1 THEN s.last ELSE coalesce((SELECT min(seq) - 1 FROM main.outbox), s.last) END, 0, ?3"
    " FROM (SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0) AS last) AS s";

static const char sql_claim[] =
    "UPDATE main.consumer_offsets SET lease_token = coalesce(lease_token, 0) + 1, lease_owner = ?2,"
    " updated_at = ?3 WHERE consumer = ?1 RETURNING lease_token, acked_seq,"
    " coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0)";

bool consumer_name_is_good(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n >= 1 && n <= CONSUMER_NAME_MAX && !name[n] && name[0] != '.';
}

int consumer_rewound(outbox *ob, const char *name, int64_t read_seq, int64_t last_seq)
{
    return fail(
        ob, OUTBOX_REWOUND,
        "consumer %s has read up to seq %lld, but the database ends at %lld: was an older copy put in its place? "
        "see outboxctl new-source",
        name, (long long)read_seq, (long long)last_seq);
}

/* Prepares one of the three statements; consumer is ?1. */
static int prepare(outbox *ob, const char *sql, const char *name, sqlite3_stmt **st)
{
    int rc = sqlite3_prepare_v2(ob->db, sql, -1, st, NULL);
    if (rc != SQLITE_OK)
        return fail_sqlite(ob, rc, "consumer_offsets");
    sqlite3_bind_text(*st, 1, name, -1, SQLITE_STATIC);
    return OUTBOX_OK;
}

static int find(outbox *ob, const char *name, bool *exists)
{
    sqlite3_stmt *st = NULL;
    int code = prepare(ob, sql_find, name, &st);
    if (code == OUTBOX_OK) {
        int rc = sqlite3_step(st);
        *exists = rc == SQLITE_ROW;
        if (rc == SQLITE_ROW && sqlite3_column_type(st, 1) != SQLITE_NULL)
            code = fail(ob, OUTBOX_INVALID, "consumer %s follows the file %s; give this reader another name", name,
                        (const char *)sqlite3_column_text(st, 1));
        else if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, "consumer_offsets");
    }
    sqlite3_finalize(st);
    return code;
}

static int enroll(outbox *ob, const char *name, int from)
{
    sqlite3_stmt *st = NULL;
    int code = prepare(ob, sql_register, name, &st);
    if (code == OUTBOX_OK) {
        sqlite3_bind_int(st, 2, from == OUTBOX_FROM_NOW);
        sqlite3_bind_int64(st, 3, timestamp_now_us());
        int rc = sqlite3_step(st);
        if (rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, "consumer_offsets");
    }
    sqlite3_finalize(st);
    return code;
}

static int claim(outbox *ob, struct consumer *c, int64_t *last_seq)
{
    sqlite3_stmt *st = NULL;
    char owner[80];
    int code = prepare(ob, sql_claim, c->name, &st);
    if (code == OUTBOX_OK) {
        snprintf(owner, sizeof owner, "reader pid %d", (int)getpid());
        sqlite3_bind_text(st, 2, owner, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, timestamp_now_us());
        int rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            c->lease_token = sqlite3_column_int64(st, 0);
            c->acked_seq = sqlite3_column_int64(st, 1);
            *last_seq = sqlite3_column_int64(st, 2);
            rc = sqlite3_step(st);
        }
        if (rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, "consumer_offsets");
    }
    sqlite3_finalize(st);
    return code;
}

static int take_row(outbox *ob, struct consumer *c, int from)
{
    struct scope scope;
    bool exists = false;
    int64_t last_seq = 0;
    int code = scope_enter(ob, &scope);
    if (code != OUTBOX_OK)
        return code;
    code = find(ob, c->name, &exists);
    if (code == OUTBOX_OK && !exists)
        code = enroll(ob, c->name, from);
    if (code == OUTBOX_OK)
        code = claim(ob, c, &last_seq);
    if (code == OUTBOX_OK && last_seq < c->acked_seq)
        code = consumer_rewound(ob, c->name, c->acked_seq, last_seq);
    return scope_leave(ob, &scope, code);
}

static int take_lock(outbox *ob, struct consumer *c)
{
    char holder[128];
    char *path = sqlite3_mprintf("%s.%s.lock", sqlite3_db_filename(ob->db, "main"), c->name);
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

int consumer_take(outbox *ob, const char *name, int from, struct consumer *c)
{
    *c = (struct consumer){.lock = {-1}};
    memcpy(c->name, name, strlen(name) + 1);
    int code = take_lock(ob, c);
    if (code != OUTBOX_OK)
        return code;
    code = take_row(ob, c, from);
    if (code != OUTBOX_OK)
        consumer_release(c);
    return code;
}

void consumer_release(struct consumer *c)
{
    lock_release(&c->lock);
}
