/* capture_bench.c — what capture costs: an INSERT and an UPDATE of a captured table against the same of a bare one, and
 * against outbox_upsert. Prepared once, a thousand rows a transaction, synchronous NORMAL: the disk is not what is
 * measured, so time is the processor's.
 */
#include <stdbool.h>

#include "bench.h"
#include "outbox.h"

enum { ROWS = 1000, ROUNDS = 9 };

static const char create[] =
    "CREATE TABLE %s(id INTEGER PRIMARY KEY, customer TEXT, status TEXT, total REAL, note TEXT,"
    " revision INTEGER NOT NULL DEFAULT 1)";

static sqlite3 *db;
static outbox *ob;

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

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
    double from = cpu_now();
    sql("BEGIN IMMEDIATE", "");
    for (int i = 0; i < ROWS; i++) {
        sqlite3_bind_int64(st, 1, first + i);
        sqlite3_bind_text(st, 2, note, -1, SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_DONE)
            bench_die("step", sqlite3_errmsg(db));
        sqlite3_reset(st);
    }
    sql("COMMIT", "");
    double seconds = cpu_now() - from;
    sqlite3_finalize(st);
    return seconds;
}

static double time_upsert(const char *note, int64_t first)
{
    double from = cpu_now();
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
    return cpu_now() - from;
}

static const char insert[] = "INSERT INTO %s(id, customer, status, total, note) VALUES (?1, 'c-1', 'open', 19.99, ?2)";
static const char update[] = "UPDATE %s SET total = total + 1, note = ?2 WHERE id = ?1";

static void compare(const char *what, const char *statement, const char *note, bool with_upsert)
{
    double captured[ROUNDS], bare[ROUNDS], written[ROUNDS];
    char line[100];
    static int64_t next = 1;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t first = next;
        next += ROWS;
        if (statement == update) {
            time_statement(insert, "captured", "-", first);
            time_statement(insert, "bare", "-", first);
        }
        captured[i] = time_statement(statement, "captured", note, first);
        bare[i] = time_statement(statement, "bare", note, first);
        written[i] = with_upsert ? time_upsert(note, first) : 1;
    }
    snprintf(line, sizeof line, "captured %s, bare", what);
    bench_report(line, captured, bare, ROUNDS, ROWS, 0);
    snprintf(line, sizeof line, "captured %s, outbox_upsert", what);
    if (with_upsert)
        bench_report(line, captured, written, ROUNDS, ROWS, 0);
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
    compare("INSERT", insert, "leave it with the neighbours", true);
    compare("INSERT of text with é", insert, "laß es bei den Nachbarn, s'il te plaît", true);
    compare("UPDATE", update, "behind the bins", false);
    outbox_close(ob);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) ? 1 : 0;
}
