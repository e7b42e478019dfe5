/* webhook_latency_bench.c — how long after a commit at synchronous=FULL has returned a receiver on loopback has said 2xx:
 * the relay against a bare program that waits by inotify, looks in a burst and posts by libcurl, in the same run.
 *
 * The bare program comes twice: one that posts at once, and one that syncs the WAL before, as whoever can't know how the
 * writer commits must. The receiver itself takes the time, when the request is whole; it shares a core with the writer,
 * who sleeps meanwhile. Whoever is measured has the other one.
 */
#include "backlog.h"
#include "bare_listen.h"
#include "webhook_sides.h"

enum { ROUNDS = 3, COMMITS = 100, PATIENCE_SECONDS = 20, SIDES = 3 };

/* ---- The bare program --------------------------------------------------------------------------------------------- */

static void post(void *arg, sqlite3_stmt *st)
{
    static char body[512];
    int n = snprintf(body, sizeof body,
                     "{\"specversion\":\"1.0\",\"sequence\":\"%020lld\",\"type\":\"%s\",\"data\":%s}",
                     (long long)sqlite3_column_int64(st, 0), (const char *)sqlite3_column_text(st, 1),
                     (const char *)sqlite3_column_text(st, 2));
    curl_easy_setopt(arg, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(arg, CURLOPT_POSTFIELDSIZE, (long)n);
    if (curl_easy_perform(arg) != CURLE_OK)
        bench_die("bare", "not posted");
}

static int bare(const char *db_path, const char *url, bool synced)
{
    struct curl_slist *headers = bare_headers();
    return bare_listen(db_path, synced, post, bare_request(url, "", 0, headers));
}

/* ---- The measurement ---------------------------------------------------------------------------------------------- */

struct bench {
    char *self, db[128], log[128];
    outbox *ob;
    struct receiver *receiver;
    int64_t events; /* committed so far */
};

static void await_accepted(const struct bench *b, int64_t count)
{
    double deadline = bench_now() + PATIENCE_SECONDS;
    while (b->receiver->accepted < count) {
        if (bench_now() > deadline)
            bench_die("receiver", "no request came");
        bench_pause_us(200);
    }
}

/* Commits some milliseconds apart, irregularly, so that no timer of anybody keeps step with them. */
static void commits(struct bench *b, double *lags)
{
    for (int i = 0; i < COMMITS; i++) {
        bench_pause_us(3000 + i * 7919 % 5000);
        receiver_reset(b->receiver, RECEIVER_ACCEPTS, 0, INT64_MAX);
        if (outbox_emit(b->ob, "t", "k", "{\"a\":1}", -1, NULL, NULL) != OUTBOX_OK)
            bench_die("emit", outbox_errmsg(b->ob));
        double committed = bench_now();
        await_accepted(b, 1);
        lags[i] = b->receiver->from.time - committed;
        b->events++;
    }
}

static void measure(struct bench *b, char *const argv[], double *lags)
{
    receiver_reset(b->receiver, RECEIVER_ACCEPTS, 0, INT64_MAX);
    bench_pin(1);
    pid_t pid = child_start(argv, b->log);
    bench_pin(0);
    await_accepted(b, b->events); /* what the rounds before have left: it has begun */
    bench_pause_us(100000);
    commits(b, lags);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return bare(argv[2], argv[3], strcmp(argv[1], "--synced") == 0);
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", command[160];
    static double lags[SIDES][ROUNDS * COMMITS];
    struct bench b = {.self = argv[0], .events = 1};
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(b.db, sizeof b.db, "%s/b.db", dir);
    snprintf(b.log, sizeof b.log, "%s/log", dir);
    b.receiver = receiver_start();
    backlog_make(b.db, 1, 1, "3600000000000"); /* each program finds an event to post at its start */
    if (outbox_open(b.db, NULL, &b.ob) != OUTBOX_OK)
        bench_die(b.db, outbox_errmsg(NULL));
    for (int round = 0; round < ROUNDS; round++) {
        char consumer[16];
        snprintf(consumer, sizeof consumer, "r%d", round);
        char *relay[] = {strdup(child_program("outbox-relay")),
                         (char[]){"--db"},
                         b.db,
                         (char[]){"--webhook"},
                         b.receiver->url,
                         (char[]){"--consumer"},
                         consumer,
                         NULL};
        char *plain[] = {b.self, (char[]){"--plain"}, b.db, b.receiver->url, NULL};
        char *synced[] = {b.self, (char[]){"--synced"}, b.db, b.receiver->url, NULL};
        char *const *sides[SIDES] = {relay, plain, synced};
        for (int i = 0; i < SIDES; i++)
            measure(&b, sides[i], lags[i] + round * COMMITS);
        free(relay[0]);
    }
    bench_report_us("commit to 2xx at a receiver on loopback, median", lags[0], ROUNDS * COMMITS, "< 400", "< 2000");
    bench_report_us("  bare, inotify and a burst of looks, libcurl", lags[1], ROUNDS * COMMITS, "", "");
    bench_report_us("  bare, and its own sync of the WAL", lags[2], ROUNDS * COMMITS, "", "");
    outbox_close(b.ob);
    receiver_stop(b.receiver);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
