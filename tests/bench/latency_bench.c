/* latency_bench.c — how long after a commit at synchronous=FULL has returned its line can be read in the file: the relay
 * against a bare program that waits by inotify, looks in a burst and writes, in the same run.
 *
 * The bare program comes twice: one that writes the line at once, and one that syncs the WAL before, as whoever can't
 * know how the writer commits must. Beside them stands what the disk gives at that moment. The writer has a core of its
 * own, and watches the file from there without pause: whoever is measured has the other one.
 */
#include "backlog.h"
#include "bare_listen.h"
#include "child.h"
#include "growing.h"

enum { ROUNDS = 5, COMMITS = 120, SYNCS = 60 };

static void write_line(void *arg, sqlite3_stmt *st)
{
    char line[512];
    int fd = *(int *)arg;
    int n = snprintf(line, sizeof line, "{\"seq\":%lld,\"topic\":\"%s\",\"payload\":%s}\n",
                     (long long)sqlite3_column_int64(st, 0), (const char *)sqlite3_column_text(st, 1),
                     (const char *)sqlite3_column_text(st, 2));
    if (write(fd, line, (size_t)n) != n)
        bench_die("write", "short");
}

static int bare(const char *db_path, const char *path, bool synced)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
    return bare_listen(db_path, synced, write_line, &fd);
}

/* ---- The measurement ---------------------------------------------------------------------------------------------- */

/* Commits some milliseconds apart, irregularly, so that no timer of anybody keeps step with them. */
static void commits(outbox *ob, const char *path, double *lags)
{
    for (int i = 0; i < COMMITS; i++) {
        bench_pause_us(3000 + i * 7919 % 5000);
        int64_t before = growing_size(path);
        if (outbox_emit(ob, "t", "k", "{\"a\":1}", -1, NULL, NULL) != OUTBOX_OK)
            bench_die("emit", outbox_errmsg(ob));
        double committed = bench_now();
        growing_await(path, before);
        lags[i] = bench_now() - committed;
    }
}

static void measure(outbox *ob, char *const argv[], const char *path, const char *log, double *lags)
{
    bench_pin(1);
    pid_t pid = child_start(argv, log);
    bench_pin(0);
    growing_await(path, 0); /* what the rounds before have left: it has begun */
    bench_pause_us(100000);
    commits(ob, path, lags);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    unlink(path);
}

/* What a commit's sync takes, and what one takes that finds nothing to write. */
static void measure_disk(const char *path, double *dirty, double *clean)
{
    static char page[16384];
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < SYNCS; i++) {
        if (pwrite(fd, page, sizeof page, 0) != sizeof page)
            bench_die(path, "short");
        double t = bench_now();
        fdatasync(fd);
        dirty[i] = bench_now() - t;
        t = bench_now();
        fdatasync(fd);
        clean[i] = bench_now() - t;
        bench_pause_us(1000);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return bare(argv[2], argv[3], strcmp(argv[1], "--synced") == 0);
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], path[128], log[128], scratch[128], command[160];
    static double lags[3][ROUNDS * COMMITS], dirty[ROUNDS * SYNCS], clean[ROUNDS * SYNCS];
    outbox *ob;
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(path, sizeof path, "%s/events.jsonl", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    snprintf(scratch, sizeof scratch, "%s/scratch", dir);
    backlog_make(db, 1, 1, "3600000000000"); /* each program finds a line to write at its start */
    if (outbox_open(db, NULL, &ob) != OUTBOX_OK)
        bench_die(db, outbox_errmsg(NULL));
    for (int round = 0; round < ROUNDS; round++) {
        char consumer[16];
        snprintf(consumer, sizeof consumer, "r%d", round);
        char *relay[] = {strdup(child_program("outbox-relay")),
                         (char[]){"--db"},
                         db,
                         (char[]){"--jsonl"},
                         path,
                         (char[]){"--consumer"},
                         consumer,
                         NULL};
        char *plain[] = {argv[0], (char[]){"--plain"}, db, path, NULL};
        char *synced[] = {argv[0], (char[]){"--synced"}, db, path, NULL};
        measure(ob, relay, path, log, lags[0] + round * COMMITS);
        measure(ob, plain, path, log, lags[1] + round * COMMITS);
        measure(ob, synced, path, log, lags[2] + round * COMMITS);
        measure_disk(scratch, dirty + round * SYNCS, clean + round * SYNCS);
        free(relay[0]);
    }
    bench_report_us("commit to line in the file, median", lags[0], ROUNDS * COMMITS, "< 120", "< 300");
    bench_report_us("  bare, inotify and a burst of looks", lags[1], ROUNDS * COMMITS, "", "");
    bench_report_us("  bare, and its own sync of the WAL", lags[2], ROUNDS * COMMITS, "", "");
    bench_report_us("  the disk: 16 KiB and fdatasync", dirty, ROUNDS * SYNCS, "", "");
    bench_report_us("  the disk: fdatasync of nothing", clean, ROUNDS * SYNCS, "", "");
    outbox_close(ob);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
