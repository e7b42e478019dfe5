/* capture_conflict.c — which rows stand in the way of a new one: those that a REPLACE would displace.
 *
 * SQLite deletes them without a delete trigger, unless recursive_triggers is on, so the triggers look for them as
 * SQLite does: by the rowid, which is a key whether a column shows it or not, by the primary key, and by each unique
 * index under its own collations; and where NEW has NULL in a column that is NOT NULL, by the column's default, for that
 * is what REPLACE makes of it.
 */
#include <string.h>

#include "capture.h"
#include "handle.h"

static const char sql_indexes[] = "SELECT name, partial FROM pragma_index_list(?1, 'main') WHERE \"unique\"";
static const char sql_index_columns[] =
    "SELECT i.cid, i.name, i.coll, c.dflt_value FROM pragma_index_xinfo(?1, 'main') AS i"
    "  LEFT JOIN pragma_table_xinfo(?2, 'main') AS c ON c.cid = i.cid AND c.\"notnull\""
    " WHERE i.key ORDER BY i.seqno";

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

/* DEFAULT word is text, but a word would be a column in an expression, and so may a name in quotes be. */
static int is_expression(outbox *ob, const char *value, bool *is)
{
    *is = false;
    if (strchr("\"`[", *value))
        return OUTBOX_OK;
    sqlite3_stmt *st = NULL;
    char *sql = sqlite3_mprintf("SELECT (%s)", value);
    int rc = sql ? sqlite3_prepare_v2(ob->db, sql, -1, &st, NULL) : SQLITE_NOMEM;
    sqlite3_finalize(st);
    sqlite3_free(sql);
    *is = rc == SQLITE_OK;
    return rc == SQLITE_OK || rc == SQLITE_ERROR ? OUTBOX_OK : fail_sqlite(ob, rc, value);
}

/* o.column = what NEW will have there; value is the default that stands in for a NULL, or NULL. */
static int put_equal(outbox *ob, struct capture *c, const char *name, const char *value, sqlite3_str *sql)
{
    bool known = false;
    int code = value ? is_expression(ob, value, &known) : OUTBOX_OK;
    if (value && !known)
        c->unseen_index = true;
    if (known)
        sqlite3_str_appendf(sql, "o.\"%w\" = coalesce(NEW.\"%w\", (%s))", name, name, value);
    else
        sqlite3_str_appendf(sql, "o.\"%w\" = NEW.\"%w\"", name, name);
    return code;
}

/* One unique index: "(o.a = NEW.a COLLATE x AND …)". *seen is false where it has an expression. */
static int add_index(outbox *ob, struct capture *c, const char *index, sqlite3_str *sql, bool *seen)
{
    sqlite3_stmt *st = NULL;
    int rc = SQLITE_DONE, n = 0, code = prepare(ob, sql_index_columns, index, &st);
    *seen = true;
    if (code == OUTBOX_OK && (rc = sqlite3_bind_text(st, 2, c->table->name, -1, SQLITE_STATIC)) != SQLITE_OK)
        code = fail_sqlite(ob, rc, index);
    while (code == OUTBOX_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int column = column_by_name(c->table, (const char *)sqlite3_column_text(st, 1));
        if (column < 0) {
            *seen = false;
            continue;
        }
        c->unique[column] = true;
        sqlite3_str_appendall(sql, n++ ? " AND " : "");
        code = put_equal(ob, c, c->table->columns[column].name, (const char *)sqlite3_column_text(st, 3), sql);
        sqlite3_str_appendf(sql, " COLLATE \"%w\"", (const char *)sqlite3_column_text(st, 2));
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
    } else if (c->rowid) {
        sqlite3_str_appendf(sql, "o.%s = NEW.%s", c->rowid, c->rowid);
    }
    int code = add_indexes(ob, c, sql);
    c->conflicts = sqlite3_str_finish(sql);
    if (code == OUTBOX_OK && !c->conflicts)
        code = fail(ob, OUTBOX_NOMEM, "out of memory");
    return code;
}
