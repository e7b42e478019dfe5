/* verify_rows.c — the tables against the log: writes that escaped it, and capture triggers that are out of date.
 *
 * A row and the last entry of its key have to agree: in the revision, and in every column that both have (a column may
 * have been added or left out since). A row without an entry proves nothing: history is reclaimed, and a table may be
 * older than its log. Nor does an entry that only a failed delivery has kept: later ones of its key may be gone. Numbers are compared as numbers, since a trigger spells a fraction in its own way.
 *
 * SQLite sorts and joins in temporary files: memory stays the same however many rows there are.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capture_value.h"
#include "handle.h"
#include "json_scan.h"
#include "query.h"
#include "table.h"
#include "value.h"
#include "verify.h"

enum { ROWS_SHOWN = 20 };

static const char sql_tables[] =
    "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name COLLATE NOCASE IN"
    " (SELECT table_name FROM main.change_log UNION SELECT tbl_name FROM main.sqlite_schema"
    "  WHERE type = 'trigger' AND name GLOB 'outbox_capture_*') ORDER BY name";

/* The last entry of each key, joined to its row by the key's text form. */
static const char sql_rows[] =
    "SELECT coalesce(l.key, o.key), c.seq, c.revision, c.op, c.payload, o.*"
    " FROM (SELECT key, max(seq) AS seq FROM main.change_log WHERE table_name = %Q AND op <> 'emit' GROUP BY key) AS l"
    " JOIN main.change_log AS c ON c.seq = l.seq"
    " LEFT JOIN (SELECT %s AS key, 1 AS there%s FROM main.\"%w\" AS o) AS o ON o.key = l.key";

enum { ROW_KEY, ROW_SEQ, ROW_REVISION, ROW_OP, ROW_PAYLOAD, ROW_OWN_KEY, ROW_THERE, ROW_IMAGE };

struct check {
    struct verify *verify;
    outbox *ob;
    struct table *table;
    struct capture capture;
    int64_t found, whole_from;
    struct buffer value, name;
};

static void escaped(struct check *c, sqlite3_stmt *st, const char *words)
{
    int64_t seq = sqlite3_column_int64(st, ROW_SEQ);
    const char *key = (const char *)sqlite3_column_text(st, ROW_KEY);
    if (c->found++ < ROWS_SHOWN)
        verify_problem(c->verify, "escaped", seq, seq,
                       "table %s, key %s: %s, and its last event is %" PRId64 ": a write escaped the log",
                       c->table->name, key ? key : "NULL", words, seq);
    else
        c->verify->problems++;
}

static bool same_value(struct check *c, const struct json_value *logged, const outbox_value *stored)
{
    double number;
    buffer_clear(&c->value);
    if (stored->type == OUTBOX_TYPE_REAL && (logged->type == JSON_REAL || logged->type == JSON_INTEGER))
        return json_double(logged, &number) && !(number < stored->as.real) && !(number > stored->as.real);
    value_write(&c->value, stored);
    const char *text = logged->text;
    size_t size = logged->size;
    if (logged->type == JSON_STRING) {
        text--;
        size += 2;
    }
    return buffer_ok(&c->value) && c->value.size == size && !memcmp(c->value.data, text, size);
}

/* The column that a member of the payload is of; -1: none any more. */
static int column_of(struct check *c, const struct json_value *name)
{
    buffer_clear(&c->name);
    json_unescape(&c->name, name);
    const char *text = buffer_text(&c->name);
    for (int i = 0; text && i < c->table->column_count; i++)
        if (!sqlite3_stricmp(c->table->columns[i].name, text))
            return i;
    return -1;
}

/* The first column in which row and payload differ; NULL: none, or a buffer of c has no memory. */
static const char *difference(struct check *c, sqlite3_stmt *st)
{
    struct json_walk walk;
    struct json_value name, value;
    const char *json = (const char *)sqlite3_column_text(st, ROW_PAYLOAD);
    size_t size = (size_t)sqlite3_column_bytes(st, ROW_PAYLOAD);
    if (json && !strcmp(json, "null")) /* erased: there is nothing to compare */
        return NULL;
    if (!json || !json_check(json, size, NULL) || !json_walk_begin(&walk, json, size))
        return "the event's payload";
    while (json_walk_member(&walk, &name, &value)) {
        int i = column_of(c, &name);
        if (!buffer_ok(&c->name))
            return NULL;
        if (i < 0 || i == c->table->revision || (c->capture.watched && !c->capture.watched[i]))
            continue;
        outbox_value stored = value_stored(st, ROW_IMAGE + i);
        if (!same_value(c, &value, &stored))
            return buffer_ok(&c->value) ? c->table->columns[i].name : NULL;
    }
    return NULL;
}

static void check_row(struct check *c, sqlite3_stmt *st)
{
    char words[300];
    bool there = sqlite3_column_type(st, ROW_THERE) != SQLITE_NULL;
    const char *op = (const char *)sqlite3_column_text(st, ROW_OP);
    bool deleted = op && !strcmp(op, "delete");
    int64_t logged = sqlite3_column_int64(st, ROW_REVISION);
    if (sqlite3_column_int64(st, ROW_SEQ) < c->whole_from)
        return;
    int ops = c->capture.ops;
    if (!there && !deleted && (ops & OUTBOX_CAPTURE_DELETE))
        escaped(c, st, "the row is gone");
    else if (there && deleted && (ops & OUTBOX_CAPTURE_INSERT))
        escaped(c, st, "the row is there again");
    if (!there || deleted || !(ops & OUTBOX_CAPTURE_UPDATE))
        return;
    int64_t revision = sqlite3_column_int64(st, ROW_IMAGE + c->table->revision);
    if (c->capture.watched ? revision < logged : revision != logged) {
        sqlite3_snprintf(sizeof words, words, "the row is at revision %lld, not %lld", (long long)revision,
                         (long long)logged);
        escaped(c, st, words);
        return;
    }
    const char *column = difference(c, st);
    if (column) {
        sqlite3_snprintf(sizeof words, words, "column %s is not as logged", column);
        escaped(c, st, words);
    }
}

static char *rows_sql(struct check *c)
{
    sqlite3_str *key = sqlite3_str_new(c->ob->db), *columns = sqlite3_str_new(c->ob->db);
    capture_write_key(key, &c->capture, "o");
    for (int i = 0; i < c->table->column_count; i++)
        sqlite3_str_appendf(columns, ", o.\"%w\" AS c%d", c->table->columns[i].name, i);
    char *key_text = sqlite3_str_finish(key), *columns_text = sqlite3_str_finish(columns);
    char *sql = key_text && columns_text
                    ? sqlite3_mprintf(sql_rows, c->table->name, key_text, columns_text, c->table->name)
                    : NULL;
    sqlite3_free(key_text);
    sqlite3_free(columns_text);
    return sql;
}

/* Faults of the moment end it; NULL of them would be findings. SQLITE_OK: what is wrong is the table. */
static int rc_of(int code)
{
    switch (code) {
    case OUTBOX_NOMEM: return SQLITE_NOMEM;
    case OUTBOX_INTERRUPTED: return SQLITE_INTERRUPT;
    case OUTBOX_BUSY: return SQLITE_BUSY;
    case OUTBOX_IO: return SQLITE_IOERR;
    default: return SQLITE_OK;
    }
}

static int check_rows(struct check *c)
{
    sqlite3_stmt *st = NULL;
    char *sql = rows_sql(c);
    int rc = sql ? sqlite3_prepare_v2(c->ob->db, sql, -1, &st, NULL) : SQLITE_NOMEM;
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        check_row(c, st);
        rc = buffer_ok(&c->value) && buffer_ok(&c->name) ? SQLITE_OK : SQLITE_NOMEM;
    }
    sqlite3_finalize(st);
    sqlite3_free(sql);
    if (c->found > ROWS_SHOWN)
        verify_note(c->verify, "escaped", 0, 0, "table %s: %" PRId64 " more rows do not agree with the log",
                    c->table->name, c->found - ROWS_SHOWN);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_table(struct verify *v, outbox *ob, const char *name, int64_t whole_from)
{
    struct check c = {.verify = v, .ob = ob, .whole_from = whole_from};
    int code = table_find(ob, name, &c.table), rc = SQLITE_OK;
    if (code == OUTBOX_OK && c.table->stale)
        verify_problem(v, "stale", 0, 0,
                       "table %s: its capture triggers are not up to date (%s); run: outboxctl capture %s", name,
                       c.table->stale, name);
    if (code == OUTBOX_OK)
        code = capture_read(ob, c.table, &c.capture);
    if (code == OUTBOX_OK)
        rc = check_rows(&c);
    else if ((rc = rc_of(code)) == SQLITE_OK)
        verify_note(v, "unchecked", 0, 0, "table %s is not compared with the log: %s", name, outbox_errmsg(ob));
    capture_fini(&c.capture);
    buffer_free(&c.value);
    buffer_free(&c.name);
    return rc;
}

int verify_rows(struct verify *v, sqlite3 *db, int64_t whole_from)
{
    outbox *ob = NULL;
    sqlite3_stmt *st = NULL;
    int rc = rc_of(outbox_attach(db, NULL, &ob));
    if (!ob)
        return rc == SQLITE_OK ? SQLITE_ERROR : rc;
    rc = query_open(db, &st, sql_tables, "");
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        rc = check_table(v, ob, (const char *)sqlite3_column_text(st, 0), whole_from);
    sqlite3_finalize(st);
    outbox_close(ob);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
