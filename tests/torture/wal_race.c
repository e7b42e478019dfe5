/* wal_race.c — processes that commit to one database while others checkpoint it without a pause: `wal_race DB WAY SECONDS`.
 *
 * WAY bare: passively, as SQLite does by itself. WAY kept: as the library does, under the write lock. Each writer counts
 * what it has committed; where the database lacks a row of it, or is damaged, that is printed and the exit code is 1.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <signal.h>

#include "wal.h"

enum { WRITERS = 2, CHECKPOINTERS = 3, PROCESSES = WRITERS + CHECKPOINTERS, BUSY_TIMEOUT_MS = 20000 };

static const char sql_set_up[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0;"
                                 "CREATE TABLE IF NOT EXISTS t(n, x); CREATE INDEX IF NOT EXISTS i ON t(x)";

static int64_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
        sqlite3_exec(db, sql_set_up, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "wal_race: %s: %s\n", path, sqlite3_errmsg(db));
        exit(2);
    }
    return db;
}

/* False: not committed, as the database is damaged already. */
static bool commit_row(sqlite3 *db)
{
    int rc = sqlite3_exec(db, "INSERT INTO t VALUES (1, randomblob(40))", NULL, NULL, NULL);
    return rc == SQLITE_OK;
}

static void write_rows(const char *path, int64_t until_s, volatile long *count)
{
    sqlite3 *db = open_db(path);
    while (now_s() < until_s && commit_row(db))
        ++*count;
    sqlite3_close(db);
}

static void checkpoint(const char *path, int64_t until_s, bool kept)
{
    struct wal_keeper keeper;
    sqlite3 *db = open_db(path);
    if (kept)
        wal_keeper_init(&keeper, db);
    while (now_s() < until_s)
        if (kept)
            wal_keeper_relieve(&keeper);
        else
            sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (kept)
        wal_keeper_fini(&keeper);
    sqlite3_close(db);
}

static int judge(const char *path, long committed)
{
    sqlite3 *db = open_db(path);
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT (SELECT sum(n) FROM t NOT INDEXED), (SELECT * FROM pragma_integrity_check)",
                                -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    const char *said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 1) : sqlite3_errmsg(db);
    long there = rc == SQLITE_ROW ? (long)sqlite3_column_int64(st, 0) : -1;
    bool whole = there == committed && said && !strcmp(said, "ok");
    printf("committed %ld, there %ld, integrity: %.200s\n", committed, there, said ? said : "?");
    sqlite3_finalize(st);
    sqlite3_close(db);
    return whole ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fputs("usage: wal_race DB bare|kept SECONDS\n", stderr), 2;
    bool kept = !strcmp(argv[2], "kept");
    long *counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), committed = 0;
    if (counts == MAP_FAILED)
        return 2;
    sqlite3_close(open_db(argv[1]));
    int64_t until_s = now_s() + atoi(argv[3]);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (i < WRITERS)
            write_rows(argv[1], until_s, &counts[i]);
        else
            checkpoint(argv[1], until_s, kept);
        _exit(0);
    }
    while (wait(NULL) > 0) {
    }
    for (int i = 0; i < WRITERS; i++)
        committed += counts[i];
    return judge(argv[1], committed);
}
