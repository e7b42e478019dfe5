/* jsonl_bench.c — a backlog drained to JSONL: outbox-relay against the bare loop of bare_jsonl.h, in the same run. Both
 * are whole processes, so start-up counts.
 */
#include "backlog.h"
#include "bare_jsonl.h"
#include "child.h"

enum { ROUNDS = 5 };

static double run_bare(char *self, char *db, char *path, const char *log)
{
    char *argv[] = {self, (char[]){"--bare"}, db, path, NULL};
    return child_run(argv, log, NULL);
}

static double run_relay(char *db, char *path, int round, const char *log, long *peak_kib)
{
    char consumer[32];
    snprintf(consumer, sizeof consumer, "bench-%d", round);
    char *argv[CHILD_STREAM_ARGS];
    child_stream(argv, db, path, consumer, (char[]){"--from"}, (char[]){"start"}, (char[]){"--once"});
    return child_run(argv, log, peak_kib);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return bare_jsonl(argv[2], argv[3], 0);
    int events = getenv("EVENTS") ? atoi(getenv("EVENTS")) : 1000000;
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], path[128], log[128], command[160];
    double ours[ROUNDS], theirs[ROUNDS];
    long peak_kib = 0;
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    backlog_make(db, events, 1000, "3600000000000");
    for (int round = -1; round < ROUNDS; round++) {
        snprintf(path, sizeof path, "%s/bare.jsonl", dir);
        double t_bare = run_bare(argv[0], db, path, log);
        unlink(path);
        snprintf(path, sizeof path, "%s/events-%d.jsonl", dir, round);
        double t_ours = run_relay(db, path, round + 1, log, &peak_kib);
        unlink(path);
        if (round >= 0) {
            ours[round] = t_ours;
            theirs[round] = t_bare;
        }
    }
    char what[96];
    snprintf(what, sizeof what, "relay to JSONL, backlog of %d", events);
    bench_report(what, ours, theirs, ROUNDS, events, 0.85);
    printf("%-52s %11.1f MiB %30s %5s\n", "  its peak memory", (double)peak_kib / 1024, "", "< 32");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
