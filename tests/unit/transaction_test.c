/* transaction_test.c — joining, failing and aborting: nothing half done, nobody fooled. */
#include <pthread.h>
#include <sys/wait.h>

#include "fixture.h"

static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state,
                    "CREATE TABLE t(id TEXT PRIMARY KEY, n INT CHECK (n < 100), revision INTEGER NOT NULL DEFAULT 1)");
    return rc;
}

static int put(struct fixture *f, const char *id, int64_t n)
{
    outbox_value row[] = {outbox_text("id", id), outbox_int("n", n)};
    return outbox_upsert(f->ob, "t", row, 2, OUTBOX_ANY_REVISION, NULL, NULL);
}

static void assert_empty(struct fixture *f)
{
    assert_int_equal(
        fixture_int(
            f, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM change_log) + (SELECT count(*) FROM outbox)"),
        0);
}

static void a_rolled_back_transaction_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, put(f, "a", 1));
    assert_ok(f, outbox_emit(f->ob, "t", NULL, "1", -1, NULL, NULL));
    assert_ok(f, outbox_rollback(f->ob));
    assert_empty(f);
    assert_ok(f, put(f, "a", 1));
    assert_int_equal(outbox_last_seq(f->ob), 1); /* a rollback leaves no hole in seq */
    fixture_sql(f, "BEGIN");
    assert_ok(f, outbox_delete(f->ob, "t", "a", 1, NULL));
    fixture_sql(f, "ROLLBACK");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 1);
}

static void a_savepoint_rolled_back_takes_its_events_along(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "BEGIN");
    assert_ok(f, put(f, "a", 1));
    fixture_sql(f, "SAVEPOINT s");
    assert_ok(f, put(f, "b", 1));
    fixture_sql(f, "ROLLBACK TO s; COMMIT");
    assert_string_equal(fixture_log(f, "key"), "a");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox"), 1);
}

static void a_failed_call_leaves_the_transaction_as_it_was(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, put(f, "a", 1));
    assert_code(f, OUTBOX_CONSTRAINT, put(f, "b", 100));
    assert_non_null(strstr(outbox_errmsg(f->ob), "table t, key b"));
    assert_code(f, OUTBOX_CONSTRAINT, put(f, "a", 100));
    assert_ok(f, put(f, "c", 1));
    assert_ok(f, outbox_commit(f->ob));
    assert_string_equal(fixture_log(f, "seq||key"), "1a 2c");
    assert_int_equal(fixture_int(f, "SELECT sum(n) FROM t"), 2);
}

/* The domain row is written before the log: if the log can't be, the row must go too. */
static void a_log_that_fails_takes_the_row_back(void **state)
{
    struct fixture *f = *state;
    fixture_sql(
        f, "CREATE TEMP TRIGGER no BEFORE INSERT ON main.outbox WHEN NEW.seq = 2 BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, put(f, "a", 1));
    assert_code(f, OUTBOX_CONSTRAINT, put(f, "b", 1));
    assert_code(f, OUTBOX_CONSTRAINT, outbox_delete(f->ob, "t", "a", 1, NULL));
    assert_code(f, OUTBOX_CONSTRAINT, outbox_emit(f->ob, "x", NULL, "1", -1, NULL, NULL));
    assert_ok(f, outbox_commit(f->ob));
    assert_code(f, OUTBOX_CONSTRAINT, put(f, "b", 1));
    assert_string_equal(fixture_text(f, "SELECT group_concat(id) FROM t"), "a");
    assert_string_equal(fixture_log(f, "key"), "a");
}

static void begin_commit_rollback_in_the_wrong_place(void **state)
{
    struct fixture *f = *state;
    assert_code(f, OUTBOX_MISUSE, outbox_commit(f->ob));
    assert_ok(f, outbox_rollback(f->ob));
    assert_ok(f, outbox_begin(f->ob));
    assert_code(f, OUTBOX_MISUSE, outbox_begin(f->ob));
    assert_code(f, OUTBOX_MISUSE, outbox_migrate(f->ob));
    assert_ok(f, outbox_commit(f->ob));
}

static void a_deferred_foreign_key_fails_the_commit_whole(void **state)
{
    struct fixture *f = *state;
    fixture_sql(
        f,
        "CREATE TABLE c(id TEXT PRIMARY KEY, t TEXT REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED, revision INTEGER NOT NULL DEFAULT 1)");
    assert_code(f, OUTBOX_CONSTRAINT,
                outbox_upsert_json(f->ob, "c", "{\"id\":\"c\",\"t\":\"none\"}", -1, 0, NULL, NULL));
    assert_int_equal(sqlite3_get_autocommit(outbox_db(f->ob)), 1);
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, outbox_upsert_json(f->ob, "c", "{\"id\":\"c\",\"t\":\"none\"}", -1, 0, NULL, NULL));
    assert_code(f, OUTBOX_CONSTRAINT, outbox_commit(f->ob));
    assert_int_equal(sqlite3_get_autocommit(outbox_db(f->ob)), 1);
    assert_empty(f);
}

/* SQLite ends the transaction itself: nothing later may slip into a transaction of its own. */
static void assert_aborted_until_rolled_back(struct fixture *f)
{
    assert_code(f, OUTBOX_ABORTED, put(f, "later", 1));
    assert_code(f, OUTBOX_ABORTED, outbox_emit(f->ob, "x", NULL, "1", -1, NULL, NULL));
    assert_code(f, OUTBOX_ABORTED, outbox_delete(f->ob, "t", "a", 1, NULL));
}

static void on_conflict_rollback_aborts_the_transaction(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TRIGGER r BEFORE INSERT ON t WHEN NEW.n = 7 BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END");
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, put(f, "a", 1));
    assert_code(f, OUTBOX_ABORTED, put(f, "b", 7));
    assert_non_null(strstr(outbox_errmsg(f->ob), "all of it"));
    assert_aborted_until_rolled_back(f);
    assert_code(f, OUTBOX_ABORTED, outbox_commit(f->ob));
    assert_empty(f);
    assert_ok(f, outbox_begin(f->ob));
    assert_code(f, OUTBOX_ABORTED, put(f, "b", 7));
    assert_ok(f, outbox_rollback(f->ob));
    assert_ok(f, put(f, "a", 1));
    /* The application's own BEGIN, and a new one after it. */
    fixture_sql(f, "BEGIN");
    assert_code(f, OUTBOX_ABORTED, put(f, "b", 7));
    assert_aborted_until_rolled_back(f);
    fixture_sql(f, "BEGIN");
    assert_ok(f, put(f, "c", 1));
    fixture_sql(f, "COMMIT");
    assert_string_equal(fixture_log(f, "key"), "a c");
    /* A write that is its own transaction says what went wrong instead. */
    assert_code(f, OUTBOX_CONSTRAINT, put(f, "b", 7));
}

static void a_rollback_behind_our_back_is_noticed(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, put(f, "a", 1));
    fixture_sql(f, "ROLLBACK"); /* as SQLite itself does when an application's own statement hits a full disk */
    assert_aborted_until_rolled_back(f);
    assert_code(f, OUTBOX_ABORTED, outbox_commit(f->ob));
    assert_empty(f);
}

static void a_full_database_says_full_or_aborted(void **state)
{
    struct fixture *f = *state;
    char text[3000];
    memset(text, 'x', sizeof text);
    int64_t pages = fixture_int(f, "PRAGMA page_count");
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)pages + 3);
    fixture_sql(f, sql);
    outbox_write_options blob = {.size = sizeof blob, .flags = OUTBOX_BLOB};
    int code;
    int64_t n = 0;
    while ((code = outbox_emit(f->ob, "t", NULL, text, sizeof text, &blob, NULL)) == OUTBOX_OK)
        n++;
    assert_int_equal(code, OUTBOX_FULL);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), n);
    assert_ok(f, outbox_begin(f->ob));
    code = outbox_emit(f->ob, "t", NULL, text, sizeof text, &blob, NULL);
    assert_true(code == OUTBOX_FULL || code == OUTBOX_ABORTED);
    assert_ok(f, outbox_rollback(f->ob));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), n);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox"), n);
    fixture_sql(f, "PRAGMA max_page_count = 100000");
    assert_ok(f, outbox_emit(f->ob, "t", NULL, text, sizeof text, &blob, NULL));
    assert_int_equal(outbox_last_seq(f->ob), n + 1);
}

static void a_stale_read_is_busy_at_once_and_says_so(void **state)
{
    struct fixture *f = *state;
    outbox *other;
    assert_int_equal(outbox_open(f->path, NULL, &other), OUTBOX_OK);
    fixture_sql(f, "BEGIN");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM t"), 0);
    assert_int_equal(outbox_emit(other, "t", NULL, "1", -1, NULL, NULL), OUTBOX_OK);
    assert_code(f, OUTBOX_BUSY, put(f, "a", 1));
    assert_non_null(strstr(outbox_errmsg(f->ob), "BEGIN IMMEDIATE"));
    fixture_sql(f, "ROLLBACK");
    assert_ok(f, put(f, "a", 1));
    outbox_close(other);
}

/* Called by SQLite before each statement of ours: when the row is read, somebody else tries to commit. */
static int commit_meanwhile(unsigned type, void *arg, void *st, void *text)
{
    (void)type, (void)text;
    if (strstr(sqlite3_sql(st), "FROM main.\"t\""))
        sqlite3_exec(arg, "INSERT INTO t(id) VALUES ('meanwhile')", NULL, NULL, NULL);
    return 0;
}

/* The application's BEGIN has no lock yet. Were the row read before the lock is taken, a commit in between would make
 * the write fail at once. */
static void a_deferred_transaction_takes_the_lock_before_it_reads(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_ok(f, put(f, "a", 1));
    fixture_sql(f, "BEGIN");
    sqlite3_trace_v2(outbox_db(f->ob), SQLITE_TRACE_STMT, commit_meanwhile, other);
    assert_ok(f, put(f, "a", 2));
    sqlite3_trace_v2(outbox_db(f->ob), 0, NULL, NULL);
    fixture_sql(f, "COMMIT");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM t"), 1);
    sqlite3_close(other);
}

static void a_locked_database_is_busy_after_the_timeout(void **state)
{
    struct fixture *f = *state;
    outbox *other;
    outbox_open_options o = {.size = sizeof o, .busy_timeout_ms = -1};
    assert_int_equal(outbox_open(f->path, &o, &other), OUTBOX_OK);
    assert_ok(f, outbox_begin(f->ob));
    assert_int_equal(outbox_emit(other, "t", NULL, "1", -1, NULL, NULL), OUTBOX_BUSY);
    assert_int_equal(outbox_begin(other), OUTBOX_BUSY);
    assert_ok(f, outbox_commit(f->ob));
    assert_int_equal(outbox_emit(other, "t", NULL, "1", -1, NULL, NULL), OUTBOX_OK);
    outbox_close(other);
}

/* In the child nobody may close the parent's connection; a leak checker finds it here. */
static sqlite3 *volatile parents;

static void a_handle_after_fork_is_misuse(void **state)
{
    struct fixture *f = *state;
    parents = outbox_db(f->ob);
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, put(f, "a", 1));
    pid_t child = fork();
    if (child == 0) {
        int code = put(f, "b", 1);
        int next = outbox_commit(f->ob);
        outbox_close(f->ob);
        _exit(code == OUTBOX_MISUSE && next == OUTBOX_MISUSE ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* The parent still holds its locks: another process can't write. */
    child = fork();
    if (child == 0) {
        sqlite3 *db;
        if (sqlite3_open(f->path, &db) != SQLITE_OK)
            _exit(2);
        int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        sqlite3_close(db);
        _exit(rc == SQLITE_BUSY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_ok(f, outbox_commit(f->ob));
    assert_string_equal(fixture_log(f, "key"), "a");
}

enum { WRITERS = 4, KEYS = 25, ROUNDS = 60 };

/* Read, add one, write if nobody was faster, else again. */
static int add_one(outbox *ob, const char *key)
{
    for (;;) {
        const char *row;
        int64_t revision = 0, n = 0;
        int code = outbox_get(ob, "t", key, &row, &revision);
        if (code == OUTBOX_OK)
            n = strtoll(strstr(row, "\"n\":") + 4, NULL, 10);
        else if (code != OUTBOX_NOT_FOUND)
            return code;
        outbox_value values[] = {outbox_text("id", key), outbox_int("n", n + 1)};
        code = outbox_upsert(ob, "t", values, 2, revision, NULL, NULL);
        if (code != OUTBOX_CONFLICT)
            return code;
    }
}

static int write_rounds(const char *path)
{
    outbox *ob;
    outbox_open_options o = {.size = sizeof o, .busy_timeout_ms = 60000, .synchronous = OUTBOX_SYNC_NORMAL};
    if (outbox_open(path, &o, &ob) != OUTBOX_OK)
        return 1;
    for (int i = 0; i < ROUNDS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i % KEYS);
        if (add_one(ob, key) != OUTBOX_OK) {
            fprintf(stderr, "writer: %s\n", outbox_errmsg(ob));
            return 2;
        }
    }
    outbox_close(ob);
    return 0;
}

static void four_processes_lose_no_update(void **state)
{
    struct fixture *f = *state;
    pid_t children[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        if ((children[i] = fork()) == 0)
            _exit(write_rounds(f->path));
    for (int i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(fixture_int(f, "SELECT sum(n) FROM t"), WRITERS * ROUNDS);
    assert_int_equal(fixture_int(f, "SELECT sum(revision) FROM t"), WRITERS * ROUNDS);
    /* seq has no hole; each key's revisions are 1, 2, 3 … in seq order. */
    assert_int_equal(fixture_int(f, "SELECT max(seq) FROM change_log"), WRITERS * ROUNDS);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), WRITERS * ROUNDS);
    assert_int_equal(
        fixture_int(f, "SELECT count(*) FROM (SELECT revision, row_number() OVER (PARTITION BY key ORDER BY seq) AS nth"
                       " FROM change_log) WHERE revision <> nth"),
        0);
}

/* UPDATE … RETURNING with rows left: its end is the commit, so a write meanwhile can only join. */
static sqlite3_stmt *half_stepped(struct fixture *f)
{
    sqlite3_stmt *st;
    fixture_sql(f, "CREATE TABLE u(n); INSERT INTO u VALUES (1), (2)");
    assert_int_equal(sqlite3_prepare_v2(outbox_db(f->ob), "UPDATE u SET n = n + 10 RETURNING n", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    return st;
}

static void a_statement_that_writes_is_joined(void **state)
{
    struct fixture *f = *state;
    sqlite3_stmt *st = half_stepped(f);
    assert_ok(f, put(f, "a", 1));
    assert_code(f, OUTBOX_CONSTRAINT, put(f, "b", 100));
    assert_int_equal(sqlite3_step(st), SQLITE_ROW); /* unharmed */
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
    sqlite3_finalize(st);
    assert_string_equal(fixture_log(f, "key"), "a");
    assert_int_equal(fixture_int(f, "SELECT sum(n) FROM u"), 23);
    assert_ok(f, put(f, "b", 1));
}

/* No savepoint can be had there: a row without its event must take everything with it. */
static void half_a_write_beside_such_a_statement_ends_it(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END");
    sqlite3_stmt *st = half_stepped(f);
    assert_code(f, OUTBOX_ABORTED, put(f, "a", 1));
    assert_int_not_equal(sqlite3_finalize(st), SQLITE_ROW);
    assert_empty(f);
    assert_int_equal(fixture_int(f, "SELECT sum(n) FROM u"), 3);
    assert_code(f, OUTBOX_ABORTED, put(f, "a", 1));
    assert_ok(f, outbox_rollback(f->ob));
    fixture_sql(f, "DROP TRIGGER no");
    assert_ok(f, put(f, "a", 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_rolled_back_transaction_leaves_no_trace),
        TEST(a_savepoint_rolled_back_takes_its_events_along),
        TEST(a_failed_call_leaves_the_transaction_as_it_was),
        TEST(a_log_that_fails_takes_the_row_back),
        TEST(begin_commit_rollback_in_the_wrong_place),
        TEST(a_deferred_foreign_key_fails_the_commit_whole),
        TEST(on_conflict_rollback_aborts_the_transaction),
        TEST(a_rollback_behind_our_back_is_noticed),
        TEST(a_full_database_says_full_or_aborted),
        TEST(a_stale_read_is_busy_at_once_and_says_so),
        TEST(a_deferred_transaction_takes_the_lock_before_it_reads),
        TEST(a_locked_database_is_busy_after_the_timeout),
        TEST(a_handle_after_fork_is_misuse),
        TEST(a_statement_that_writes_is_joined),
        TEST(half_a_write_beside_such_a_statement_ends_it),
        TEST(four_processes_lose_no_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
