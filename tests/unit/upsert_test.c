/* upsert_test.c — writing rows: revisions, images, events, and that a failed call leaves nothing. */
#include "orders.h"

static outbox_value order[] = {{0}, {0}};

static int put(struct fixture *f, const char *id, double total, int64_t expected, int64_t *revision)
{
    order[0] = outbox_text("id", id);
    order[1] = outbox_real("total", total);
    return outbox_upsert(f->ob, "orders", order, 2, expected, NULL, revision);
}

static void insert_update_delete_rise_by_one(void **state)
{
    struct fixture *f = *state;
    int64_t revision = 0;
    assert_ok(f, put(f, "o-1", 42.5, 0, &revision));
    assert_int_equal(revision, 1);
    assert_ok(f, put(f, "o-1", 43, 1, &revision));
    assert_int_equal(revision, 2);
    assert_ok(f, outbox_delete(f->ob, "orders", "o-1", 2, NULL));
    assert_ok(f, put(f, "o-1", 1, 0, &revision));
    assert_int_equal(revision, 4);
    assert_string_equal(fixture_log(f, "seq||op||revision"), "1insert1 2update2 3delete3 4insert4");
    assert_string_equal(fixture_log(f, "ifnull(json_extract(before,'$.total'),'-')"), "- 42.5 43.0 -");
    assert_string_equal(fixture_log(f, "ifnull(payload,'-')"),
                        "{\"id\":\"o-1\",\"total\":42.5,\"note\":\"-\",\"revision\":1} "
                        "{\"id\":\"o-1\",\"total\":43.0,\"note\":\"-\",\"revision\":2} - "
                        "{\"id\":\"o-1\",\"total\":1.0,\"note\":\"-\",\"revision\":4}");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox_events"), 4);
}

static void stale_revision_conflicts(void **state)
{
    struct fixture *f = *state;
    int64_t revision = 77;
    assert_ok(f, put(f, "o-1", 1, 0, NULL));
    assert_code(f, OUTBOX_CONFLICT, put(f, "o-1", 2, 0, &revision));
    assert_int_equal(outbox_found_revision(f->ob), 1);
    assert_code(f, OUTBOX_CONFLICT, put(f, "o-1", 2, 7, &revision));
    assert_string_equal(outbox_errmsg(f->ob), "table orders, key o-1: expected revision 7, found 1");
    assert_code(f, OUTBOX_CONFLICT, put(f, "o-2", 2, 3, &revision));
    assert_int_equal(outbox_found_revision(f->ob), 0);
    assert_int_equal(revision, 77);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 1);
    assert_int_equal(fixture_int(f, "SELECT total FROM orders"), 1);
}

static void any_revision_wins(void **state)
{
    struct fixture *f = *state;
    int64_t revision = 0;
    assert_ok(f, put(f, "o-1", 1, OUTBOX_ANY_REVISION, &revision));
    assert_ok(f, put(f, "o-1", 2, OUTBOX_ANY_REVISION, &revision));
    assert_int_equal(revision, 2);
    assert_ok(f, outbox_delete(f->ob, "orders", "o-1", OUTBOX_ANY_REVISION, NULL));
    assert_code(f, OUTBOX_NOT_FOUND, outbox_delete(f->ob, "orders", "o-1", OUTBOX_ANY_REVISION, NULL));
    assert_code(f, OUTBOX_CONFLICT, outbox_delete(f->ob, "orders", "o-1", 3, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_delete(f->ob, "orders", "o-1", 0, NULL));
}

static void a_column_left_out_keeps_its_value(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"total\":1,\"note\":\"n\"}", -1, 0, NULL, NULL));
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"total\":2}", -1, 1, NULL, NULL));
    assert_string_equal(fixture_text(f, "SELECT note FROM orders"), "n");
}

static void sqlite_assigns_a_rowid_alias(void **state)
{
    struct fixture *f = *state;
    outbox_value row[] = {outbox_text("name", "pen")};
    assert_ok(f, outbox_upsert(f->ob, "items", row, 1, 0, NULL, NULL));
    assert_ok(f, outbox_upsert(f->ob, "items", row, 1, 0, NULL, NULL));
    assert_string_equal(outbox_last_key(f->ob), "2");
    assert_int_equal(outbox_last_seq(f->ob), 2);
    assert_int_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), 2);
    assert_string_equal(fixture_log(f, "key"), "1 2");
    assert_code(f, OUTBOX_INVALID, outbox_upsert(f->ob, "items", row, 1, OUTBOX_ANY_REVISION, NULL, NULL));
}

static void last_insert_rowid_is_the_rows(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        assert_ok(f, outbox_emit(f->ob, "t", NULL, "{}", -1, NULL, NULL));
    fixture_sql(f, "INSERT INTO orders(id) VALUES ('x'), ('y')");
    assert_ok(f, put(f, "x", 5, 1, NULL));
    assert_int_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), 1);
    assert_ok(f, put(f, "z", 5, 0, NULL));
    assert_int_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), 3);
    assert_ok(f, outbox_emit(f->ob, "t", NULL, "{}", -1, NULL, NULL));
    assert_int_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), 3);
}

/* SQLite leaves it alone there, and so does the library. */
static void without_a_rowid_to_read_last_insert_rowid_is_sqlites(void **state)
{
    static const struct {
        const char *columns, *end;
        int64_t inserted;
    } cases[] = {
        {"id TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1", "WITHOUT ROWID", 42},
        {"id TEXT PRIMARY KEY, rowid, _rowid_, oid, revision INTEGER NOT NULL DEFAULT 1", "", 1},
    };
    struct fixture *f = *state;
    outbox_value row[] = {outbox_text("id", "a")};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS w; CREATE TABLE w(%s) %s; DELETE FROM orders",
                 cases[i / 2].columns, cases[i / 2].end);
        fixture_sql(f, sql);
        if (i % 2)
            assert_ok(f, outbox_capture(f->ob, "w", NULL));
        fixture_sql(f, "INSERT INTO orders(rowid, id) VALUES (42, 'x')");
        assert_ok(f, outbox_upsert(f->ob, "w", row, 1, 0, NULL, NULL));
        assert_int_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), cases[i / 2].inserted);
        assert_ok(f, outbox_upsert(f->ob, "w", row, 1, OUTBOX_ANY_REVISION, NULL, NULL));
        assert_int_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), cases[i / 2].inserted);
        assert_ok(f, outbox_delete(f->ob, "w", "a", OUTBOX_ANY_REVISION, NULL));
        assert_int_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), cases[i / 2].inserted);
        fixture_sql(f, "DELETE FROM change_log");
    }
}

/* A REAL column has no -0.0: it keeps whole numbers as integers. */
static void a_key_of_minus_nought_goes_on_from_its_delete(void **state)
{
    struct fixture *f = *state;
    outbox_value row[] = {outbox_real("id", -0.0)};
    int64_t revision = 0;
    fixture_sql(f, "CREATE TABLE r(id REAL PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_upsert(f->ob, "r", row, 1, 0, NULL, NULL));
    assert_ok(f, outbox_delete(f->ob, "r", "-0.0", 1, NULL));
    assert_ok(f, outbox_upsert(f->ob, "r", row, 1, 0, NULL, &revision));
    assert_int_equal(revision, 3);
    assert_string_equal(fixture_log(f, "key"), "0.0 0.0 0.0");
}

static void unchanged_rows_make_no_event(void **state)
{
    struct fixture *f = *state;
    outbox_write_options skip = {.size = sizeof skip, .flags = OUTBOX_SKIP_UNCHANGED};
    int64_t revision = 0;
    fixture_sql(f, "CREATE TABLE n(id TEXT PRIMARY KEY, i INTEGER, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_upsert_json(f->ob, "n", "{\"id\":\"a\",\"i\":5}", -1, 0, &skip, &revision));
    assert_ok(f, outbox_upsert_json(f->ob, "n", "{\"id\":\"a\",\"i\":5}", -1, 1, &skip, &revision));
    assert_int_equal(revision, 1);
    assert_int_equal(outbox_last_seq(f->ob), 0);
    /* Looks different, is not: the column's affinity makes it 5. */
    assert_ok(f, outbox_upsert_json(f->ob, "n", "{\"id\":\"a\",\"i\":\"5\"}", -1, 1, &skip, &revision));
    assert_int_equal(revision, 1);
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, outbox_upsert_json(f->ob, "n", "{\"id\":\"a\",\"i\":5.0}", -1, OUTBOX_ANY_REVISION, &skip, &revision));
    assert_ok(f, outbox_commit(f->ob));
    assert_int_equal(fixture_int(f, "SELECT revision FROM n"), 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 1);
    assert_code(f, OUTBOX_CONFLICT, outbox_upsert_json(f->ob, "n", "{\"id\":\"a\",\"i\":5}", -1, 9, &skip, &revision));
    assert_ok(f, outbox_upsert_json(f->ob, "n", "{\"id\":\"a\",\"i\":6}", -1, 1, &skip, &revision));
    assert_int_equal(revision, 2);
}

static void options_reach_the_event(void **state)
{
    struct fixture *f = *state;
    outbox_write_options o = {
        .size = sizeof o, .topic = "sales", .ordering_key = "cust-9", .headers = "{\"traceparent\":\"00-x\"}"};
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\"}", -1, 0, &o, NULL));
    assert_string_equal(fixture_log(f, "topic||' '||ordering_key||' '||headers"),
                        "sales cust-9 {\"traceparent\":\"00-x\"}");
    o.headers = "{\"a\":1}";
    assert_code(f, OUTBOX_INVALID, outbox_upsert_json(f->ob, "orders", "{\"id\":\"b\"}", -1, 0, &o, NULL));
    o.headers = "[]";
    assert_code(f, OUTBOX_INVALID, outbox_upsert_json(f->ob, "orders", "{\"id\":\"b\"}", -1, 0, &o, NULL));
    o.headers = NULL;
    o.flags = 64;
    assert_code(f, OUTBOX_INVALID, outbox_upsert_json(f->ob, "orders", "{\"id\":\"b\"}", -1, 0, &o, NULL));
    struct {
        outbox_write_options known;
        int newer;
    } future = {{.size = sizeof future}, 1};
    assert_code(f, OUTBOX_INVALID, outbox_upsert_json(f->ob, "orders", "{\"id\":\"b\"}", -1, 0, &future.known, NULL));
    future.newer = 0;
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"b\"}", -1, 0, &future.known, NULL));
}

static void a_row_over_the_limit_is_too_big_and_gone(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "UPDATE outbox_meta SET value = 200 WHERE name = 'max_payload'");
    outbox *other;
    assert_int_equal(outbox_open(f->path, NULL, &other), OUTBOX_OK);
    char note[300];
    memset(note, 'x', sizeof note);
    outbox_value row[] = {outbox_text("id", "a"), outbox_text_n("note", note, sizeof note)};
    assert_int_equal(outbox_upsert(other, "orders", row, 2, 0, NULL, NULL), OUTBOX_TOOBIG);
    assert_int_equal(outbox_emit(other, "t", "k", note, 201,
                                 &(outbox_write_options){.size = sizeof(outbox_write_options), .flags = OUTBOX_BLOB},
                                 NULL),
                     OUTBOX_TOOBIG);
    assert_nothing_written(f);
    /* The limit is the database's: a change of another connection counts at once. */
    fixture_sql(f, "UPDATE outbox_meta SET value = 2000 WHERE name = 'max_payload'");
    assert_int_equal(outbox_upsert(other, "orders", row, 2, 0, NULL, NULL), OUTBOX_OK);
    outbox_close(other);
}

static void a_schema_change_under_way_is_noticed(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;
    const char *row;
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_ok(f, put(f, "a", 1, 0, NULL));
    sql_on(other, "ALTER TABLE orders ADD COLUMN extra TEXT DEFAULT 'e'");
    assert_ok(f, put(f, "a", 2, 1, NULL));
    assert_ok(f, outbox_get(f->ob, "orders", "a", &row, NULL));
    assert_non_null(strstr(row, "\"extra\":\"e\""));
    assert_string_equal(fixture_text(f, "SELECT json_extract(payload,'$.extra') FROM change_log WHERE seq = 2"), "e");
    sql_on(other, "ALTER TABLE orders ADD COLUMN later INT");
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"later\":3}", -1, 2, NULL, NULL));
    sql_on(other, "ALTER TABLE orders DROP COLUMN total");
    assert_code(f, OUTBOX_INVALID, put(f, "a", 3, 3, NULL));
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"later\":4}", -1, 3, NULL, NULL));
    sql_on(other, "ALTER TABLE items ADD COLUMN size INT DEFAULT 4");
    outbox_value name[] = {outbox_text("name", "pen")};
    assert_ok(f, outbox_upsert(f->ob, "items", name, 1, 0, NULL, NULL));
    sql_on(other, "ALTER TABLE items ADD COLUMN colour TEXT DEFAULT 'red'");
    assert_ok(f, outbox_upsert(f->ob, "items", name, 1, 0, NULL, NULL));
    assert_string_equal(fixture_text(f, "SELECT payload FROM change_log ORDER BY seq DESC LIMIT 1"),
                        "{\"id\":2,\"name\":\"pen\",\"revision\":1,\"size\":4,\"colour\":\"red\"}");
    sql_on(other, "DROP TABLE orders");
    assert_code(f, OUTBOX_INVALID,
                outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"later\":4}", -1, 4, NULL, NULL));
    sql_on(other, "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, put(f, "a", 3, 0, NULL));
    sqlite3_close(other);
}

static void triggers_have_their_say(void **state)
{
    struct fixture *f = *state;
    fixture_sql(
        f,
        "CREATE TABLE log2(x); CREATE TABLE t(id TEXT PRIMARY KEY, n INT, touched INT, revision INTEGER NOT NULL DEFAULT 1);"
        "CREATE TRIGGER t1 AFTER UPDATE OF n ON t BEGIN UPDATE t SET touched = NEW.n + 1 WHERE id = NEW.id; INSERT INTO log2 VALUES (1); END;"
        "CREATE TRIGGER t2 BEFORE INSERT ON t WHEN NEW.n = 13 BEGIN SELECT RAISE(IGNORE); END;"
        "CREATE TRIGGER t3 BEFORE INSERT ON t WHEN NEW.n = 14 BEGIN SELECT RAISE(ABORT, 'not 14'); END");
    assert_ok(f, outbox_upsert_json(f->ob, "t", "{\"id\":\"a\",\"n\":1}", -1, 0, NULL, NULL));
    assert_ok(f, outbox_upsert_json(f->ob, "t", "{\"id\":\"a\",\"n\":2}", -1, 1, NULL, NULL));
    assert_string_equal(fixture_text(f, "SELECT payload FROM change_log WHERE seq = 2"),
                        "{\"id\":\"a\",\"n\":2,\"touched\":3,\"revision\":2}");
    assert_code(f, OUTBOX_CONSTRAINT, outbox_upsert_json(f->ob, "t", "{\"id\":\"b\",\"n\":13}", -1, 0, NULL, NULL));
    assert_code(f, OUTBOX_CONSTRAINT, outbox_upsert_json(f->ob, "t", "{\"id\":\"b\",\"n\":14}", -1, 0, NULL, NULL));
    assert_non_null(strstr(outbox_errmsg(f->ob), "not 14"));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM t"), 1);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 2);
}

static void on_conflict_replace_displaces_nobody(void **state)
{
    struct fixture *f = *state;
    fixture_sql(
        f,
        "CREATE TABLE u(id TEXT PRIMARY KEY, mail TEXT UNIQUE ON CONFLICT REPLACE, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_upsert_json(f->ob, "u", "{\"id\":\"a\",\"mail\":\"m\"}", -1, 0, NULL, NULL));
    assert_code(f, OUTBOX_CONSTRAINT,
                outbox_upsert_json(f->ob, "u", "{\"id\":\"b\",\"mail\":\"m\"}", -1, 0, NULL, NULL));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM u WHERE id = 'a'"), 1);
}

static void emit_owes_a_message(void **state)
{
    struct fixture *f = *state;
    outbox_write_options blob = {.size = sizeof blob, .flags = OUTBOX_BLOB};
    int64_t seq = 0;
    assert_ok(f, outbox_emit(f->ob, "mail", "m-1", "{\"a\": 1.10}", -1, NULL, &seq));
    assert_int_equal(seq, 1);
    assert_ok(f, outbox_emit(f->ob, "mail", NULL, "\0\1", 2, &blob, &seq));
    assert_ok(f, outbox_emit(f->ob, "mail", NULL, NULL, 0, NULL, &seq));
    assert_string_equal(
        fixture_log(f, "op||typeof(payload)||ifnull(key,'-')||ifnull(revision,'-')||ifnull(table_name,'-')"),
        "emittextm-1-- emitblob--- emitnull---");
    assert_string_equal(fixture_text(f, "SELECT payload FROM change_log WHERE seq = 1"), "{\"a\": 1.10}");
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "mail", NULL, "{", -1, NULL, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "mail", NULL, "\"\xed\xa0\x80\"", -1, NULL, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "mail", NULL, "x", -1, &blob, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "", NULL, "{}", -1, NULL, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "t\xff", NULL, "{}", -1, NULL, NULL));
    assert_int_equal(fixture_int(f, "SELECT max(seq) FROM change_log"), 3);
}

static void rows_of_plain_sql_are_events_too(void **state)
{
    struct fixture *f = *state;
    fixture_sql(
        f,
        "PRAGMA trusted_schema = OFF; INSERT INTO outbox_events(topic, key, payload, headers, ordering_key) VALUES ('t', 'k', '{}', NULL, 'o')");
    assert_string_equal(
        fixture_log(f, "topic||key||op||ordering_key||(abs(created_at - strftime('%s','now') * 1000000) < 5000000)"),
        "tkemito1");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox_events"), 1);
    assert_int_not_equal(
        sqlite3_exec(outbox_db(f->ob), "INSERT OR IGNORE INTO outbox_events(key) VALUES ('k')", NULL, NULL, NULL),
        SQLITE_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, orders_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(insert_update_delete_rise_by_one),
        TEST(stale_revision_conflicts),
        TEST(any_revision_wins),
        TEST(a_column_left_out_keeps_its_value),
        TEST(sqlite_assigns_a_rowid_alias),
        TEST(last_insert_rowid_is_the_rows),
        TEST(without_a_rowid_to_read_last_insert_rowid_is_sqlites),
        TEST(a_key_of_minus_nought_goes_on_from_its_delete),
        TEST(unchanged_rows_make_no_event),
        TEST(options_reach_the_event),
        TEST(a_row_over_the_limit_is_too_big_and_gone),
        TEST(a_schema_change_under_way_is_noticed),
        TEST(triggers_have_their_say),
        TEST(on_conflict_replace_displaces_nobody),
        TEST(emit_owes_a_message),
        TEST(rows_of_plain_sql_are_events_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
