/* growth_bench.c — a backlog of any length drains as its first part does: rate of the first and the last tenth, memory,
 * and how soon after its start the relay writes the first line. Rows: EVENTS, else 1,000,000, with BENCH_FULL 10,000,000.
 *
 * The bench watches the file's size, and knows from the whole what a tenth is.
 */
#include <signal.h>

#include "backlog.h"
#include "child.h"
#include "growing.h"

enum { ROUNDS = 3, PATIENCE_SECONDS = 300 };

/* When the file has passed size: CLOCK_MONOTONIC seconds. */
static double await_size(const char *path, int64_t size)
{
    double deadline = bench_now() + PATIENCE_SECONDS;
    while (growing_size(path) < size) {
        if (bench_now() > deadline)
            bench_die(path, "does not grow");
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    return bench_now();
}

static pid_t start(char *db, char *path, int round, const char *log)
{
    char consumer[32];
    snprintf(consumer, sizeof consumer, "bench-%d", round);
    char *argv[] = {strdup(child_program("outbox-relay")),
                    (char[]){"--db"},
                    db,
                    (char[]){"--jsonl"},
                    path,
                    (char[]){"--consumer"},
                    consumer,
                    (char[]){"--jsonl-max-size"},
                    (char[]){"100G"},
                    NULL};
    pid_t pid = child_start(argv, log);
    free(argv[0]);
    return pid;
}

/* A whole drain: how large the file becomes. */
static int64_t whole_size(char *db, char *path, const char *log)
{
    char *argv[] = {strdup(child_program("outbox-relay")),
                    (char[]){"--db"},
                    db,
                    (char[]){"--jsonl"},
                    path,
                    (char[]){"--jsonl-max-size"},
                    (char[]){"100G"},
                    (char[]){"--once"},
                    NULL};
    child_run(argv, log, NULL);
    free(argv[0]);
    int64_t size = growing_size(path);
    unlink(path);
    return size;
}

int main(void)
{
    int events = getenv("EVENTS") ? atoi(getenv("EVENTS")) : getenv("BENCH_FULL") ? 10000000 : 1000000;
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], path[128], log[128], what[96], command[160];
    double first[ROUNDS], last[ROUNDS], started[ROUNDS];
    long peak_kib = 0;
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(path, sizeof path, "%s/events.jsonl", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    backlog_make(db, events, 1000, "3600000000000");
    int64_t size = whole_size(db, path, log);
    for (int round = 0; round < ROUNDS; round++) {
        double began = bench_now();
        pid_t pid = start(db, path, round, log);
        started[round] = await_size(path, 1) - began;
        /* Each tenth begins a little later, where writing is under way. */
        double t1 = await_size(path, size / 50), t2 = await_size(path, size / 50 + size / 10);
        double t3 = await_size(path, size - size / 10), t4 = await_size(path, size);
        first[round] = t2 - t1;
        last[round] = t4 - t3;
        long kib = child_peak_kib(pid);
        peak_kib = kib > peak_kib ? kib : peak_kib;
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
        unlink(path);
    }
    snprintf(what, sizeof what, "a backlog of %d, its last tenth, against its first", events);
    bench_report(what, last, first, ROUNDS, events / 10.0, 0.9);
    printf("%-52s %11.1f ms %30s %5s\n", "  start to the first line", bench_median(started, ROUNDS) * 1e3, "", "< 100");
    printf("%-52s %11.1f MiB %30s %5s\n", "  its peak memory", (double)peak_kib / 1024, "", "< 32");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
