/* extension.h — a host that has loaded mod_outbox.so, for one test: plain SQLite, as any language has it. */
#ifndef TESTS_EXTENSION_H
#define TESTS_EXTENSION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

struct host {
    char dir[64], path[96], extension[512];
    sqlite3 *db;
    char said[4096]; /* of the last host_say() */
};

static inline sqlite3 *host_connect(struct host *h)
{
    sqlite3 *db;
    char *error = NULL;
    assert_int_equal(sqlite3_open(h->path, &db), SQLITE_OK);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_enable_load_extension(db, 1);
    if (sqlite3_load_extension(db, h->extension, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", h->extension, error);
    return db;
}

/* Runs one or more statements. The first row's columns joined by '|' ("" where there is none, NULL is empty), or the
 * error's words. */
static inline const char *host_say_on(struct host *h, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    const char *tail = sql;
    int rc = SQLITE_OK;
    h->said[0] = '\0';
    while (*tail && (rc = sqlite3_prepare_v2(db, tail, -1, &st, &tail)) == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            size_t used = 0;
            h->said[0] = '\0';
            for (int i = 0; i < sqlite3_column_count(st) && used < sizeof h->said; i++) {
                const char *text = (const char *)sqlite3_column_text(st, i);
                used += (size_t)snprintf(h->said + used, sizeof h->said - used, "%s%s", i ? "|" : "", text ? text : "");
            }
            while (rc == SQLITE_ROW)
                rc = sqlite3_step(st);
        }
        rc = sqlite3_finalize(st);
        if (rc != SQLITE_OK)
            break;
    }
    if (rc != SQLITE_OK)
        snprintf(h->said, sizeof h->said, "%s", sqlite3_errmsg(db));
    return h->said;
}

static inline const char *host_say(struct host *h, const char *sql)
{
    return host_say_on(h, h->db, sql);
}

/* Every row's first column, joined by spaces. */
static inline const char *host_list(struct host *h, const char *sql)
{
    sqlite3_stmt *st;
    size_t used = 0;
    h->said[0] = '\0';
    if (sqlite3_prepare_v2(h->db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(h->db));
    while (sqlite3_step(st) == SQLITE_ROW && used < sizeof h->said) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        used += (size_t)snprintf(h->said + used, sizeof h->said - used, "%s%s", used ? " " : "", text ? text : "NULL");
    }
    if (sqlite3_finalize(st) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(h->db));
    return h->said;
}

#define assert_says(h, sql, expected) assert_string_equal(host_say(h, sql), expected)

static inline int host_setup(void **state)
{
    struct host *h = calloc(1, sizeof *h);
    const char *build = getenv("BUILD");
    char *whole = realpath(build ? build : "build", NULL);
    snprintf(h->extension, sizeof h->extension, "%s/mod_outbox", whole ? whole : "build");
    free(whole);
    snprintf(h->dir, sizeof h->dir, "/tmp/outbox-test-XXXXXX");
    if (!mkdtemp(h->dir))
        return -1;
    snprintf(h->path, sizeof h->path, "%s/test.db", h->dir);
    *state = h;
    h->db = host_connect(h);
    host_say(h, "SELECT outbox_init()");
    host_say(h, "CREATE TABLE t(id TEXT PRIMARY KEY, n INT CHECK (n < 100), revision INTEGER NOT NULL DEFAULT 1)");
    return 0;
}

static inline int host_teardown(void **state)
{
    struct host *h = *state;
    char command[128];
    int busy = sqlite3_close(h->db); /* not _v2: whoever keeps a statement is found here */
    snprintf(command, sizeof command, "rm -rf %s", h->dir);
    int rc = system(command);
    free(h);
    return busy ? busy : rc;
}

#endif
