/* schema_undone_test.c — a schema change that a rollback takes back leaves nothing of it in a handle that has seen it.
 *
 * The schema cookie goes back too, and the next change brings the same number again: it alone does not tell one schema
 * from the other.
 */
#include "orders.h"

static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state, "CREATE TABLE t(id TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
                            "CREATE TABLE u(id TEXT PRIMARY KEY, n, revision INTEGER NOT NULL DEFAULT 1)");
    return rc;
}

static int put(struct fixture *f, const char *json)
{
    return outbox_upsert_json(f->ob, "t", json, -1, OUTBOX_ANY_REVISION, NULL, NULL);
}

static void capture(struct fixture *f, const char *table)
{
    assert_ok(f, outbox_capture(f->ob, table, NULL));
}

/* How a schema change is taken back. */
static const struct undo {
    const char *begin, *undo;
} undoes[] = {
    {"BEGIN", "ROLLBACK"},
    {"BEGIN IMMEDIATE; SAVEPOINT one", "ROLLBACK TO one; COMMIT"},
    {"SAVEPOINT one", "ROLLBACK TO one; RELEASE one"},
};

static void a_capture_rolled_back_loses_no_event(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof undoes / sizeof *undoes; i++) {
        fixture_sql(f, undoes[i].begin);
        capture(f, "t");
        assert_ok(f, put(f, "{\"id\":\"x\"}"));
        fixture_sql(f, undoes[i].undo);
        capture(f, "u");
        assert_ok(f, put(f, "{\"id\":\"x\"}"));
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), i + 1);
        assert_int_equal(outbox_last_seq(f->ob), i + 1);
        assert_ok(f, outbox_release(f->ob, "u"));
    }
}

static void a_release_rolled_back_makes_no_event_twice(void **state)
{
    struct fixture *f = *state;
    capture(f, "t");
    for (size_t i = 0; i < sizeof undoes / sizeof *undoes; i++) {
        fixture_sql(f, undoes[i].begin);
        assert_ok(f, outbox_release(f->ob, "t"));
        assert_ok(f, put(f, "{\"id\":\"x\"}"));
        fixture_sql(f, undoes[i].undo);
        capture(f, "u");
        assert_ok(f, put(f, "{\"id\":\"x\"}"));
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), i + 1);
        assert_ok(f, outbox_release(f->ob, "u"));
    }
}

/* Leaves a handle that has seen the column status, and a table that has the column state in its place, by as many schema
 * changes. */
static void another_column_instead(struct fixture *f)
{
    fixture_sql(f, "BEGIN; ALTER TABLE t ADD COLUMN status TEXT");
    assert_ok(f, put(f, "{\"id\":\"x\"}"));
    fixture_sql(f, "ROLLBACK; ALTER TABLE t ADD COLUMN state TEXT DEFAULT 'new'");
}

static void a_column_rolled_back_is_in_no_payload(void **state)
{
    struct fixture *f = *state;
    another_column_instead(f);
    assert_ok(f, put(f, "{\"id\":\"x\"}"));
    assert_string_equal(fixture_log(f, "payload"), "{\"id\":\"x\",\"revision\":1,\"state\":\"new\"}");
}

static void a_column_that_took_its_place_can_be_written_and_read(void **state)
{
    struct fixture *f = *state;
    const char *row;
    another_column_instead(f);
    assert_refused(f, OUTBOX_INVALID, "has no column status", put(f, "{\"id\":\"x\",\"status\":\"s\"}"));
    assert_ok(f, put(f, "{\"id\":\"x\",\"state\":\"old\"}"));
    assert_ok(f, outbox_get(f->ob, "t", "x", &row, NULL));
    assert_string_equal(row, "{\"id\":\"x\",\"revision\":1,\"state\":\"old\"}");
}

static void a_capture_afterwards_is_of_the_table_as_it_is(void **state)
{
    struct fixture *f = *state;
    another_column_instead(f);
    capture(f, "t");
    fixture_sql(f, "INSERT INTO t(id) VALUES ('plain')");
    assert_string_equal(fixture_log(f, "payload"), "{\"id\":\"plain\",\"revision\":1,\"state\":\"new\"}");
}

static int capture_and_fail(outbox *ob, void *unused)
{
    (void)unused;
    int code = outbox_capture(ob, "t", NULL);
    if (code == OUTBOX_OK)
        code = outbox_upsert_json(ob, "t", "{\"id\":\"x\"}", -1, 0, NULL, NULL);
    return code == OUTBOX_OK ? OUTBOX_DONE : code;
}

static int capture_another(outbox *ob, void *unused)
{
    (void)unused;
    int code = outbox_capture(ob, "u", NULL);
    return code == OUTBOX_OK ? outbox_upsert_json(ob, "t", "{\"id\":\"x\"}", -1, 0, NULL, NULL) : code;
}

static void what_a_pool_undoes_is_undone_for_its_next_work(void **state)
{
    struct fixture *f = *state;
    outbox_pool *pool;
    assert_int_equal(outbox_pool_open(f->path, NULL, &pool), OUTBOX_OK);
    assert_int_equal(outbox_pool_run(pool, capture_and_fail, NULL), OUTBOX_DONE);
    assert_int_equal(outbox_pool_run(pool, capture_another, NULL), OUTBOX_OK);
    outbox_pool_close(pool);
    assert_string_equal(fixture_log(f, "table_name || op"), "tinsert");
}

/* The key read by the old table's rules may be refused before anything is asked of SQLite. */
static void a_key_is_read_by_the_rules_of_the_table_as_it_is(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE k(a TEXT, b TEXT, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(a, b));"
                   "INSERT INTO k VALUES ('a', 'b', 1)");
    assert_ok(f, outbox_get(f->ob, "k", "[\"a\",\"b\"]", NULL, NULL));
    fixture_sql(f, "DROP TABLE k; CREATE TABLE k(a TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
                   "INSERT INTO k VALUES ('a', 1)");
    assert_ok(f, outbox_get(f->ob, "k", "a", NULL, NULL));
    assert_ok(f, outbox_delete(f->ob, "k", "a", 1, NULL));
}

/* Interrupts once, where SQLite asks for the n-th time from now. */
static int interrupted_at;

static int interrupt_one(void *unused)
{
    (void)unused;
    return --interrupted_at == 0;
}

/* A change noticed and not yet acted upon must be noticed again; and a failed call leaves nothing, no transaction either. */
static void an_interrupt_while_looking_again_forgets_no_change(void **state)
{
    struct fixture *f = *state;
    int step = 1, runs = 0, code;
    do {
        fixture_sql(f, "BEGIN");
        capture(f, "t");
        assert_ok(f, put(f, "{\"id\":\"x\"}"));
        fixture_sql(f, "ROLLBACK");
        capture(f, "u");
        interrupted_at = step += 1 + step / 2;
        sqlite3_progress_handler(outbox_db(f->ob), 1, interrupt_one, NULL);
        code = put(f, "{\"id\":\"x\"}");
        sqlite3_progress_handler(outbox_db(f->ob), 0, NULL, NULL);
        assert_true(sqlite3_get_autocommit(outbox_db(f->ob)));
        if (code != OUTBOX_OK)
            assert_ok(f, put(f, "{\"id\":\"x\"}"));
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), ++runs);
        assert_ok(f, outbox_release(f->ob, "u"));
    } while (interrupted_at <= 0);
    assert_true(runs > 5);
}

static void a_temp_trigger_made_since_keeps_its_own_conflict_clause(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, put(f, "{\"id\":\"x\"}"));
    fixture_sql(f,
                "CREATE TEMP TABLE seen(id PRIMARY KEY);"
                "CREATE TEMP TRIGGER tt AFTER UPDATE ON main.t BEGIN INSERT OR IGNORE INTO seen VALUES (new.id); END");
    assert_ok(f, put(f, "{\"id\":\"x\"}"));
    assert_ok(f, put(f, "{\"id\":\"x\"}"));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM seen"), 1);
}

/* ---- Our own tables ---- */

static int emit(outbox *ob)
{
    return outbox_emit(ob, "a", NULL, "1", -1, NULL, NULL);
}

/* A plain database, and a handle attached to it. */
static sqlite3 *attach(struct fixture *f, outbox **ob)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/plain.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(outbox_attach(db, NULL, ob), OUTBOX_OK);
    return db;
}

static void assert_read_under_the_source_there_is(outbox *ob)
{
    sqlite3 *db = outbox_db(ob);
    outbox_reader *reader;
    const outbox_event *event;
    char sql[128];
    assert_int_equal(outbox_reader_open(ob, "c", NULL, &reader), OUTBOX_OK);
    assert_int_equal(outbox_reader_next(reader, 0, &event), OUTBOX_OK);
    snprintf(sql, sizeof sql, "SELECT value || '-1' = '%s' FROM outbox_meta WHERE name = 'source'", event->id);
    assert_int_equal(sql_int(db, sql), 1);
    outbox_reader_close(reader);
}

static void our_tables_rolled_back_leave_no_source_behind(void **state)
{
    outbox *ob;
    sqlite3 *db = attach(*state, &ob);
    sql_on(db, "BEGIN");
    sql_on(db, outbox_schema_sql());
    assert_int_equal(emit(ob), OUTBOX_OK);
    sql_on(db, "ROLLBACK; BEGIN");
    sql_on(db, outbox_schema_sql());
    sql_on(db, "COMMIT");
    assert_int_equal(emit(ob), OUTBOX_OK);
    assert_read_under_the_source_there_is(ob);
    outbox_close(ob);
    sqlite3_close(db);
}

static void our_tables_rolled_back_are_missed_in_words(void **state)
{
    static const char *const around[] = {"", "BEGIN"};
    outbox *ob;
    sqlite3 *db = attach(*state, &ob);
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        sql_on(db, "BEGIN");
        sql_on(db, outbox_schema_sql());
        assert_int_equal(emit(ob), OUTBOX_OK);
        sql_on(db, "ROLLBACK");
        sql_on(db, around[i]);
        assert_int_equal(emit(ob), OUTBOX_SCHEMA);
        assert_non_null(strstr(outbox_errmsg(ob), "has no outbox tables"));
        assert_int_equal(emit(ob), OUTBOX_SCHEMA);
    }
    outbox_close(ob);
    sqlite3_close(db);
}

/* Nor does data_version tell of what the connection itself has committed. */
static void our_tables_dropped_and_made_anew_are_another_source(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, emit(f->ob));
    fixture_sql(f, "PRAGMA foreign_keys = OFF; DROP VIEW outbox_events");
    static const char *const tables[] = {"change_log",        "outbox",           "consumer_offsets",
                                         "failed_deliveries", "outbox_meta",      "failed_attempts",
                                         "outbox_audit",      "outbox_displaced", "outbox_odd"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS %s", tables[i]);
        fixture_sql(f, sql);
    }
    assert_ok(f, outbox_migrate(f->ob));
    assert_ok(f, emit(f->ob));
    assert_read_under_the_source_there_is(f->ob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_capture_rolled_back_loses_no_event, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_release_rolled_back_makes_no_event_twice, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_column_rolled_back_is_in_no_payload, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_column_that_took_its_place_can_be_written_and_read, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_capture_afterwards_is_of_the_table_as_it_is, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_a_pool_undoes_is_undone_for_its_next_work, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_key_is_read_by_the_rules_of_the_table_as_it_is, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_interrupt_while_looking_again_forgets_no_change, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_temp_trigger_made_since_keeps_its_own_conflict_clause, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(our_tables_rolled_back_leave_no_source_behind, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(our_tables_rolled_back_are_missed_in_words, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(our_tables_dropped_and_made_anew_are_another_source, setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
