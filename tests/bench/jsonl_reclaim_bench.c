/* jsonl_reclaim_bench.c — a backlog drained to JSONL while the janitor deletes what was acknowledged before, against a
 * bare loop over the same rows that acknowledges and deletes nothing.
 *
 * Each round begins with RIPE events more than were reclaimed by then acknowledged, and nothing is kept beyond that: so
 * the janitor deletes from beginning to end, beside the ledger's acknowledgements. Both sides are whole processes up to
 * the last line; the relay is stopped then.
 */
#include <signal.h>

#include "backlog.h"
#include "bare_jsonl.h"
#include "child.h"
#include "growing.h"

enum { ROUNDS = 4, RIPE = 100000, PATIENCE_SECONDS = 60, LINE_MAX_BYTES = 1024 };

/* What has gone of the two tables, together: rows leave outbox before the log. */
static const char sql_gone[] = "SELECT (SELECT min(seq) FROM outbox) + (SELECT min(seq) FROM change_log)";

struct bench {
    char *self, db[128], path[128], log[128];
    sqlite3 *look;
    int64_t last_seq;
};

static int64_t ask(struct bench *b, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(b->look, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        bench_die(sql, sqlite3_errmsg(b->look));
    int64_t value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

static bool has_last_line(const struct bench *b, int fd)
{
    char tail[LINE_MAX_BYTES + 1], wanted[40];
    off_t end = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, tail, LINE_MAX_BYTES, end > LINE_MAX_BYTES ? end - LINE_MAX_BYTES : 0);
    int length = snprintf(wanted, sizeof wanted, "{\"seq\":%lld,", (long long)b->last_seq);
    return n > 0 && tail[n - 1] == '\n' && memmem(tail, (size_t)n, wanted, (size_t)length);
}

static void await_last_line(const struct bench *b)
{
    double deadline = bench_now() + PATIENCE_SECONDS;
    growing_await(b->path, 0);
    int fd = open(b->path, O_RDONLY);
    while (!has_last_line(b, fd)) {
        if (bench_now() > deadline)
            bench_die(b->path, "its last line did not come");
        bench_pause_us(500);
    }
    close(fd);
}

static double run_relay(struct bench *b, char *consumer)
{
    char *argv[CHILD_STREAM_ARGS];
    child_stream(argv, b->db, b->path, consumer, NULL, NULL, NULL);
    double began = bench_now();
    pid_t pid = child_start(argv, b->log);
    await_last_line(b);
    double took = bench_now() - began;
    kill(pid, SIGKILL); /* or it would go on reclaiming what the next round is to find */
    waitpid(pid, NULL, 0);
    unlink(b->path);
    return took;
}

static double run_bare(struct bench *b, int64_t after_seq)
{
    char after[24];
    snprintf(after, sizeof after, "%lld", (long long)after_seq);
    char *argv[] = {b->self, (char[]){"--bare"}, b->db, b->path, after, NULL};
    double took = child_run(argv, b->log, NULL);
    unlink(b->path);
    return took;
}

/* The only consumer, so that the janitor goes by it. Returns what it has acknowledged. */
static int64_t enroll(struct bench *b, const char *consumer)
{
    int64_t acked_seq = ask(b, "SELECT min(seq) FROM outbox") + RIPE - 1;
    char *sql = sqlite3_mprintf("DELETE FROM consumer_offsets;"
                                "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES (%Q, %lld, 0)",
                                consumer, acked_seq);
    if (sqlite3_exec(b->look, sql, NULL, NULL, NULL) != SQLITE_OK)
        bench_die(consumer, sqlite3_errmsg(b->look));
    sqlite3_free(sql);
    return acked_seq;
}

int main(int argc, char **argv)
{
    if (argc == 5)
        return bare_jsonl(argv[2], argv[3], atoll(argv[4]));
    int events = getenv("EVENTS") ? atoi(getenv("EVENTS")) : 1000000;
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", what[96], command[160];
    double ours[ROUNDS], theirs[ROUNDS];
    struct bench b = {.self = argv[0], .last_seq = events + RIPE};
    int64_t reclaimed = 0;
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(b.db, sizeof b.db, "%s/b.db", dir);
    snprintf(b.path, sizeof b.path, "%s/events.jsonl", dir);
    snprintf(b.log, sizeof b.log, "%s/log", dir);
    backlog_make(b.db, events + RIPE, 1000, "0");
    if (sqlite3_open(b.db, &b.look) != SQLITE_OK ||
        sqlite3_exec(b.look, "UPDATE outbox_meta SET value = 0 WHERE name = 'history'", NULL, NULL, NULL) != SQLITE_OK)
        bench_die(b.db, sqlite3_errmsg(b.look));
    for (int round = -1; round < ROUNDS; round++) {
        char consumer[32];
        snprintf(consumer, sizeof consumer, "bench%d", round);
        int64_t gone = ask(&b, sql_gone), after_seq = enroll(&b, consumer), count = b.last_seq - after_seq;
        double bare = run_bare(&b, after_seq) / (double)count, mine = run_relay(&b, consumer) / (double)count;
        gone = ask(&b, sql_gone) - gone;
        if (round < 0)
            continue;
        theirs[round] = bare;
        ours[round] = mine;
        reclaimed += gone;
    }
    snprintf(what, sizeof what, "relay to JSONL and reclaiming, backlog of %d", events);
    bench_report(what, ours, theirs, ROUNDS, 1, 0.6);
    printf("%-52s %11lld\n", "  rows reclaimed meanwhile, of both tables", (long long)(reclaimed / ROUNDS));
    sqlite3_close(b.look);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
