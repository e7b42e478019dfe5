/* janitor_bench.c — what reclaiming costs an application that writes meanwhile: its transactions with the janitor at
 * work, and without.
 *
 * All that is reclaimed was acknowledged before; the janitor works in a process of its own, through the ledger, as in
 * the relay. The database has auto_vacuum = INCREMENTAL. Rows: EVENTS, else 100,000, with BENCH_FULL 1,000,000.
 */
#include <sys/stat.h>

#include "backlog.h"
#include "child.h"
#include "ledger.h"

enum { WRITES_BARE = 1500, WRITES_MAX = 400000, PAUSE_US = 500 };

struct writes {
    double *took;
    int count;
    int64_t wal_peak;
};

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static int64_t one_int(outbox *ob, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(outbox_db(ob), sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

static void write_one(outbox *ob, struct writes *w, const char *wal)
{
    double began = bench_now();
    if (outbox_emit(ob, "new", "k", "{\"a\":1}", -1, NULL, NULL) != OUTBOX_OK)
        bench_die("emit", outbox_errmsg(ob));
    w->took[w->count++] = bench_now() - began;
    if (w->count % 16 == 0 && size_of(wal) > w->wal_peak)
        w->wal_peak = size_of(wal);
    nanosleep(&(struct timespec){0, PAUSE_US * 1000L}, NULL);
}

static int reclaim(const char *db)
{
    struct ledger *ledger;
    char message[512];
    if (ledger_open(db, &ledger, message, sizeof message) != 0)
        bench_die(db, message);
    bool good = ledger_reclaim(ledger) == LEDGER_OK;
    ledger_close(ledger);
    return good ? 0 : 1;
}

static void make(const char *path, int events)
{
    sqlite3 *db;
    if (sqlite3_open(path, &db) || sqlite3_exec(db, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM", NULL, NULL, NULL))
        bench_die(path, "cannot be made");
    sqlite3_close(db);
    backlog_make(path, events, 1000, "0");
}

static void report(const char *what, struct writes *w, const char *goal)
{
    double median = bench_median(w->took, w->count); /* sorts them */
    printf("%-52s %11.2fms %13.2fms %15s %5s\n", what, median * 1e3, w->took[w->count * 99 / 100] * 1e3, "", "");
    printf("%-52s %11.2fms %30s %5s\n", "  the longest", w->took[w->count - 1] * 1e3, "", goal);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return reclaim(argv[2]);
    int events = getenv("EVENTS") ? atoi(getenv("EVENTS")) : getenv("BENCH_FULL") ? 1000000 : 100000, status = 0;
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], wal[136], log[128], what[96], command[160];
    struct writes bare = {malloc(WRITES_MAX * sizeof(double)), 0, 0},
                  with = {malloc(WRITES_MAX * sizeof(double)), 0, 0};
    outbox *ob;
    if (!mkdtemp(dir) || !bare.took || !with.took)
        bench_die("mkdtemp", dir);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(wal, sizeof wal, "%s-wal", db);
    snprintf(log, sizeof log, "%s/log", dir);
    make(db, events);
    if (outbox_open(db, NULL, &ob) != OUTBOX_OK)
        bench_die(db, outbox_errmsg(NULL));
    while (bare.count < WRITES_BARE)
        write_one(ob, &bare, wal);

    char *sql = sqlite3_mprintf("INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', %d);"
                                "UPDATE outbox_meta SET value = 0 WHERE name = 'history'",
                                events);
    if (sqlite3_exec(outbox_db(ob), sql, NULL, NULL, NULL))
        bench_die("acknowledge", outbox_errmsg(ob));
    sqlite3_free(sql);
    int64_t pages = one_int(ob, "PRAGMA page_count");
    char *argv_child[] = {argv[0], (char[]){"--reclaim"}, db, NULL};
    double began = bench_now();
    pid_t pid = child_start(argv_child, log);
    while (waitpid(pid, &status, WNOHANG) == 0 && with.count < WRITES_MAX)
        write_one(ob, &with, wal);
    double took = bench_now() - began;
    if (status != 0 || one_int(ob, "SELECT count(*) FROM change_log WHERE topic = 'orders'") != 0)
        bench_die("reclaim", "ended badly; see its log");

    printf("%-52s %14s %14s\n", "a write beside the janitor", "median", "p99");
    report("  alone", &bare, "");
    report("  while it reclaims", &with, "< 20 more");
    snprintf(what, sizeof what, "reclaimed of %d, with their log", events);
    printf("%-52s %12.0f/s\n", what, events / took);
    printf("%-52s %11.1f MiB %27s %8s\n", "  the WAL at its longest", (double)with.wal_peak / 1048576, "", "< 64");
    printf("%-52s %11.1f MiB %12.1f MiB\n", "  pages in the file after it, and before",
           (double)one_int(ob, "PRAGMA page_count") / 256, (double)pages / 256);
    outbox_close(ob);
    free(bare.took);
    free(with.took);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
