/* table.c — looks a domain table up and keeps what was found; see table.h.
 *
 * A schema change is noticed at no cost: the first statement of every write is the table's SELECT, and SQLite counts
 * how often it had to prepare it anew. Only then is the schema's stamp compared and the table read again.
 *
 * The schema cookie alone is no such stamp. A rollback takes it back, and the next change brings the same number round
 * again; and a trigger in temp leaves it alone. But on both SQLite expires every statement of the connection, the PRAGMA
 * that reads the cookie too, so the stamp is the cookie and how often that PRAGMA had to be prepared anew. (Nobody else's
 * rollback matters: what it takes back was never to be seen.) The table's own SELECT would not do for this: with STAT4
 * SQLite may prepare it anew whenever another key is bound.
 */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "handle.h"
#include "json_write.h"
#include "plan.h"
#include "table.h"

static const char sql_kind[] = "SELECT name, type, wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'";

/* hidden: 0 ordinary, 2 and 3 generated. */
static const char sql_columns[] = "SELECT name, type, pk, hidden <> 0, name = 'revision' COLLATE NOCASE"
                                  " FROM pragma_table_xinfo(?1, 'main') WHERE hidden IN (0, 2, 3) ORDER BY cid";

/* A primary key with an index of its own is not the rowid under another name. */
static const char sql_key_index[] = "SELECT 1 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'";

static const char sql_triggers[] =
    "SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE"
    "   AND name NOT GLOB 'outbox_capture_*'"
    " UNION ALL SELECT 1 FROM sqlite_temp_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";

static const char *const own_tables[] = {"change_log",        "outbox",           "consumer_offsets",
                                         "failed_deliveries", "outbox_meta",      "outbox_audit",
                                         "failed_attempts",   "outbox_displaced", "outbox_odd"};

static void table_free(struct table *t, bool finalize)
{
    plans_free(t->plans, finalize);
    if (finalize) {
        sqlite3_finalize(t->select);
        sqlite3_finalize(t->delete);
    }
    for (int i = 0; i < t->column_count; i++) {
        free(t->columns[i].name);
        free(t->columns[i].label);
    }
    free(t->columns);
    free(t->keys);
    free(t->key_values);
    free(t->key_digits);
    sqlite3_free(t->stale);
    free(t->name);
    free(t);
}

void tables_free(struct table *t, bool finalize)
{
    while (t) {
        struct table *next = t->next;
        table_free(t, finalize);
        t = next;
    }
}

/* SQLite's rules for a declared type, in its order (datatype3.html, 3.1). ANY keeps what it is given in a STRICT table only
 * (stricttables.html): elsewhere it is a name like any other. */
static enum affinity affinity_of(const char *type, bool strict)
{
    if (!type || !*type || (strict && !sqlite3_stricmp(type, "ANY")))
        return AFFINITY_BLOB;
    if (!sqlite3_strlike("%INT%", type, 0))
        return AFFINITY_INTEGER;
    if (!sqlite3_strlike("%CHAR%", type, 0) || !sqlite3_strlike("%CLOB%", type, 0) ||
        !sqlite3_strlike("%TEXT%", type, 0))
        return AFFINITY_TEXT;
    if (!sqlite3_strlike("%BLOB%", type, 0))
        return AFFINITY_BLOB;
    if (!sqlite3_strlike("%REAL%", type, 0) || !sqlite3_strlike("%FLOA%", type, 0) ||
        !sqlite3_strlike("%DOUB%", type, 0))
        return AFFINITY_REAL;
    return AFFINITY_NUMERIC;
}

static int prepare(outbox *ob, const char *sql, const char *table, sqlite3_stmt **st)
{
    int rc = sqlite3_prepare_v2(ob->db, sql, -1, st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(*st, 1, table, -1, SQLITE_STATIC);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, table);
}

static int any_row(outbox *ob, const char *sql, const char *table, bool *found)
{
    sqlite3_stmt *st = NULL;
    int code = prepare(ob, sql, table, &st);
    if (code == OUTBOX_OK) {
        int rc = sqlite3_step(st);
        *found = rc == SQLITE_ROW;
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            code = fail_sqlite(ob, rc, table);
    }
    sqlite3_finalize(st);
    return code;
}

/* The table's own spelling of its name, and that it is one we may write. */
static int load_name(outbox *ob, const char *name, struct table *t, bool *without_rowid)
{
    sqlite3_stmt *st = NULL;
    int code = prepare(ob, sql_kind, name, &st);
    int rc = code == OUTBOX_OK ? sqlite3_step(st) : SQLITE_ERROR;
    const char *own_name = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    const char *type = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 1) : NULL;
    if (code != OUTBOX_OK) {
        /* said already */
    } else if (rc == SQLITE_DONE || !sqlite3_strnicmp(name, "sqlite_", 7)) {
        code = fail(ob, OUTBOX_INVALID, "no such table: %s", name);
    } else if (rc != SQLITE_ROW) {
        code = fail_sqlite(ob, rc, name);
    } else if (type && strcmp(type, "table") != 0) {
        code = fail(ob, OUTBOX_INVALID, "%s is a %s; rows are written to ordinary tables only", name, type);
    } else if (!type || !own_name || !(t->name = strdup(own_name))) { /* in UTF-16 reading a text can fail too */
        code = fail(ob, OUTBOX_NOMEM, "out of memory");
    } else {
        *without_rowid = sqlite3_column_int(st, 2);
        t->strict = sqlite3_column_int(st, 3);
    }
    sqlite3_finalize(st);
    for (size_t i = 0; code == OUTBOX_OK && i < sizeof own_tables / sizeof *own_tables; i++)
        if (!sqlite3_stricmp(t->name, own_tables[i]))
            code = fail(ob, OUTBOX_INVALID, "%s is the outbox's own table", t->name);
    return code;
}

static bool make_label(struct column *c)
{
    struct buffer label = {0};
    json_write_text(&label, c->name, strlen(c->name));
    buffer_append_byte(&label, ':');
    c->label = label.data;
    c->label_size = label.size;
    return buffer_ok(&label);
}

static int add_column(outbox *ob, struct table *t, sqlite3_stmt *st)
{
    struct column *more = realloc(t->columns, sizeof *more * (size_t)(t->column_count + 1));
    if (!more)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    t->columns = more;
    struct column *c = &t->columns[t->column_count];
    const char *name = (const char *)sqlite3_column_text(st, 0), *type = (const char *)sqlite3_column_text(st, 1);
    *c = (struct column){.name = name ? strdup(name) : NULL,
                         .affinity = affinity_of(type, t->strict),
                         .key_place = sqlite3_column_int(st, 2),
                         .generated = sqlite3_column_int(st, 3)};
    t->column_count++;
    if (!c->name || !type || !make_label(c))
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    if (sqlite3_column_int(st, 4) && !c->generated)
        t->revision = t->column_count - 1;
    if (c->key_place > t->key_count)
        t->key_count = c->key_place;
    return OUTBOX_OK;
}

static int load_columns(outbox *ob, struct table *t)
{
    sqlite3_stmt *st = NULL;
    int rc = SQLITE_DONE, code = prepare(ob, sql_columns, t->name, &st);
    t->revision = -1;
    while (code == OUTBOX_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        code = add_column(ob, t, st);
    if (code == OUTBOX_OK && rc != SQLITE_DONE)
        code = fail_sqlite(ob, rc, t->name);
    sqlite3_finalize(st);
    if (code != OUTBOX_OK)
        return code;
    if (!t->key_count)
        return fail(ob, OUTBOX_INVALID, "table %s has no PRIMARY KEY; an outbox row needs one to be named by", t->name);
    if (t->revision < 0)
        return fail(
            ob, OUTBOX_INVALID,
            "table %s has no revision column; add one: ALTER TABLE \"%s\" ADD COLUMN revision INTEGER NOT NULL DEFAULT 1",
            t->name, t->name);
    if (t->columns[t->revision].key_place)
        return fail(ob, OUTBOX_INVALID, "table %s: revision is part of the primary key; it must be a column of its own",
                    t->name);
    t->keys = calloc((size_t)t->key_count, sizeof *t->keys);
    t->key_values = calloc((size_t)t->key_count, sizeof *t->key_values);
    t->key_digits = calloc((size_t)t->key_count, sizeof *t->key_digits);
    if (!t->keys || !t->key_values || !t->key_digits)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].key_place)
            t->keys[t->columns[i].key_place - 1] = i;
    return OUTBOX_OK;
}

static int read_stamp(outbox *ob, struct schema_stamp *stamp)
{
    int code;
    sqlite3_stmt *st = handle_statement(ob, ST_SCHEMA_COOKIE, &code);
    if (!st)
        return code;
    int rc = sqlite3_step(st);
    stamp->cookie = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    stamp->expiries = sqlite3_stmt_status(st, SQLITE_STMTSTATUS_REPREPARE, 0);
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? OUTBOX_OK : fail_sqlite(ob, rc, "schema_version");
}

static int load(outbox *ob, const char *name, struct table *t)
{
    bool without_rowid = false, key_index = false;
    /* First: what changes while we look (outbox_get holds no lock) is then read again. */
    int code = read_stamp(ob, &t->stamp);
    if (code == OUTBOX_OK)
        code = load_name(ob, name, t, &without_rowid);
    if (code == OUTBOX_OK)
        code = load_columns(ob, t);
    if (code == OUTBOX_OK)
        code = any_row(ob, sql_key_index, t->name, &key_index);
    if (code == OUTBOX_OK)
        code = any_row(ob, sql_triggers, t->name, &t->triggers);
    if (code != OUTBOX_OK)
        return code;
    t->rowid_alias = !without_rowid && !key_index && t->key_count == 1;
    t->without_rowid = without_rowid;
    code = capture_look(ob, t, &t->captured, &t->stale);
    if (code != OUTBOX_OK)
        return code;
    return plan_key_statements(ob, t, without_rowid);
}

static int load_new(outbox *ob, const char *name, struct table **out)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    int code = load(ob, name, t);
    if (code != OUTBOX_OK) {
        table_free(t, true);
        return code;
    }
    t->next = ob->tables;
    ob->tables = *out = t;
    return OUTBOX_OK;
}

int table_find(outbox *ob, const char *name, struct table **out)
{
    for (struct table **p = &ob->tables; *p; p = &(*p)->next) {
        struct table *t = *p;
        if (sqlite3_stricmp(t->name, name))
            continue;
        *p = t->next;
        t->next = ob->tables;
        ob->tables = *out = t;
        return OUTBOX_OK;
    }
    return load_new(ob, name, out);
}

static int reload(outbox *ob, struct table **table)
{
    struct table *t = *table;
    char *name = strdup(t->name);
    if (!name)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    ob->tables = t->next; /* table_find has put it first */
    *table = NULL;
    table_free(t, true);
    int code = load_new(ob, name, table);
    free(name);
    return code;
}

int table_refresh(outbox *ob, struct table **table, bool *changed)
{
    struct schema_stamp now = {-1, 0}, then = (*table)->stamp;
    int code = read_stamp(ob, &now);
    if (code != OUTBOX_OK || (now.cookie == then.cookie && now.expiries == then.expiries))
        return code;
    code = reload(ob, table);
    *changed = code == OUTBOX_OK;
    return code;
}

int table_recheck(outbox *ob, struct table **table, int rc, bool *changed)
{
    struct table *t = *table;
    *changed = false;
    int reprepared = sqlite3_stmt_status(t->select, SQLITE_STMTSTATUS_REPREPARE, 0);
    if (reprepared == t->reprepared && rc != SQLITE_ERROR)
        return OUTBOX_OK;
    /* A dropped column or table does not get as far as a new statement: it is an error of the step. */
    if (rc == SQLITE_ERROR)
        sqlite3_reset(t->select);
    int code = table_refresh(ob, table, changed);
    if (code == OUTBOX_OK && !*changed)
        t->reprepared = reprepared; /* settled; after a failure the next write looks again */
    return code;
}
