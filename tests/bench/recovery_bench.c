/* recovery_bench.c — what exactly-once costs: finding out at start where a file of 64 MiB stands, and waiting for the disk.
 *
 * Recovery is a whole run of the relay that finds nothing to deliver, against a bare loop that reads the same file past
 * the page cache and counts its lines; with the cursor far behind, against one that writes every byte of it again and
 * syncs, as the relay does with lines that nobody vouches for (it compares each with change_log besides). The price of
 * the syncs is a backlog drained with --jsonl-sync batch against never.
 */
#include <stdbool.h>
#include <sys/stat.h>

#include "backlog.h"
#include "child.h"

enum { ROUNDS = 5, FILE_BYTES = 64 << 20, LINE_BYTES = 562, PIECE_BYTES = 1 << 18 };

/* ---- The bare loop ------------------------------------------------------------------------------------------------ */

static int bare(const char *path, bool write_again)
{
    char *piece = malloc(PIECE_BYTES);
    int fd = open(path, O_RDWR);
    off_t offset = 0;
    ssize_t n;
    long lines = 0;

    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    while ((n = pread(fd, piece, PIECE_BYTES, offset)) > 0) {
        for (const char *p = piece; (p = memchr(p, '\n', (size_t)(piece + n - p))) != NULL; p++)
            lines++;
        if (write_again && pwrite(fd, piece, (size_t)n, offset) != n)
            bench_die("write", path);
        offset += n;
    }
    return lines == 0 || (write_again && fdatasync(fd) < 0);
}

static double run_bare(char *self, char *path, bool write_again, const char *log)
{
    char how[8];
    snprintf(how, sizeof how, "%s", write_again ? "--write" : "--read");
    char *argv[] = {self, how, path, NULL};
    return child_run(argv, log, NULL);
}

/* ---- The relay ---------------------------------------------------------------------------------------------------- */

static double run_relay(char *db, char *path, const char *consumer, bool sync, const char *log, long *peak_kib)
{
    char name[32], when[8];
    snprintf(name, sizeof name, "%s", consumer);
    snprintf(when, sizeof when, "%s", sync ? "batch" : "never");
    char *argv[CHILD_STREAM_ARGS];
    child_stream(argv, db, path, name, (char[]){"--jsonl-sync"}, when, (char[]){"--once"});
    return child_run(argv, log, peak_kib);
}

/* As if the ledger had heard nothing of the whole file. */
static void turn_back(const char *db_path)
{
    sqlite3 *db;
    if (sqlite3_open(db_path, &db) ||
        sqlite3_exec(db, "UPDATE consumer_offsets SET acked_seq = 0, position = NULL WHERE consumer = 'recovery'", NULL,
                     NULL, NULL))
        bench_die("turn back", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void bench_recovery(char *self, char *db, char *path, const char *log, int events)
{
    double ours[2][ROUNDS], theirs[2][ROUNDS];
    static const double goal[2] = {0.10, 0.08};
    long peak_kib = 0;
    struct stat status;

    run_relay(db, path, "recovery", true, log, NULL);
    stat(path, &status);
    for (int behind = 0; behind < 2; behind++)
        for (int round = -1; round < ROUNDS; round++) {
            double t_bare = run_bare(self, path, behind, log);
            if (behind)
                turn_back(db);
            double t_ours = run_relay(db, path, "recovery", true, log, &peak_kib);
            if (round >= 0) {
                theirs[behind][round] = t_bare;
                ours[behind][round] = t_ours;
            }
        }
    for (int behind = 0; behind < 2; behind++) {
        char what[96];
        snprintf(what, sizeof what, "recovery of %.0f MiB, cursor %s", (double)status.st_size / 1048576,
                 behind ? "behind" : "up to date");
        bench_report(what, ours[behind], theirs[behind], ROUNDS, events, goal[behind]);
        printf("%-52s %11.3f s  %11.3f s\n", "  seconds", bench_median(ours[behind], ROUNDS),
               bench_median(theirs[behind], ROUNDS));
    }
    printf("%-52s %11.1f MiB %30s %5s\n", "  its peak memory", (double)peak_kib / 1024, "", "< 32");
}

static void bench_sync(char *db, const char *dir, const char *log, int events)
{
    double took[2][ROUNDS] = {{0}};
    char path[128], consumer[32];

    for (int round = -1; round < ROUNDS; round++)
        for (int sync = 0; sync < 2; sync++) {
            snprintf(path, sizeof path, "%s/sync-%d-%d.jsonl", dir, round, sync);
            snprintf(consumer, sizeof consumer, "sync-%d-%d", round + 1, sync);
            double t = run_relay(db, path, consumer, sync, log, NULL);
            unlink(path);
            if (round >= 0)
                took[sync][round] = t;
        }
    bench_report("--jsonl-sync batch, against never", took[1], took[0], ROUNDS, events, 0.5);
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], path[128], log[128], command[160];
    int events = FILE_BYTES / LINE_BYTES;

    if (argc == 3)
        return bare(argv[2], strcmp(argv[1], "--write") == 0);
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(path, sizeof path, "%s/events.jsonl", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    backlog_make(db, events, 1000, "3600000000000");
    bench_recovery(argv[0], db, path, log, events);
    bench_sync(db, dir, log, events);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
