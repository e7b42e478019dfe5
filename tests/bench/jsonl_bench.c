/* jsonl_bench.c — a backlog drained to JSONL: outbox-relay against a bare loop.
 *
 * The bare loop steps through the same SELECT, puts the same bytes together with memcpy (it checks nothing and escapes
 * nothing), writes them and syncs once per 10,000 rows. Both are whole processes, so start-up counts.
 */
#include "backlog.h"
#include "child.h"

enum { ROUNDS = 5, SYNC_ROWS = 10000, WRITE_BYTES = 1 << 18, CHILD_BARE = 1 };

struct out {
    int fd;
    char *data;
    size_t size;
};

static void flush(struct out *o)
{
    if (write(o->fd, o->data, o->size) != (ssize_t)o->size)
        bench_die("write", "short");
    o->size = 0;
}

static void put(struct out *o, const void *bytes, size_t n)
{
    memcpy(o->data + o->size, bytes, n);
    o->size += n;
}

static void put_text(struct out *o, const char *text)
{
    put(o, text, strlen(text));
}

static void put_column(struct out *o, sqlite3_stmt *st, int i)
{
    const void *text = sqlite3_column_text(st, i);
    put(o, text, (size_t)sqlite3_column_bytes(st, i));
}

static void put_int(struct out *o, int64_t value)
{
    char digits[24];
    int n = 24;
    do
        digits[--n] = (char)('0' + value % 10);
    while (value /= 10);
    put(o, digits + n, (size_t)(24 - n));
}

static int bare(const char *db_path, const char *path)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    struct out o = {open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640), malloc(WRITE_BYTES * 2), 0};
    if (sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READONLY, NULL) ||
        sqlite3_prepare_v2(
            db,
            "SELECT seq, topic, table_name, key, op, revision, before, payload, headers, ordering_key, created_at FROM outbox_events WHERE seq > 0 ORDER BY seq",
            -1, &st, NULL))
        bench_die("bare", sqlite3_errmsg(db));
    for (int64_t rows = 1; sqlite3_step(st) == SQLITE_ROW; rows++) {
        int64_t seq = sqlite3_column_int64(st, 0);
        put_text(&o, "{\"seq\":");
        put_int(&o, seq);
        put_text(&o, ",\"prev\":");
        put_int(&o, seq - 1);
        put_text(&o, ",\"id\":\"0123456789abcdef-");
        put_int(&o, seq);
        put_text(&o, "\",\"topic\":\"");
        put_column(&o, st, 1);
        put_text(&o, "\",\"table\":\"");
        put_column(&o, st, 2);
        put_text(&o, "\",\"key\":\"");
        put_column(&o, st, 3);
        put_text(&o, "\",\"op\":\"");
        put_column(&o, st, 4);
        put_text(&o, "\",\"revision\":");
        put_int(&o, sqlite3_column_int64(st, 5));
        put_text(&o, ",\"time\":\"2026-11-21T05:21:00.");
        put_int(&o, 100000 + sqlite3_column_int64(st, 10) % 900000);
        put_text(&o, "Z\",\"payload\":");
        put_column(&o, st, 7);
        put_text(&o, "}\n");
        if (o.size > WRITE_BYTES)
            flush(&o);
        if (rows % SYNC_ROWS == 0) {
            flush(&o);
            fdatasync(o.fd);
        }
    }
    flush(&o);
    fdatasync(o.fd);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return 0;
}

static double run_bare(char *self, char *db, char *path, const char *log)
{
    char *argv[] = {self, (char[]){"--bare"}, db, path, NULL};
    return child_run(argv, log, NULL);
}

static double run_relay(char *db, char *path, int round, const char *log, long *peak_kib)
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
                    (char[]){"--from"},
                    (char[]){"start"},
                    (char[]){"--once"},
                    NULL};
    double t = child_run(argv, log, peak_kib);
    free(argv[0]);
    return t;
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return bare(argv[2], argv[3]);
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
    bench_report(what, ours, theirs, ROUNDS, events, 0.7);
    printf("%-52s %11.1f MiB %30s %5s\n", "  its peak memory", (double)peak_kib / 1024, "", "< 32");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
