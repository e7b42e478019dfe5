/* capture_test.c — what plain SQL does to a captured table is logged as the library would have. */
#include "fixture.h"

#define TABLE                                                                                                          \
    "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, note, email TEXT UNIQUE,"                                    \
    " revision INTEGER NOT NULL DEFAULT 1, twice AS (total * 2))"

static int setup(void **state)
{
    int rc = fixture_setup(state);
    struct fixture *f = *state;
    if (rc == 0) {
        fixture_sql(f, TABLE);
        fixture_sql(f, "PRAGMA trusted_schema = OFF");
        assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    }
    return rc;
}

static const char *log_of(struct fixture *f)
{
    return fixture_log(f, "op || ' ' || key || ' ' || revision");
}

static void assert_sql_fails(struct fixture *f, const char *sql, const char *words)
{
    char *error = NULL;
    assert_int_equal(sqlite3_exec(outbox_db(f->ob), sql, NULL, NULL, &error), SQLITE_CONSTRAINT_TRIGGER);
    if (!strstr(error, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error);
    sqlite3_free(error);
}

static void a_plain_statement_is_logged_and_owed(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO orders(id, total) VALUES ('a', 19.99)");
    fixture_sql(f, "UPDATE orders SET total = 0.1");
    fixture_sql(f, "DELETE FROM orders");
    assert_string_equal(log_of(f), "insert a 1 update a 2 delete a 3");
    assert_string_equal(fixture_text(f, "SELECT before || payload FROM change_log WHERE op = 'update'"),
                        "{\"id\":\"a\",\"total\":19.99,\"note\":null,\"email\":null,\"revision\":1,\"twice\":39.98}"
                        "{\"id\":\"a\",\"total\":0.1,\"note\":null,\"email\":null,\"revision\":2,\"twice\":0.2}");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox"), 3);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log WHERE topic = 'orders' AND table_name = 'orders'"),
                     3);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"
                                    " WHERE abs(created_at / 1000000 - strftime('%s', 'now')) < 60"),
                     3);
}

static void the_revision_is_kept_in_the_row(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('a')");
    fixture_sql(f, "UPDATE orders SET total = 1; UPDATE orders SET total = 2");
    assert_int_equal(fixture_int(f, "SELECT revision FROM orders"), 3);
    fixture_sql(f, "UPDATE orders SET total = 3, revision = 9; UPDATE orders SET revision = 12");
    fixture_sql(f, "UPDATE orders SET total = 4, revision = 2");
    assert_string_equal(log_of(f), "insert a 1 update a 2 update a 3 update a 9 update a 12 update a 13");
    assert_int_equal(fixture_int(f, "SELECT revision FROM orders"), 13);
}

static void an_update_that_changes_nothing_is_no_event(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO orders(id, total, note) VALUES ('a', 1, 1)");
    fixture_sql(f, "UPDATE orders SET total = total, note = 1");
    assert_string_equal(log_of(f), "insert a 1");
    fixture_sql(f, "UPDATE orders SET note = 1.0");
    assert_string_equal(log_of(f), "insert a 1 update a 2");
}

static void a_reinsert_goes_on_from_the_delete(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('a'); UPDATE orders SET total = 1; DELETE FROM orders");
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('a')");
    assert_string_equal(log_of(f), "insert a 1 update a 2 delete a 3 insert a 4");
    assert_int_equal(fixture_int(f, "SELECT revision FROM orders"), 4);
}

static void another_key_is_a_delete_and_an_insert(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('a'); UPDATE orders SET total = 1; UPDATE orders SET id = 'b'");
    assert_string_equal(log_of(f), "insert a 1 update a 2 delete a 3 insert b 1");
    assert_int_equal(fixture_int(f, "SELECT revision FROM orders"), 1);
}

/* By its key and by another unique column, with delete triggers fired by SQLite and without. */
static void a_replace_is_a_delete_of_each_row_displaced_and_an_insert(void **state)
{
    struct fixture *f = *state;
    static const char *const recursive[] = {"PRAGMA recursive_triggers = OFF", "PRAGMA recursive_triggers = ON"};
    for (int i = 0; i < 2; i++) {
        fixture_sql(f, recursive[i]);
        fixture_sql(f, "INSERT INTO orders(id, email) VALUES ('a', 'x'), ('b', 'y')");
        fixture_sql(f, "DELETE FROM change_log; REPLACE INTO orders(id, email) VALUES ('b', 'x')");
        assert_string_equal(fixture_text(f, "SELECT group_concat(x, ' ') FROM (SELECT op || ' ' || key || ' ' || "
                                            "revision AS x FROM change_log ORDER BY op, key)"),
                            "delete a 2 delete b 2 insert b 3");
        assert_string_equal(fixture_text(f, "SELECT op FROM change_log ORDER BY seq DESC"), "insert");
        fixture_sql(f, "DELETE FROM orders; DELETE FROM change_log");
    }
}

static void an_update_or_replace_logs_what_it_displaces(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO orders(id, email) VALUES ('a', 'x'), ('b', 'y')");
    fixture_sql(f, "UPDATE OR REPLACE orders SET email = 'x' WHERE id = 'b'");
    assert_string_equal(log_of(f), "insert a 1 insert b 1 delete a 2 update b 2");
}

static void what_is_ignored_or_upserted_displaces_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO orders(id, email) VALUES ('a', 'x')");
    fixture_sql(f, "INSERT OR IGNORE INTO orders(id, email) VALUES ('b', 'x')");
    fixture_sql(f, "INSERT INTO orders(id, email) VALUES ('a', 'x') ON CONFLICT DO UPDATE SET total = 5");
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('c')");
    assert_string_equal(log_of(f), "insert a 1 update a 2 insert c 1");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox_displaced"), 0);
}

static void the_library_makes_one_event_of_its_own_write(void **state)
{
    struct fixture *f = *state;
    outbox_write_options o = {.size = sizeof o, .topic = "t", .ordering_key = "k", .headers = "{\"h\":\"1\"}"};
    int64_t revision = 0;
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"total\":1}", -1, 0, &o, &revision));
    assert_int_equal(revision, 1);
    assert_int_equal(outbox_last_seq(f->ob), 1);
    assert_string_equal(outbox_last_key(f->ob), "a");
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"total\":2}", -1, 1, NULL, &revision));
    assert_int_equal(revision, 2);
    assert_ok(f, outbox_delete(f->ob, "orders", "a", 2, NULL));
    assert_int_equal(outbox_last_seq(f->ob), 3);
    assert_string_equal(log_of(f), "insert a 1 update a 2 delete a 3");
    assert_string_equal(fixture_text(f, "SELECT topic || ordering_key || headers FROM change_log WHERE seq = 1"),
                        "tk{\"h\":\"1\"}");
}

static void released_it_is_a_table_like_any_other(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_release(f->ob, "orders"));
    assert_ok(f, outbox_release(f->ob, "orders"));
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('a')");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 0);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'outbox_capture_*'"), 0);
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"b\"}", -1, 0, NULL, NULL));
    assert_string_equal(log_of(f), "insert b 1");
}

static void an_outer_or_ignore_does_not_swallow_the_log(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE UNIQUE INDEX one_event_a_key ON change_log(key)");
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('a')");
    assert_sql_fails(f, "UPDATE OR IGNORE orders SET total = 1", "change_log did not take the event");
    assert_string_equal(fixture_text(f, "SELECT total FROM orders"), "NULL");
}

/* Bytes of every kind of sequence, whole and cut, over the edges of the windows in which SQL takes long text apart. */
static void malformed_text_is_repaired_as_the_library_does(void **state)
{
    struct fixture *f = *state;
    static const unsigned char bytes[] = {0x00, 0x0a, 0x22, 0x41, 0x5c, 0x7f, 0x80, 0x85, 0x8f, 0xa0, 0xa8, 0xbf, 0xc1,
                                          0xc2, 0xc3, 0xdf, 0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
    sqlite3_stmt *st;
    uint64_t state64 = 42;
    unsigned char text[2100];
    assert_int_equal(sqlite3_prepare_v2(outbox_db(f->ob), "INSERT INTO orders(id, note) VALUES (?1, CAST(?2 AS TEXT))",
                                        -1, &st, NULL),
                     SQLITE_OK);
    for (int i = 0; i < 200; i++) {
        char id[16], *payload;
        const char *row;
        int n = i % 20 ? i % 24 : (int)sizeof text - i;
        for (int k = 0; k < n; k++) {
            state64 = state64 * 6364136223846793005u + 1442695040888963407u;
            text[k] = bytes[(state64 >> 33) % sizeof bytes];
        }
        snprintf(id, sizeof id, "%d", i);
        sqlite3_bind_text(st, 1, id, -1, SQLITE_TRANSIENT);
        sqlite3_bind_blob(st, 2, text, n, SQLITE_TRANSIENT);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE);
        sqlite3_reset(st);
        assert_ok(f, outbox_get(f->ob, "orders", id, &row, NULL));
        sqlite3_stmt *log;
        assert_int_equal(sqlite3_prepare_v2(outbox_db(f->ob),
                                            "SELECT payload FROM change_log ORDER BY seq DESC LIMIT 1", -1, &log, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(log), SQLITE_ROW);
        payload = strdup((const char *)sqlite3_column_text(log, 0));
        sqlite3_finalize(log);
        assert_string_equal(payload, row);
        free(payload);
    }
    sqlite3_finalize(st);
}

/* What is more than a number or plain text takes another way, of each image and each statement. */
static void an_odd_value_is_in_every_image(void **state)
{
    struct fixture *f = *state;
    static const char *const recursive[] = {"PRAGMA recursive_triggers = OFF", "PRAGMA recursive_triggers = ON"};
    for (int i = 0; i < 2; i++) {
        fixture_sql(f, recursive[i]);
        fixture_sql(f, "INSERT INTO orders(id, note) VALUES ('a', 'é'), ('b', x'00ff')");
        fixture_sql(f, "UPDATE orders SET note = 1 WHERE id = 'a'; UPDATE orders SET note = char(10) WHERE id = 'a'");
        fixture_sql(f, "UPDATE orders SET id = 'c' WHERE id = 'a'; REPLACE INTO orders(id) VALUES ('b')");
        fixture_sql(f, "DELETE FROM orders WHERE id = 'c'");
        assert_string_equal(
            fixture_text(f, "SELECT group_concat(x, ' ') FROM (SELECT op || ' ' || coalesce(substr(before, 24, "
                            "instr(substr(before, 24), ',\"email') - 1), '-') || ' ' || coalesce(substr(payload, 24, "
                            "instr(substr(payload, 24), ',\"email') - 1), '-') AS x FROM change_log ORDER BY seq)"),
            "insert - \"note\":\"é\" insert - \"note\":{\"$base64\":\"AP8=\"}"
            " update \"note\":\"é\" \"note\":1 update \"note\":1 \"note\":\"\\n\""
            " delete \"note\":\"\\n\" - insert - \"note\":\"\\n\""
            " delete \"note\":{\"$base64\":\"AP8=\"} - insert - \"note\":null delete \"note\":\"\\n\" -");
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox_odd"), 0);
        fixture_sql(f, "DELETE FROM orders; DELETE FROM change_log");
    }
}

/* Quotes, and values that their column's type does not lead one to expect. */
static void what_a_column_may_hold_is_written(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE t(id INTEGER PRIMARY KEY, i INTEGER, r REAL, x TEXT, n NUMERIC,"
                   " revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_capture(f->ob, "t", NULL));
    fixture_sql(f, "INSERT INTO t(id, i, r, x, n) VALUES (1, 1.5, 'a', x'01', 'b'), (2, 'c', 2, 3, 4.5),"
                   " (3, NULL, NULL, '{\"a\":\"\\\"}', NULL)");
    assert_string_equal(
        fixture_log(f, "payload"),
        "{\"id\":1,\"i\":1.5,\"r\":\"a\",\"x\":{\"$base64\":\"AQ==\"},\"n\":\"b\",\"revision\":1} "
        "{\"id\":2,\"i\":\"c\",\"r\":2.0,\"x\":\"3\",\"n\":4.5,\"revision\":1} "
        "{\"id\":3,\"i\":null,\"r\":null,\"x\":\"{\\\"a\\\":\\\"\\\\\\\"}\",\"n\":null,\"revision\":1}");
}

/* The triggers that look after keys run only where a statement names one: by whichever name. */
static void a_key_set_by_another_name_is_another_key(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "PRAGMA foreign_keys = ON; CREATE TABLE parents(id INTEGER PRIMARY KEY);"
                   " CREATE TABLE t(id INTEGER PRIMARY KEY REFERENCES parents ON UPDATE CASCADE, a,"
                   " revision INTEGER NOT NULL DEFAULT 1); INSERT INTO parents VALUES (1), (2), (3), (4)");
    assert_ok(f, outbox_capture(f->ob, "t", NULL));
    fixture_sql(f,
                "INSERT INTO t(id) VALUES (1); UPDATE t SET rowid = 2; UPDATE t SET _rowid_ = 3; UPDATE t SET oid = 4");
    fixture_sql(f, "UPDATE parents SET id = 5 WHERE id = 4; UPDATE t SET (a, ID) = (1, 1)");
    assert_string_equal(log_of(f), "insert 1 1 delete 1 2 insert 2 1 delete 2 2 insert 3 1 delete 3 2 insert 4 1"
                                   " delete 4 2 insert 5 1 delete 5 2 insert 1 3");
}

/* A generated column is set by another's name. */
static void what_a_generated_column_displaces_is_logged(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE t(id TEXT PRIMARY KEY, a, b AS (a / 10) UNIQUE, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_capture(f->ob, "t", NULL));
    fixture_sql(f, "INSERT INTO t(id, a) VALUES ('x', 10), ('y', 20); UPDATE OR REPLACE t SET a = 11 WHERE id = 'y'");
    assert_string_equal(log_of(f), "insert x 1 insert y 1 delete x 2 update y 2");
}

/* A trigger's program allocates for all that it may do, each time it runs, and a temporary table takes 90 KiB. Beyond
 * 128 KiB glibc gives memory back to the system after each statement, and asks for it again: 20 to 100 µs. */
static void a_plain_row_needs_little_memory(void **state)
{
    struct fixture *f = *state;
    static const char *const sql[] = {"INSERT INTO t(id, customer, total) VALUES (2, 'c-1', 19.99)",
                                      "UPDATE t SET total = total + 1 WHERE id = 2", "DELETE FROM t WHERE id = 2"};
    fixture_sql(f, "CREATE TABLE t(id INTEGER PRIMARY KEY, customer TEXT, status TEXT, total REAL, note TEXT,"
                   " revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_capture(f->ob, "t", NULL));
    fixture_sql(f, "BEGIN; INSERT INTO t(id) VALUES (1); UPDATE t SET note = 'x'");
    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) {
        sqlite3_int64 used, peak;
        sqlite3_stmt *st;
        assert_int_equal(sqlite3_prepare_v2(outbox_db(f->ob), sql[i], -1, &st, NULL), SQLITE_OK);
        sqlite3_status64(SQLITE_STATUS_MEMORY_USED, &used, &peak, 1);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE);
        sqlite3_status64(SQLITE_STATUS_MEMORY_USED, &(sqlite3_int64){0}, &peak, 0);
        sqlite3_finalize(st);
        assert_in_range(peak - used, 1, 120 * 1024);
    }
    fixture_sql(f, "COMMIT");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_plain_statement_is_logged_and_owed),
        TEST(the_revision_is_kept_in_the_row),
        TEST(an_update_that_changes_nothing_is_no_event),
        TEST(a_reinsert_goes_on_from_the_delete),
        TEST(another_key_is_a_delete_and_an_insert),
        TEST(a_replace_is_a_delete_of_each_row_displaced_and_an_insert),
        TEST(an_update_or_replace_logs_what_it_displaces),
        TEST(what_is_ignored_or_upserted_displaces_nothing),
        TEST(the_library_makes_one_event_of_its_own_write),
        TEST(released_it_is_a_table_like_any_other),
        TEST(an_outer_or_ignore_does_not_swallow_the_log),
        TEST(malformed_text_is_repaired_as_the_library_does),
        TEST(an_odd_value_is_in_every_image),
        TEST(what_a_column_may_hold_is_written),
        TEST(a_key_set_by_another_name_is_another_key),
        TEST(what_a_generated_column_displaces_is_logged),
        TEST(a_plain_row_needs_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
