/* webhook_failing_bench.c — what failing events cost the others, and the relay in memory.
 *
 * Parked: 1,000 keys are dead, each with an event waiting behind, when the others flow. The same events are sent to a
 * receiver that accepts them all, and to one that refuses those keys; the window that is measured begins after them.
 *
 * Memory: every second answer is 500, until 100,000 events have stepped aside to be tried again; their backoff is longer
 * than the bench.
 */
#include "backlog.h"
#include "webhook_sides.h"

enum { ROUNDS = 5, PARKED = 1000, FLOWING = 30000, FAILING = 100000, PATIENCE_SECONDS = 120 };

static const char park[] =
    "UPDATE change_log SET key = printf('parked-%%04d', seq %% %d),"
    "       payload = json_set(payload, '$.id', printf('parked-%%04d', seq %% %d)) WHERE seq <= %d";

static void make_parked(const char *db)
{
    outbox *ob;
    backlog_make(db, 2 * PARKED + FLOWING, 10000, "3600000000000");
    char *sql = sqlite3_mprintf(park, PARKED, PARKED, 2 * PARKED);
    if (outbox_open(db, NULL, &ob) != OUTBOX_OK || sqlite3_exec(outbox_db(ob), sql, NULL, NULL, NULL))
        bench_die(db, "the parked keys");
    sqlite3_free(sql);
    outbox_close(ob);
}

static void measure_parked(struct receiver *r, char *db, const char *log)
{
    struct duel duel = {.rounds = 0};
    struct relay_run run = {db, 32, 1, NULL, log};
    receiver_reset(r, RECEIVER_ACCEPTS, 0, 0);
    run_relay(r, &run, NULL);
    int64_t all = r->bytes, size = all / r->accepted;
    for (int i = 0; i < ROUNDS; i++) {
        /* The same events are in both windows: the refused ones count no bytes. */
        int64_t first = 2 * PARKED * size;
        receiver_reset(r, RECEIVER_ACCEPTS, first + all / 10, all / 10 * 9);
        run_relay(r, &run, NULL);
        struct side without = side_measured(r);
        receiver_reset(r, RECEIVER_REFUSES_PARKED, all / 10, all / 10 * 9 - first);
        run_relay(r, &run, NULL);
        struct side with = side_measured(r);
        duel_add(&duel, &with, &without);
        if (r->requests - r->accepted != PARKED)
            bench_die("parked keys", "an event behind a dead one was sent, or none is dead");
    }
    duel_report("events beside 1,000 parked keys, against none", &duel, (double)size, 0.95);
}

static int64_t stepped_aside(sqlite3 *db)
{
    sqlite3_stmt *st;
    int64_t count = 0;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM failed_deliveries", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        count = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return count;
}

static void measure_memory(struct receiver *r, char *db, const char *log)
{
    sqlite3 *look;
    backlog_make(db, 2 * FAILING + 1000, 2 * FAILING + 1000, "3600000000000"); /* a key each */
    receiver_reset(r, RECEIVER_FAILS_EVERY_2ND, 0, 0);
    char *argv[] = {strdup(child_program("outbox-relay")),
                    (char[]){"--db"},
                    db,
                    (char[]){"--webhook"},
                    r->url,
                    (char[]){"--log-level"},
                    (char[]){"error"},
                    (char[]){"--backoff"},
                    (char[]){"1h,2h"},
                    NULL};
    if (sqlite3_open(db, &look) != SQLITE_OK)
        bench_die(db, "cannot be read");
    pid_t pid = child_start(argv, log);
    double deadline = bench_now() + PATIENCE_SECONDS;
    struct timespec pause = {0, 100000000};
    while (stepped_aside(look) < FAILING && bench_now() < deadline)
        nanosleep(&pause, NULL);
    if (stepped_aside(look) < FAILING)
        bench_die(db, "fewer events failed than should");
    printf("%-52s %11.1f MiB %27s %8s\n", "memory with 100,000 failing events, peak",
           (double)child_peak_kib(pid) / 1024, "", "< 64");
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    sqlite3_close(look);
    free(argv[0]);
}

int main(void)
{
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], log[128], command[160];
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    struct receiver *r = receiver_start();
    snprintf(db, sizeof db, "%s/parked.db", dir);
    make_parked(db);
    measure_parked(r, db, log);
    snprintf(db, sizeof db, "%s/failing.db", dir);
    measure_memory(r, db, log);
    receiver_stop(r);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
