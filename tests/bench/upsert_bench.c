/* upsert_bench.c — outbox_upsert against hand-written, prepared SQL that stores the same rows.
 *
 * Both write a row of some 400 bytes, its image before and after, the log and what is owed, with the same schema and
 * the same indexes. The bare side is what a careful programmer would write: read the row, UPDATE … RETURNING its image,
 * two INSERTs.
 */
#include "bench.h"
#include "outbox.h"

enum { KEYS = 1000, ROUNDS = 7 };

static const char create[] =
    "CREATE TABLE orders(id TEXT PRIMARY KEY, customer TEXT, status TEXT, total REAL, items INTEGER, note TEXT,"
    " revision INTEGER NOT NULL DEFAULT 1)";

#define IMAGE                                                                                                          \
    "json_object('id', id, 'customer', customer, 'status', status, 'total', total, 'items', items, 'note', note,"      \
    " 'revision', revision)"

static const char note[] =
    "Leave the parcel with the neighbours at number twelve if nobody answers the door before noon, and "
    "please do not put it behind the bins again; the last one was taken away with the rubbish on the "
    "Thursday, which was nobody's fault but cost us a new lamp and a good deal of telephoning.";

struct bare {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *read, *update, *insert, *log, *owe;
};

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
        bench_die(sql, sqlite3_errmsg(db));
    return st;
}

static void run(sqlite3 *db, sqlite3_stmt *st)
{
    if (sqlite3_step(st) != SQLITE_DONE)
        bench_die("step", sqlite3_errmsg(db));
    sqlite3_reset(st);
}

static void bare_open(struct bare *b, sqlite3 *db)
{
    b->db = db;
    sqlite3_wal_autocheckpoint(db, 1000); /* SQLite's own; the handle checkpoints after its own commits only */
    b->begin = prepare(db, "BEGIN IMMEDIATE");
    b->commit = prepare(db, "COMMIT");
    b->read = prepare(db, "SELECT revision, " IMAGE " FROM orders WHERE id = ?1");
    b->update = prepare(
        db,
        "UPDATE orders SET customer = ?2, status = ?3, total = ?4, items = ?5, note = ?6, revision = ?7 WHERE id = ?1 RETURNING " IMAGE);
    b->insert = prepare(
        db,
        "INSERT INTO orders(id, customer, status, total, items, note, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING " IMAGE);
    b->log = prepare(
        db,
        "INSERT INTO change_log(topic, table_name, key, op, revision, before, payload, created_at) VALUES ('orders', 'orders', ?1, ?2, ?3, ?4, ?5, ?6)");
    b->owe = prepare(db, "INSERT INTO outbox(seq) VALUES (last_insert_rowid())");
}

static void bare_close(struct bare *b)
{
    sqlite3_stmt *all[] = {b->begin, b->commit, b->read, b->update, b->insert, b->log, b->owe};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sqlite3_finalize(all[i]);
}

static void bare_upsert(struct bare *b, const char *key, int i)
{
    char before[2048];
    struct timespec now;
    sqlite3_bind_text(b->read, 1, key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(b->read);
    int64_t revision = rc == SQLITE_ROW ? sqlite3_column_int64(b->read, 0) : 0;
    int before_size = rc == SQLITE_ROW ? sqlite3_column_bytes(b->read, 1) : 0;
    if (rc == SQLITE_ROW)
        memcpy(before, sqlite3_column_text(b->read, 1), (size_t)before_size);
    sqlite3_reset(b->read);

    sqlite3_stmt *st = rc == SQLITE_ROW ? b->update : b->insert;
    sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, "customer-0042", -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, i & 1 ? "paid" : "open", -1, SQLITE_STATIC);
    sqlite3_bind_double(st, 4, (double)i + 0.25);
    sqlite3_bind_int64(st, 5, i);
    sqlite3_bind_text(st, 6, note, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 7, revision + 1);
    if (sqlite3_step(st) != SQLITE_ROW)
        bench_die("write", sqlite3_errmsg(b->db));
    sqlite3_bind_text(b->log, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(b->log, 2, revision ? "update" : "insert", -1, SQLITE_STATIC);
    sqlite3_bind_int64(b->log, 3, revision + 1);
    if (revision)
        sqlite3_bind_text(b->log, 4, before, before_size, SQLITE_STATIC);
    else
        sqlite3_bind_null(b->log, 4);
    sqlite3_bind_text(b->log, 5, (const char *)sqlite3_column_text(st, 0), sqlite3_column_bytes(st, 0), SQLITE_STATIC);
    clock_gettime(CLOCK_REALTIME, &now);
    sqlite3_bind_int64(b->log, 6, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    run(b->db, b->log);
    if (sqlite3_step(st) != SQLITE_DONE)
        bench_die("write", sqlite3_errmsg(b->db));
    sqlite3_reset(st);
    run(b->db, b->owe);
}

static void ours_upsert(outbox *ob, const char *key, int i, int json)
{
    int code;
    if (json) {
        char row[1024];
        int n = snprintf(
            row, sizeof row,
            "{\"id\":\"%s\",\"customer\":\"customer-0042\",\"status\":\"%s\",\"total\":%d.25,\"items\":%d,\"note\":\"%s\"}",
            key, i & 1 ? "paid" : "open", i, i, note);
        code = outbox_upsert_json(ob, "orders", row, n, OUTBOX_ANY_REVISION, NULL, NULL);
    } else {
        outbox_value row[] = {outbox_text("id", key),
                              outbox_text("customer", "customer-0042"),
                              outbox_text("status", i & 1 ? "paid" : "open"),
                              outbox_real("total", (double)i + 0.25),
                              outbox_int("items", i),
                              outbox_text_n("note", note, sizeof note - 1)};
        code = outbox_upsert(ob, "orders", row, 6, OUTBOX_ANY_REVISION, NULL, NULL);
    }
    if (code != OUTBOX_OK)
        bench_die("outbox_upsert", outbox_errmsg(ob));
}

struct setup {
    const char *what;
    int synchronous, count, per_transaction, json;
    double goal;
};

static double round_of(const struct setup *s, outbox *ob, struct bare *bare, double *cpu)
{
    char key[32];
    double start = bench_now(), cpu_start = bench_cpu();
    for (int i = 0; i < s->count; i++) {
        int first = i % s->per_transaction == 0, last = (i + 1) % s->per_transaction == 0;
        snprintf(key, sizeof key, "order-%06d", (i * 37) % KEYS);
        if (bare) {
            if (first)
                run(bare->db, bare->begin);
            bare_upsert(bare, key, i);
            if (last)
                run(bare->db, bare->commit);
        } else {
            if (s->per_transaction > 1 && first && outbox_begin(ob) != OUTBOX_OK)
                bench_die("begin", outbox_errmsg(ob));
            ours_upsert(ob, key, i, s->json);
            if (s->per_transaction > 1 && last && outbox_commit(ob) != OUTBOX_OK)
                bench_die("commit", outbox_errmsg(ob));
        }
    }
    *cpu = bench_cpu() - cpu_start;
    return bench_now() - start;
}

static outbox *open_new(const char *dir, const char *name, int synchronous)
{
    char path[256];
    outbox *ob;
    outbox_open_options o = {.size = sizeof o, .synchronous = synchronous};
    snprintf(path, sizeof path, "%s/%s.db", dir, name);
    if (outbox_open(path, &o, &ob) != OUTBOX_OK || sqlite3_exec(outbox_db(ob), create, NULL, NULL, NULL) != SQLITE_OK)
        bench_die(path, outbox_errmsg(NULL));
    return ob;
}

static void measure(const char *dir, const struct setup *s)
{
    double ours[ROUNDS], bare[ROUNDS], ratios[ROUNDS];
    for (int round = -1; round < ROUNDS; round++) { /* round -1 warms up */
        char name[64];
        struct bare b;
        snprintf(name, sizeof name, "bare-%p-%d", (const void *)s, round);
        outbox *theirs = open_new(dir, name, s->synchronous);
        bare_open(&b, outbox_db(theirs));
        snprintf(name, sizeof name, "ours-%p-%d", (const void *)s, round);
        outbox *mine = open_new(dir, name, s->synchronous);
        double t_ours, t_bare, cpu_ours, cpu_bare;
        if (round & 1) {
            t_ours = round_of(s, mine, NULL, &cpu_ours);
            t_bare = round_of(s, NULL, &b, &cpu_bare);
        } else {
            t_bare = round_of(s, NULL, &b, &cpu_bare);
            t_ours = round_of(s, mine, NULL, &cpu_ours);
        }
        bare_close(&b);
        outbox_close(theirs);
        outbox_close(mine);
        if (round >= 0) {
            ours[round] = t_ours;
            bare[round] = t_bare;
            ratios[round] = cpu_bare / cpu_ours;
        }
    }
    bench_report(s->what, ours, bare, ROUNDS, s->count, s->goal);
    printf("%-52s %35.2f %8.2f\n", "  by CPU time, where the disk and others don't count", bench_median(ratios, ROUNDS),
           s->goal);
}

int main(int argc, char **argv)
{
    static const struct setup setups[] = {
        {"upsert, one per transaction, FULL", OUTBOX_SYNC_FULL, 2000, 1, 0, 0.97},
        {"upsert, 100 per transaction, FULL", OUTBOX_SYNC_FULL, 10000, 100, 0, 0.85},
        {"upsert, 100 per transaction, NORMAL", OUTBOX_SYNC_NORMAL, 20000, 100, 0, 0.85},
        {"upsert of JSON rows, 100 per transaction, NORMAL", OUTBOX_SYNC_NORMAL, 20000, 100, 1, 0.6},
    };
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", command[64];
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    for (size_t i = 0; i < sizeof setups / sizeof *setups; i++)
        if (argc < 2 || strstr(setups[i].what, argv[1]))
            measure(dir, &setups[i]);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
