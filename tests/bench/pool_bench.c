/* pool_bench.c — outbox_pool_run against a group commit by hand: the same queue, the same three statements of plain SQL.
 *
 * Each thread hands over one write at a time and waits until it is durable (synchronous FULL). The bare side's writer
 * thread takes what waits, in one transaction without savepoints. The lone thread is measured against a connection of
 * its own, one transaction a write: what a pool costs where there is nothing to gather.
 */
#include <pthread.h>
#include <semaphore.h>

#include "bench.h"
#include "outbox.h"

enum { ROUNDS = 9, THREADS_MAX = 32, KEYS = 1000, LATENCIES_MAX = 20000 };

static const char create[] = "CREATE TABLE orders(id TEXT PRIMARY KEY, status TEXT, note TEXT,"
                             " revision INTEGER NOT NULL DEFAULT 1)";
static char note[300];

/* No worse than the bare side's, that is; but a hundredth of some thousand writes is few, and varies. */
#define P99_GOAL 0.9

/* ---- One write, ours and bare ---- */

struct bare {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *write, *log, *owe;
};

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
        bench_die(sql, sqlite3_errmsg(db));
    return st;
}

static void step(struct bare *b, sqlite3_stmt *st)
{
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        ;
    if (rc != SQLITE_DONE)
        bench_die("step", sqlite3_errmsg(b->db));
    sqlite3_reset(st);
}

#define IMAGE "json_object('id', id, 'status', status, 'note', note, 'revision', revision)"

static void bare_open(struct bare *b, sqlite3 *db)
{
    b->db = db;
    sqlite3_wal_autocheckpoint(db, 1000); /* SQLite's own; the handle checkpoints after its own commits only */
    b->begin = prepare(db, "BEGIN IMMEDIATE");
    b->commit = prepare(db, "COMMIT");
    b->write = prepare(db, "INSERT INTO orders(id, status, note) VALUES (?1, ?2, ?3) RETURNING " IMAGE);
    b->log = prepare(db, "INSERT INTO change_log(topic, table_name, key, op, revision, payload, created_at)"
                         " VALUES ('orders', 'orders', ?1, 'insert', 1, ?2, ?3)");
    b->owe = prepare(db, "INSERT INTO outbox(seq) VALUES (last_insert_rowid())");
}

static void bare_close(struct bare *b)
{
    sqlite3_stmt *all[] = {b->begin, b->commit, b->write, b->log, b->owe};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sqlite3_finalize(all[i]);
}

static void bare_write(struct bare *b, const char *key)
{
    struct timespec now;
    sqlite3_bind_text(b->write, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(b->write, 2, "open", -1, SQLITE_STATIC);
    sqlite3_bind_text(b->write, 3, note, sizeof note - 1, SQLITE_STATIC);
    if (sqlite3_step(b->write) != SQLITE_ROW)
        bench_die("write", sqlite3_errmsg(b->db));
    clock_gettime(CLOCK_REALTIME, &now);
    sqlite3_bind_text(b->log, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(b->log, 2, (const char *)sqlite3_column_text(b->write, 0), -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(b->log, 3, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    step(b, b->write);
    step(b, b->log);
    step(b, b->owe);
}

static int our_write(outbox *ob, void *key)
{
    outbox_value row[] = {outbox_text("id", key), outbox_text("status", "open"),
                          outbox_text_n("note", note, sizeof note - 1)};
    return outbox_upsert(ob, "orders", row, 3, 0, NULL, NULL);
}

/* ---- The bare pool: a queue and a thread, as pool.c has them ---- */

struct entry {
    const char *key;
    sem_t answered;
    struct entry *next;
};

struct bare_pool {
    struct bare bare;
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct entry *first, **end;
    int closing;
};

static void *bare_writer(void *arg)
{
    struct bare_pool *p = arg;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (!p->first && !p->closing)
            pthread_cond_wait(&p->arrived, &p->lock);
        struct entry *group = p->first;
        p->first = NULL;
        p->end = &p->first;
        pthread_mutex_unlock(&p->lock);
        if (!group)
            return NULL;
        step(&p->bare, p->bare.begin);
        for (struct entry *e = group; e; e = e->next)
            bare_write(&p->bare, e->key);
        step(&p->bare, p->bare.commit);
        while (group) {
            struct entry *next = group->next;
            sem_post(&group->answered);
            group = next;
        }
    }
}

static void bare_line_up(struct bare_pool *p, struct entry *e)
{
    pthread_mutex_lock(&p->lock);
    int idle = !p->first;
    *p->end = e;
    p->end = &e->next;
    if (idle)
        pthread_cond_signal(&p->arrived);
    pthread_mutex_unlock(&p->lock);
}

static void bare_run(struct bare_pool *p, const char *key)
{
    struct entry e = {.key = key};
    sem_init(&e.answered, 0, 0);
    bare_line_up(p, &e);
    while (sem_wait(&e.answered) != 0)
        ;
    sem_destroy(&e.answered);
}

/* ---- A round: threads, each with its share ---- */

struct side {
    outbox_pool *ours;
    struct bare_pool *bare;
    outbox *alone; /* no pool: this thread's own connection */
};

struct thread {
    const struct side *side;
    int number, count;
    pthread_t id;
    double *latencies;
};

static void *run_thread(void *arg)
{
    struct thread *t = arg;
    char key[32];
    for (int i = 0; i < t->count; i++) {
        snprintf(key, sizeof key, "order-%02d-%06d", t->number, i);
        double start = bench_now();
        if (t->side->bare)
            bare_run(t->side->bare, key);
        else if (t->side->ours ? outbox_pool_run(t->side->ours, our_write, key) : our_write(t->side->alone, key))
            bench_die("write", outbox_errmsg(NULL));
        t->latencies[i] = bench_now() - start;
    }
    return NULL;
}

/* Seconds for all; *p99 of one write. */
static double run_threads(const struct side *side, int threads, int count, double *p99)
{
    static double latencies[LATENCIES_MAX];
    struct thread t[THREADS_MAX];
    double start = bench_now();
    for (int i = 0; i < threads; i++) {
        t[i] = (struct thread){side, i, count / threads, 0, latencies + i * (count / threads)};
        if (pthread_create(&t[i].id, NULL, run_thread, &t[i]) != 0)
            bench_die("pthread_create", "failed");
    }
    for (int i = 0; i < threads; i++)
        pthread_join(t[i].id, NULL);
    double seconds = bench_now() - start;
    int n = count / threads * threads;
    qsort(latencies, (size_t)n, sizeof *latencies, bench_compare);
    *p99 = latencies[n - n / 100 - 1];
    return seconds;
}

static outbox *open_new(const char *path)
{
    outbox *ob;
    if (outbox_open(path, NULL, &ob) != OUTBOX_OK || sqlite3_exec(outbox_db(ob), create, NULL, NULL, NULL) != SQLITE_OK)
        bench_die(path, outbox_errmsg(NULL));
    return ob;
}

enum kind { OUR_POOL, BARE_POOL, OWN_CONNECTION };

static double one_side(const char *dir, enum kind kind, int threads, int count, double *p99)
{
    static int files;
    char path[128];
    snprintf(path, sizeof path, "%s/%d.db", dir, files++);
    struct side side = {NULL, NULL, NULL};
    outbox *ob = open_new(path);
    struct bare_pool bare = {.end = &bare.first};
    double seconds;
    if (kind == OUR_POOL) {
        if (outbox_pool_open(path, NULL, &side.ours) != OUTBOX_OK)
            bench_die(path, outbox_errmsg(NULL));
        seconds = run_threads(&side, threads, count, p99);
        outbox_pool_close(side.ours);
    } else if (kind == BARE_POOL) {
        side.bare = &bare;
        bare_open(&bare.bare, outbox_db(ob));
        pthread_mutex_init(&bare.lock, NULL);
        pthread_cond_init(&bare.arrived, NULL);
        pthread_create(&bare.writer, NULL, bare_writer, &bare);
        seconds = run_threads(&side, threads, count, p99);
        pthread_mutex_lock(&bare.lock);
        bare.closing = 1;
        pthread_cond_signal(&bare.arrived);
        pthread_mutex_unlock(&bare.lock);
        pthread_join(bare.writer, NULL);
        bare_close(&bare.bare);
    } else {
        side.alone = ob;
        seconds = run_threads(&side, threads, count, p99);
    }
    outbox_close(ob);
    return seconds;
}

static void measure(const char *dir, int threads, int count, enum kind against, double goal)
{
    double ours[ROUNDS], bare[ROUNDS], our_p99[ROUNDS], bare_p99[ROUNDS];
    char what[64];
    count -= count % threads;
    for (int round = -1; round < ROUNDS; round++) { /* round -1 warms up */
        int at = round < 0 ? 0 : round;
        if (round & 1)
            ours[at] = one_side(dir, OUR_POOL, threads, count, &our_p99[at]);
        bare[at] = one_side(dir, against, threads, count, &bare_p99[at]);
        if (!(round & 1))
            ours[at] = one_side(dir, OUR_POOL, threads, count, &our_p99[at]);
    }
    snprintf(what, sizeof what, "pool, %d thread%s, FULL%s", threads, threads > 1 ? "s" : "",
             against == OWN_CONNECTION ? " (bare: own connection)" : "");
    bench_report(what, ours, bare, ROUNDS, count, goal);
    for (int i = 0; i < ROUNDS; i++)
        ours[i] = bare_p99[i] / our_p99[i];
    printf("%-52s %12.2fms %12.2fms %7.2f %8.2f\n", "  p99 of a write", bench_median(our_p99, ROUNDS) * 1e3,
           bench_median(bare_p99, ROUNDS) * 1e3, bench_median(ours, ROUNDS), P99_GOAL);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", command[64];
    int only = argc > 1 ? atoi(argv[1]) : 0;
    memset(note, 'n', sizeof note - 1);
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    if (!only || only == 1)
        measure(dir, 1, 2000, OWN_CONNECTION, 0.97);
    if (!only || only == 8)
        measure(dir, 8, 8000, BARE_POOL, 0.9);
    if (!only || only == 32)
        measure(dir, 32, 16000, BARE_POOL, 0.9);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
