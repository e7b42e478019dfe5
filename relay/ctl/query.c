/* query.c — see query.h. */
#include <stdarg.h>
#include <stddef.h>

#include "query.h"

static int prepare(sqlite3 *db, sqlite3_stmt **st, const char *sql, const char *types, va_list arguments)
{
    *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, st, NULL);
    for (int i = 1; rc == SQLITE_OK && types[i - 1]; i++) {
        if (types[i - 1] == 'i')
            rc = sqlite3_bind_int64(*st, i, va_arg(arguments, int64_t));
        else
            rc = sqlite3_bind_text(*st, i, va_arg(arguments, const char *), -1, SQLITE_TRANSIENT);
    }
    return rc;
}

int query_open(sqlite3 *db, sqlite3_stmt **st, const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    int rc = prepare(db, st, sql, types, arguments);
    va_end(arguments);
    return rc;
}

int query_run(sqlite3 *db, int64_t *changes, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st;
    va_list arguments;
    va_start(arguments, types);
    int rc = prepare(db, &st, sql, types, arguments);
    va_end(arguments);
    while (rc == SQLITE_OK || rc == SQLITE_ROW)
        rc = sqlite3_step(st);
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return rc;
    if (changes)
        *changes = sqlite3_changes64(db);
    return SQLITE_OK;
}

int query_int(sqlite3 *db, int64_t *value, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st;
    va_list arguments;
    va_start(arguments, types);
    int rc = prepare(db, &st, sql, types, arguments);
    va_end(arguments);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        *value = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}
