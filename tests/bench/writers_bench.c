/* writers_bench.c — what the relay takes from the application: a writer at full speed with a relay draining to JSONL and
 * two webhooks, against the same writer alone. And how far the file is behind meanwhile.
 *
 * At synchronous=FULL the writer waits for the disk most of its time, at NORMAL for the CPU: there the relay and the
 * receiver take theirs from the same cores, and on two of them the writer feels it. Its own CPU time says how much of
 * what it lost was that.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "backlog.h"
#include "child.h"
#include "receiver.h"

enum { ROUNDS = 3, ROUND_US = 1500000, WRITES_MAX = 400000 };

struct writing {
    double took[WRITES_MAX], committed[WRITES_MAX], lag[WRITES_MAX];
    atomic_int count;
    int seen; /* lines */
    const char *path;
    atomic_bool over;
};

struct outcome {
    double seconds_each, p99, lag_p99;
};

/* Counts the lines of the file as they come, twice a millisecond. It runs beside the writer alone, too, who has no file: what
 * it takes from the writer is not the relay's doing. The receiver takes 0.01 to 0.03 of a core here. */
static void *watch(void *arg)
{
    struct writing *w = arg;
    static char piece[1 << 16];
    int fd = -1;
    while (!w->over) {
        if (fd < 0)
            fd = open(w->path, O_RDONLY);
        ssize_t n = fd < 0 ? 0 : read(fd, piece, sizeof piece);
        double now = bench_now();
        for (const char *p = piece; n > 0 && (p = memchr(p, '\n', (size_t)(piece + n - p))) != NULL; p++, w->seen++)
            w->lag[w->seen] = w->seen < w->count ? now - w->committed[w->seen] : 0;
        if (n <= 0)
            nanosleep(&(struct timespec){0, 500000}, NULL);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void write_for_a_while(struct writing *w, outbox *ob)
{
    char payload[400], key[16];
    memset(payload, 'x', sizeof payload);
    memcpy(payload, "{\"note\":\"", 9);
    memcpy(payload + sizeof payload - 3, "\"}", 3);
    double until = bench_now() + ROUND_US / 1e6;
    while (bench_now() < until && w->count < WRITES_MAX) {
        snprintf(key, sizeof key, "k%d", w->count % 1000);
        double began = bench_now();
        if (outbox_emit(ob, "t", key, payload, -1, NULL, NULL) != OUTBOX_OK)
            bench_die("emit", outbox_errmsg(ob));
        w->committed[w->count] = bench_now();
        w->took[w->count] = w->committed[w->count] - began;
        w->count++;
    }
}

static pid_t start_relay(const char *dir, const char *db, const char *path, const struct receiver *r, const char *log)
{
    char config[160];
    snprintf(config, sizeof config, "%s/relay.conf", dir);
    FILE *f = fopen(config, "w");
    if (!f)
        bench_die(config, "cannot be written");
    fprintf(f, "db = \"%s\"\nlog-level = \"warn\"\nsink file { jsonl = \"%s\" }\n", db, path);
    fprintf(f, "sink first { webhook = \"%s\"\n batch = 100 }\nsink second { webhook = \"%s\"\n batch = 100 }\n",
            r->url, r->url);
    fclose(f);
    char *argv[] = {strdup(child_program("outbox-relay")), (char[]){"--config"}, config, NULL};
    pid_t pid = child_start(argv, log);
    free(argv[0]);
    return pid;
}

/* Until every sink has its consumer, under a lease token: from then on each commit is somebody's to deliver. */
static void await_claims(sqlite3 *db)
{
    static const char sql[] = "SELECT count(*) = 3 FROM consumer_offsets WHERE lease_token > 0";
    double deadline = bench_now() + 20;
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        bench_die("consumer_offsets", sqlite3_errmsg(db));
    while (sqlite3_step(st) != SQLITE_ROW || !sqlite3_column_int(st, 0)) {
        if (bench_now() > deadline)
            bench_die("the relay", "has not claimed its three consumers");
        sqlite3_reset(st);
        usleep(1000);
    }
    sqlite3_finalize(st);
}

static struct outcome run(const char *dir, int synchronous, struct receiver *r)
{
    char db[128], path[128], log[128], command[200];
    outbox *ob;
    pthread_t watcher;
    pid_t pid = 0;
    outbox_open_options o = {.size = sizeof o, .synchronous = synchronous};
    struct writing *w = calloc(1, sizeof *w);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(path, sizeof path, "%s/events.jsonl", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    if (!w || outbox_open(db, &o, &ob) != OUTBOX_OK)
        bench_die(db, outbox_errmsg(NULL));
    w->path = path;
    if (r) {
        pid = start_relay(dir, db, path, r, log);
        await_claims(outbox_db(ob));
    }
    pthread_create(&watcher, NULL, watch, w);
    double began = bench_now();
    write_for_a_while(w, ob);
    struct outcome out = {.seconds_each = (bench_now() - began) / w->count};
    w->over = true;
    pthread_join(watcher, NULL);
    if (r) {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
        bench_median(w->lag, w->seen); /* sorts them */
        out.lag_p99 = w->seen ? w->lag[(int64_t)w->seen * 99 / 100] : 1e9;
    }
    int count = w->count;
    bench_median(w->took, count);
    out.p99 = w->took[(int64_t)count * 99 / 100];
    free(w);
    outbox_close(ob);
    snprintf(command, sizeof command, "rm -f %s/*", dir);
    if (system(command) != 0)
        bench_die(dir, "cannot be emptied");
    return out;
}

static void compare(const char *what, const char *dir, int synchronous, struct receiver *r)
{
    double with[ROUNDS], alone[ROUNDS], with_p99[ROUNDS], alone_p99[ROUNDS], lag[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        struct outcome a = run(dir, synchronous, NULL), b = run(dir, synchronous, r);
        alone[i] = a.seconds_each;
        alone_p99[i] = a.p99;
        with[i] = b.seconds_each;
        with_p99[i] = b.p99;
        lag[i] = b.lag_p99;
    }
    bench_report(what, with, alone, ROUNDS, 1, 0.95);
    double p99 = bench_median(with_p99, ROUNDS), p99_alone = bench_median(alone_p99, ROUNDS);
    printf("%-52s %11.2fms %13.2fms %7.2f %8s\n", "  p99 of a write", p99 * 1e3, p99_alone * 1e3, p99 / p99_alone,
           "< 2");
    printf("%-52s %11.2fms %30s %5s\n", "  p99 of the file's lag", bench_median(lag, ROUNDS) * 1e3, "", "< 10");
    fflush(stdout);
}

int main(void)
{
    char dir[] = "/var/tmp/outbox-bench-XXXXXX";
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    cpu_set_t all;
    sched_getaffinity(0, sizeof all, &all);
    struct receiver *r = receiver_start();
    sched_setaffinity(0, sizeof all, &all); /* it is the writer that this is about, wherever it runs */
    compare("a writer at FULL beside the relay, three sinks", dir, OUTBOX_SYNC_FULL, r);
    compare("a writer at NORMAL beside the relay, three sinks", dir, OUTBOX_SYNC_NORMAL, r);
    receiver_stop(r);
    return rmdir(dir);
}
