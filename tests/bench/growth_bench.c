/* growth_bench.c — a backlog of any length drains as its first part does: the first and the last tenth, memory, and how
 * soon after its start the relay writes the first line. Rows: EVENTS, else 1,000,000, with BENCH_FULL 10,000,000.
 *
 * The disk doesn't take gigabytes at an even rate, and that is not the backlog's length: so each tenth is set against the
 * same tenth of a bare loop that reads the same rows and writes and syncs as much, in the same run, and what counts is
 * how that ratio changes. Beside it the CPU time, without a goal: in a virtual machine the copy into a page of memory that
 * nobody has touched yet is charged to the writer, and takes many times as long. The bench watches the files' sizes, and knows
 * from a run of each before how large they become.
 */
#include "backlog.h"
#include "bare_jsonl.h"
#include "child.h"
#include "growing.h"

enum { ROUNDS = 3, PATIENCE_SECONDS = 300 };

struct bench {
    char *self, db[128], path[128], log[128];
    int64_t size[2]; /* what the file becomes: ours, bare */
    long peak_kib;
};

struct moment {
    double at, cpu;
};

/* One drain, up to where a tenth begins or ends. Each tenth begins a little later, where writing is under way. */
struct drain {
    double to_first_line;
    struct moment first[2], last[2];
};

/* Looks seldom: both cores are the drain's. */
static struct moment await_size(const struct bench *b, pid_t pid, int64_t size)
{
    const struct timespec pause = {0, size > 1 ? 1000000 : 200000};
    double deadline = bench_now() + PATIENCE_SECONDS;
    while (growing_size(b->path) < size) {
        if (bench_now() > deadline)
            bench_die(b->path, "does not grow");
        nanosleep(&pause, NULL);
    }
    return (struct moment){bench_now(), child_cpu(pid)};
}

static pid_t start_relay(struct bench *b)
{
    static int consumer;
    char name[32];
    snprintf(name, sizeof name, "bench-%d", consumer++);
    char *argv[CHILD_STREAM_ARGS];
    child_stream(argv, b->db, b->path, name, (char[]){"--once"}, NULL, NULL);
    return child_start(argv, b->log);
}

static pid_t start(struct bench *b, bool is_bare)
{
    char *argv[] = {b->self, (char[]){"--bare"}, b->db, b->path, NULL};
    return is_bare ? child_start(argv, b->log) : start_relay(b);
}

/* The file's size at the end. */
static int64_t end(struct bench *b, pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_die(b->path, "its writer ended badly; see the log");
    int64_t size = growing_size(b->path);
    unlink(b->path);
    return size;
}

static struct drain measure(struct bench *b, bool is_bare)
{
    struct drain d;
    int64_t size = b->size[is_bare];
    double began = bench_now();
    pid_t pid = start(b, is_bare);
    d.to_first_line = await_size(b, pid, 1).at - began;
    d.first[0] = await_size(b, pid, size / 50);
    d.first[1] = await_size(b, pid, size / 50 + size / 10);
    d.last[0] = await_size(b, pid, size - size / 10 - size / 50);
    d.last[1] = await_size(b, pid, size - size / 50);
    long kib = is_bare ? 0 : child_peak_kib(pid);
    b->peak_kib = kib > b->peak_kib ? kib : b->peak_kib;
    end(b, pid);
    return d;
}

static double seconds(const struct moment tenth[2])
{
    return tenth[1].at - tenth[0].at;
}

static double cpu(const struct moment tenth[2])
{
    return tenth[1].cpu - tenth[0].cpu;
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return bare_jsonl(argv[2], argv[3], 0);
    int events = getenv("EVENTS") ? atoi(getenv("EVENTS")) : getenv("BENCH_FULL") ? 10000000 : 1000000;
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", what[96], command[160];
    double first[2][ROUNDS], last[2][ROUNDS], change[ROUNDS], cpu_first[ROUNDS], cpu_last[ROUNDS], started[ROUNDS];
    struct bench b = {.self = argv[0]};
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(b.db, sizeof b.db, "%s/b.db", dir);
    snprintf(b.path, sizeof b.path, "%s/events.jsonl", dir);
    snprintf(b.log, sizeof b.log, "%s/log", dir);
    backlog_make(b.db, events, 1000, "3600000000000");
    for (int is_bare = 0; is_bare < 2; is_bare++)
        b.size[is_bare] = end(&b, start(&b, is_bare));
    for (int i = 0; i < ROUNDS; i++) {
        struct drain theirs = measure(&b, true), ours = measure(&b, false);
        started[i] = ours.to_first_line;
        first[0][i] = seconds(ours.first);
        first[1][i] = seconds(theirs.first);
        last[0][i] = seconds(ours.last);
        last[1][i] = seconds(theirs.last);
        change[i] = last[1][i] / last[0][i] / (first[1][i] / first[0][i]);
        cpu_first[i] = cpu(ours.first);
        cpu_last[i] = cpu(ours.last);
    }
    snprintf(what, sizeof what, "a backlog of %d to JSONL, its first tenth", events);
    bench_report(what, first[0], first[1], ROUNDS, events / 10.0, 0);
    bench_report("  its last tenth", last[0], last[1], ROUNDS, events / 10.0, 0);
    printf("%-52s %43.2f %8.2f\n", "  the last one's ratio to that of the first", bench_median(change, ROUNDS), 0.9);
    bench_report("  last against first, by CPU time", cpu_last, cpu_first, ROUNDS, events / 10.0, 0);
    printf("%-52s %11.1f ms %30s %5s\n", "  start to the first line", bench_median(started, ROUNDS) * 1e3, "", "< 100");
    printf("%-52s %11.1f MiB %30s %5s\n", "  its peak memory", (double)b.peak_kib / 1024, "", "< 32");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
