/* capture_conflict.c — which rows stand in the way of a new one: those that a REPLACE would displace.
 *
 * SQLite deletes them without a delete trigger, unless recursive_triggers is on, so the triggers look for them as
 * SQLite does: by the rowid or primary key, and by each unique index under its own collations.
 */
#include "capture.h"
#include "handle.h"

static const char sql_indexes[] = "SELECT name, partial FROM pragma_index_list(?1, 'main') WHERE \"unique\"";
static const char sql_index_columns[] =
    "SELECT cid, name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno";

static int column_by_name(const struct table *t, const char *name)
{
    for (int i = 0; name && i < t->column_count; i++)
        if (!sqlite3_stricmp(t->columns[i].name, name))
            return i;
    return -1;
}

static int prepare(outbox *ob, const char *sql, const char *name, sqlite3_stmt **st)
{
    int rc = sqlite3_prepare_v2(ob->db, sql, -1, st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(*st, 1, name, -1, SQLITE_STATIC);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, name);
}

/* One unique index: "(o.a = NEW.a COLLATE x AND …)". *seen is false where it has an expression. */
static int add_index(outbox *ob, struct capture *c, const char *index, sqlite3_str *sql, bool *seen)
{
    sqlite3_stmt *st = NULL;
    int rc = SQLITE_DONE, n = 0, code = prepare(ob, sql_index_columns, index, &st);
    *seen = true;
    while (code == OUTBOX_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int column = column_by_name(c->table, (const char *)sqlite3_column_text(st, 1));
        if (column < 0) {
            *seen = false;
            continue;
        }
        c->unique[column] = true;
        const char *name = c->table->columns[column].name;
        sqlite3_str_appendf(sql, "%so.\"%w\" = NEW.\"%w\" COLLATE \"%w\"", n++ ? " AND " : "", name, name,
                            (const char *)sqlite3_column_text(st, 2));
    }
    if (code == OUTBOX_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = fail_sqlite(ob, rc, index);
    sqlite3_finalize(st);
    return code;
}

static int add_indexes(outbox *ob, struct capture *c, sqlite3_str *sql)
{
    sqlite3_stmt *st = NULL;
    int rc = SQLITE_DONE, code = prepare(ob, sql_indexes, c->table->name, &st);
    while (code == OUTBOX_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        sqlite3_str *one = sqlite3_str_new(ob->db);
        bool seen;
        code = add_index(ob, c, (const char *)sqlite3_column_text(st, 0), one, &seen);
        if (code == OUTBOX_OK && sqlite3_str_errcode(one) != SQLITE_OK)
            code = fail_sqlite(ob, sqlite3_str_errcode(one), c->table->name);
        char *text = sqlite3_str_finish(one);
        if (!seen || sqlite3_column_int(st, 1))
            c->unseen_index = true;
        else if (text)
            sqlite3_str_appendf(sql, "%s(%s)", sqlite3_str_length(sql) ? " OR " : "", text);
        sqlite3_free(text);
    }
    if (code == OUTBOX_OK && rc != SQLITE_DONE)
        code = fail_sqlite(ob, rc, c->table->name);
    sqlite3_finalize(st);
    return code;
}

int capture_find_conflicts(outbox *ob, struct capture *c)
{
    const struct table *t = c->table;
    sqlite3_str *sql = sqlite3_str_new(ob->db);
    if (t->rowid_alias) {
        const char *name = t->columns[t->keys[0]].name;
        sqlite3_str_appendf(sql, "o.\"%w\" = NEW.\"%w\"", name, name);
        c->unique[t->keys[0]] = true;
    }
    int code = add_indexes(ob, c, sql);
    c->conflicts = sqlite3_str_finish(sql);
    if (code == OUTBOX_OK && !c->conflicts)
        code = fail(ob, OUTBOX_NOMEM, "out of memory");
    return code;
}
