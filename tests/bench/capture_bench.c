/* capture_bench.c — what capture costs: an INSERT and an UPDATE of a captured table against outbox_upsert, which stores
 * the same, and against the same statement on a bare table, which stores no event. Prepared once, a thousand rows a
 * transaction, synchronous NORMAL: the disk is not what is measured, so time is the processor's.
 */
#include "bench.h"
#include "outbox.h"

enum { ROWS = 1000, ROUNDS = 9 };

static const char create[] =
    "CREATE TABLE %s(id INTEGER PRIMARY KEY, customer TEXT, status TEXT, total REAL, note TEXT,"
    " revision INTEGER NOT NULL DEFAULT 1)";

static sqlite3 *db;
static outbox *ob;

static void sql(const char *format, const char *table)
{
    char *text = sqlite3_mprintf(format, table), *error = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
        bench_die(text, error);
    sqlite3_free(text);
}

static sqlite3_stmt *prepare(const char *format, const char *table)
{
    sqlite3_stmt *st;
    char *text = sqlite3_mprintf(format, table);
    if (sqlite3_prepare_v2(db, text, -1, &st, NULL) != SQLITE_OK)
        bench_die(text, sqlite3_errmsg(db));
    sqlite3_free(text);
    return st;
}

/* Seconds for ROWS of them in one transaction. note is ?2. */
static double time_statement(const char *format, const char *table, const char *note, int64_t first)
{
    sqlite3_stmt *st = prepare(format, table);
    double from = bench_cpu();
    sql("BEGIN IMMEDIATE", "");
    for (int i = 0; i < ROWS; i++) {
        sqlite3_bind_int64(st, 1, first + i);
        sqlite3_bind_text(st, 2, note, -1, SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_DONE)
            bench_die("step", sqlite3_errmsg(db));
        sqlite3_reset(st);
    }
    sql("COMMIT", "");
    double seconds = bench_cpu() - from;
    sqlite3_finalize(st);
    return seconds;
}

static double time_upsert(const char *note, int64_t first)
{
    double from = bench_cpu();
    if (outbox_begin(ob) != OUTBOX_OK)
        bench_die("begin", outbox_errmsg(ob));
    for (int i = 0; i < ROWS; i++) {
        const outbox_value row[] = {outbox_int("id", first + i), outbox_text("customer", "c-1"),
                                    outbox_text("status", "open"), outbox_real("total", 19.99),
                                    outbox_text("note", note)};
        if (outbox_upsert(ob, "written", row, 5, OUTBOX_ANY_REVISION, NULL, NULL) != OUTBOX_OK)
            bench_die("upsert", outbox_errmsg(ob));
    }
    if (outbox_commit(ob) != OUTBOX_OK)
        bench_die("commit", outbox_errmsg(ob));
    return bench_cpu() - from;
}

static const char insert[] = "INSERT INTO %s(id, customer, status, total, note) VALUES (?1, 'c-1', 'open', 19.99, ?2)";
static const char update[] = "UPDATE %s SET total = total + 1, note = ?2 WHERE id = ?1";

static void report(const char *what, double *captured, double *other, double below)
{
    double ratios[ROUNDS];
    char goal[16] = "";
    for (int i = 0; i < ROUNDS; i++)
        ratios[i] = other[i] / captured[i];
    if (below > 0)
        snprintf(goal, sizeof goal, "< %.0f", below);
    printf("%-52s %12.1f µs %12.1f µs %7.2f %8s\n", what, bench_median(captured, ROUNDS) / ROWS * 1e6,
           bench_median(other, ROUNDS) / ROWS * 1e6, bench_median(ratios, ROUNDS), goal);
    fflush(stdout);
}

static void compare(const char *what, const char *statement, const char *note, double below)
{
    double captured[ROUNDS], bare[ROUNDS], written[ROUNDS];
    static int64_t next = 1;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t first = next;
        next += ROWS;
        if (statement == update) {
            time_statement(insert, "captured", "-", first);
            time_statement(insert, "bare", "-", first);
            time_upsert("-", first);
        }
        captured[i] = time_statement(statement, "captured", note, first);
        bare[i] = time_statement(statement, "bare", note, first);
        written[i] = time_upsert(note, first);
    }
    char line[100];
    snprintf(line, sizeof line, "captured %s (bare: outbox_upsert)", what);
    report(line, captured, written, below);
    report("  against a table that nobody hears of", captured, bare, 0);
}

int main(void)
{
    char dir[] = "/tmp/outbox-bench-XXXXXX", path[64], command[64];
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL};
    if (!mkdtemp(dir))
        bench_die(dir, "mkdtemp");
    snprintf(path, sizeof path, "%s/bench.db", dir);
    if (outbox_open(path, &o, &ob) != OUTBOX_OK)
        bench_die(path, outbox_errmsg(NULL));
    db = outbox_db(ob);
    sql(create, "captured");
    sql(create, "bare");
    sql(create, "written");
    if (outbox_capture(ob, "captured", NULL) != OUTBOX_OK)
        bench_die("capture", outbox_errmsg(ob));
    compare("INSERT", insert, "leave it with the neighbours", 10);
    compare("UPDATE", update, "behind the bins", 20);
    compare("INSERT beyond ASCII", insert, "laß es bei den Nachbarn, s'il te plaît", 0);
    outbox_close(ob);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) ? 1 : 0;
}
