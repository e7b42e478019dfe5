/* mod_history.c — outbox_history(table, key): every change of one row that change_log still has, in seq order. */
#include <stdlib.h>

#include "mod_table.h"
#include "row_history.h"
#include "timestamp.h"

static const char declaration[] =
    "CREATE TABLE outbox_history(seq INTEGER, revision INTEGER, op TEXT, time TEXT, before TEXT, after TEXT,"
    " topic TEXT, headers TEXT, created_at INTEGER, \"table\" HIDDEN, key HIDDEN)";

enum column {
    COL_SEQ,
    COL_REVISION,
    COL_OP,
    COL_TIME,
    COL_BEFORE,
    COL_AFTER,
    COL_TOPIC,
    COL_HEADERS,
    COL_CREATED_AT,
    COL_TABLE, /* the first hidden one */
    COL_KEY
};

static const enum row_history_column places[] = {
    [COL_SEQ] = HISTORY_SEQ,         [COL_REVISION] = HISTORY_REVISION, [COL_OP] = HISTORY_OP,
    [COL_TIME] = HISTORY_CREATED_AT, [COL_BEFORE] = HISTORY_BEFORE,     [COL_AFTER] = HISTORY_AFTER,
    [COL_TOPIC] = HISTORY_TOPIC,     [COL_HEADERS] = HISTORY_HEADERS,   [COL_CREATED_AT] = HISTORY_CREATED_AT,
};

enum { ARGUMENTS = 2 };

struct history_cursor {
    sqlite3_vtab_cursor base;
    sqlite3_stmt *rows; /* NULL: none left */
};

static int history_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out,
                           char **message)
{
    (void)db, (void)argc, (void)argv, (void)message;
    return table_connect(aux, declaration, out);
}

static int history_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    return table_best_index(info, COL_TABLE, ARGUMENTS);
}

static int history_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
    struct history_cursor *c = calloc(1, sizeof *c);
    (void)table;
    if (!c)
        return SQLITE_NOMEM;
    *out = &c->base;
    return SQLITE_OK;
}

static int history_close(sqlite3_vtab_cursor *cursor)
{
    struct history_cursor *c = (struct history_cursor *)cursor;
    sqlite3_finalize(c->rows);
    free(c);
    return SQLITE_OK;
}

static int history_next(sqlite3_vtab_cursor *cursor)
{
    struct history_cursor *c = (struct history_cursor *)cursor;
    int rc = sqlite3_step(c->rows);
    if (rc == SQLITE_ROW)
        return SQLITE_OK;
    rc = sqlite3_finalize(c->rows);
    c->rows = NULL;
    return rc;
}

static int find_rows(struct history_cursor *c, struct module *m, int given, sqlite3_value **values)
{
    sqlite3_value *arguments[ARGUMENTS];
    struct call call = {.m = m, .ob = m->ob, .args = arguments, .n = ARGUMENTS};
    const char *table, *key;
    table_arguments(given, values, ARGUMENTS, arguments);
    if (!arguments[0] || !arguments[1])
        return fail(m->ob, OUTBOX_MISUSE, "of which row? SELECT * FROM outbox_history('table', 'key')");
    int code = argument_text(&call, 0, "table", true, &table);
    if (code == OUTBOX_OK)
        code = argument_key(&call, 1, true, &key);
    if (code == OUTBOX_OK)
        code = row_history(m->ob, table, key, &c->rows);
    buffer_free(&call.text);
    return code;
}

static int history_filter(sqlite3_vtab_cursor *cursor, int given, const char *text, int argc, sqlite3_value **values)
{
    struct history_cursor *c = (struct history_cursor *)cursor;
    struct module *m = ((struct module_table *)cursor->pVtab)->m;
    (void)text, (void)argc;
    sqlite3_finalize(c->rows);
    c->rows = NULL;
    int code = module_enter(m);
    if (code == OUTBOX_OK) {
        code = find_rows(c, m, given, values);
        module_leave(m);
    }
    return code == OUTBOX_OK ? history_next(cursor) : table_fail(cursor->pVtab, code);
}

static int history_eof(sqlite3_vtab_cursor *cursor)
{
    return !((struct history_cursor *)cursor)->rows;
}

static int history_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int i)
{
    sqlite3_stmt *rows = ((struct history_cursor *)cursor)->rows;
    char time[TIMESTAMP_SIZE];
    if (i >= COL_TABLE)
        return SQLITE_OK;
    if (i == COL_TIME) {
        timestamp_format(time, sqlite3_column_int64(rows, HISTORY_CREATED_AT));
        sqlite3_result_text(context, time, -1, SQLITE_TRANSIENT);
    } else {
        sqlite3_result_value(context, sqlite3_column_value(rows, (int)places[i]));
    }
    return SQLITE_OK;
}

static int history_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid)
{
    *rowid = sqlite3_column_int64(((struct history_cursor *)cursor)->rows, HISTORY_SEQ);
    return SQLITE_OK;
}

const sqlite3_module history_table = {
    .xConnect = history_connect,
    .xDisconnect = table_free,
    .xBestIndex = history_best_index,
    .xOpen = history_open,
    .xClose = history_close,
    .xFilter = history_filter,
    .xNext = history_next,
    .xEof = history_eof,
    .xColumn = history_column,
    .xRowid = history_rowid,
};
