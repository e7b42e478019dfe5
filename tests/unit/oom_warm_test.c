/* oom_warm_test.c — what a write costs once its table is known: no memory of ours, the fewest statements that can do it,
 * and one step of each.
 */
#include "fail_alloc.h"
#include "fixture.h"

enum { PLENTY = 1000000 };

/* NOLINTBEGIN(bugprone-reserved-identifier): these names are ld's */
int __real_sqlite3_step(sqlite3_stmt *);
int __wrap_sqlite3_step(sqlite3_stmt *);

static int steps;
static char statements[1024];

int __wrap_sqlite3_step(sqlite3_stmt *st)
{
    steps++;
    return __real_sqlite3_step(st);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* The first word of each statement, and what it is about. */
static int note_statement(unsigned kind, void *context, void *st, void *text)
{
    (void)kind, (void)context, (void)st;
    static const char *const about[] = {"change_log", "outbox", "orders"};
    size_t used = strlen(statements), n = strcspn(text, " ");
    const char *name = "";
    for (size_t i = 0; !*name && i < sizeof about / sizeof *about; i++)
        name = strstr(text, about[i]) ? about[i] : "";
    if (strncmp(text, "--", 2) != 0)
        snprintf(statements + used, sizeof statements - used, "%s%.*s%s%s", used ? ", " : "", (int)n,
                 (const char *)text, *name ? " " : "", name);
    return 0;
}

static int setup(void **state)
{
    int rc = fixture_setup(state);
    struct fixture *f = *state;
    if (rc == 0) {
        fixture_sql(
            f, "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, note TEXT, revision INTEGER NOT NULL DEFAULT 1)");
        sqlite3_trace_v2(outbox_db(f->ob), SQLITE_TRACE_STMT, note_statement, NULL);
    }
    return rc;
}

static int upsert(struct fixture *f, int i)
{
    char id[16];
    snprintf(id, sizeof id, "o-%d", i % 4);
    const outbox_value row[] = {outbox_text("id", id), outbox_real("total", i), outbox_text("note", "by the door")};
    return outbox_upsert(f->ob, "orders", row, 3, OUTBOX_ANY_REVISION, NULL, NULL);
}

static int upsert_json(struct fixture *f, int i)
{
    char row[100];
    snprintf(row, sizeof row, "{\"id\":\"o-%d\",\"total\":%d.25,\"note\":\"a \\\"quote\\\"\"}", i % 4, i);
    return outbox_upsert_json(f->ob, "orders", row, -1, OUTBOX_ANY_REVISION, NULL, NULL);
}

static int delete_one(struct fixture *f, int i)
{
    char id[16];
    snprintf(id, sizeof id, "gone-%d", i);
    return outbox_delete(f->ob, "orders", id, OUTBOX_ANY_REVISION, NULL);
}

static int emit(struct fixture *f, int i)
{
    char key[16];
    snprintf(key, sizeof key, "k-%d", i);
    return outbox_emit(f->ob, "mail", key, "{\"to\":\"ann\"}", -1, NULL, NULL);
}

/* data_version: whether the settings may have changed. In the caller's transaction a savepoint, so that a failed call
 * leaves nothing; the row is read once more, because triggers and affinity decide what it became. */
static const struct warm {
    const char *name;
    int (*call)(struct fixture *, int i);
    const char *joined, *alone;
} calls[] = {
    {"upsert", upsert,
     "PRAGMA, SELECT orders, SAVEPOINT outbox, UPDATE orders, SELECT orders, INSERT change_log, INSERT outbox,"
     " RELEASE outbox",
     "BEGIN, PRAGMA, SELECT orders, UPDATE orders, SELECT orders, INSERT change_log, INSERT outbox, COMMIT"},
    {"upsert_json", upsert_json,
     "PRAGMA, SELECT orders, SAVEPOINT outbox, UPDATE orders, SELECT orders, INSERT change_log, INSERT outbox,"
     " RELEASE outbox",
     "BEGIN, PRAGMA, SELECT orders, UPDATE orders, SELECT orders, INSERT change_log, INSERT outbox, COMMIT"},
    {"delete", delete_one,
     "PRAGMA, SELECT orders, SAVEPOINT outbox, DELETE orders, INSERT change_log, INSERT outbox, RELEASE outbox",
     "BEGIN, PRAGMA, SELECT orders, DELETE orders, INSERT change_log, INSERT outbox, COMMIT"},
    {"emit", emit, "PRAGMA, SAVEPOINT outbox, INSERT change_log, INSERT outbox, RELEASE outbox",
     "BEGIN, PRAGMA, INSERT change_log, INSERT outbox, COMMIT"},
};

enum { WARM_UP = 8, COUNTED = 16 };

/* Calls it until it is warm, then counts: what was asked of the allocator, and of SQLite. */
static void count(struct fixture *f, const struct warm *w, long *requests)
{
    for (int i = 0; i < WARM_UP + COUNTED; i++) {
        if (i == WARM_UP)
            alloc_arm(PLENTY, false);
        steps = 0;
        statements[0] = '\0';
        if (w->call(f, i) != OUTBOX_OK)
            fail_msg("%s: %s", w->name, outbox_errmsg(f->ob));
    }
    *requests = PLENTY - alloc_left;
    alloc_disarm();
}

static void fill(struct fixture *f)
{
    for (int i = 0; i < 4; i++)
        assert_int_equal(upsert(f, i), OUTBOX_OK);
    for (int i = 0; i < WARM_UP + COUNTED; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "INSERT INTO orders(id) VALUES ('gone-%d')", i);
        fixture_sql(f, sql);
    }
}

static void a_warm_call_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    fill(f);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        long requests;
        count(f, &calls[i], &requests);
        if (requests)
            fail_msg("%s: %ld requests for memory in %d calls", calls[i].name, requests, COUNTED);
    }
}

static int count_words(const char *text)
{
    int n = *text != '\0';
    for (; *text; text++)
        n += *text == ',';
    return n;
}

static void a_call_runs_the_fewest_statements_and_steps_each_once(void **state)
{
    struct fixture *f = *state;
    for (int joined = 0; joined < 2; joined++) {
        fill(f);
        if (joined)
            fixture_sql(f, "BEGIN");
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            long requests;
            count(f, &calls[i], &requests);
            assert_string_equal(statements, joined ? calls[i].joined : calls[i].alone);
            assert_int_equal(steps, count_words(statements));
        }
    }
    fixture_sql(f, "COMMIT");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_warm_call_allocates_nothing),
        TEST(a_call_runs_the_fewest_statements_and_steps_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
