/* fixture.h — a database in a directory of its own, for one test. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "outbox.h"

struct fixture {
    char dir[64], path[96];
    outbox *ob;
    char text[4096]; /* of the last fixture_text() */
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/outbox-test-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/test.db", f->dir);
    int code = outbox_open(f->path, NULL, &f->ob);
    if (code != OUTBOX_OK)
        fprintf(stderr, "setup: %s\n", outbox_errmsg(NULL));
    *state = f;
    return code;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    outbox_close(f->ob);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    int rc = system(command);
    free(f);
    return rc;
}

/* Runs SQL on a connection. */
static inline void sql_on(sqlite3 *db, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
}

static inline void fixture_sql(struct fixture *f, const char *sql)
{
    sql_on(outbox_db(f->ob), sql);
}

static inline int64_t sql_int(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

static inline int64_t fixture_int(struct fixture *f, const char *sql)
{
    return sql_int(outbox_db(f->ob), sql);
}

/* The first column of the first row as text, "NULL" where it is; "" where there is no row. */
static inline const char *fixture_text(struct fixture *f, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(outbox_db(f->ob), sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(outbox_db(f->ob)));
    f->text[0] = '\0';
    if (sqlite3_step(st) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        snprintf(f->text, sizeof f->text, "%s", text ? text : "NULL");
    }
    sqlite3_finalize(st);
    return f->text;
}

/* All of the change_log's column, joined by spaces, in seq order. */
static inline const char *fixture_log(struct fixture *f, const char *expression)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT group_concat(x, ' ') FROM (SELECT %s AS x FROM change_log ORDER BY seq)",
             expression);
    return fixture_text(f, sql);
}

#define assert_ok(f, call)         assert_code(f, OUTBOX_OK, call)
#define assert_code(f, code, call) assert_code_at((f)->ob, code, call, #call, __FILE__, __LINE__)

static inline void assert_code_at(outbox *ob, int expected, int code, const char *call, const char *file, int line)
{
    if (code != expected) {
        print_error("%s: expected \"%s\", got \"%s\" (%s)\n", call, outbox_strerror(expected), outbox_strerror(code),
                    outbox_errmsg(ob));
        _fail(file, line);
    }
}

static inline void assert_says(struct fixture *f, const char *words)
{
    if (!strstr(outbox_errmsg(f->ob), words))
        fail_msg("\"%s\" is not in \"%s\"", words, outbox_errmsg(f->ob));
}

#define assert_refused(f, code, words, call) (assert_code(f, code, call), assert_says(f, words))

#endif
