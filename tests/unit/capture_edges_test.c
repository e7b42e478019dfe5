/* capture_edges_test.c — options of a capture given as JSON and by the struct, refused in words or kept exactly; tables and
 * indexes that are not the usual ones; what the triggers refuse a write of the library; a table changed behind its capture.
 */
#include <stdbool.h>

#include "capture.h"
#include "fixture.h"

static const char create[] = "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, total REAL, secret TEXT,"
                             " revision INTEGER NOT NULL DEFAULT 1)";

static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state, create);
    return rc;
}

static int put(struct fixture *f, int64_t id, const char *customer, const outbox_write_options *options)
{
    outbox_value row[] = {outbox_int("id", id), outbox_text("customer", customer)};
    return outbox_upsert(f->ob, "orders", row, 2, OUTBOX_ANY_REVISION, options, NULL);
}

/* ---- Options ---- */

#define LONG_NAME                                                                                                      \
    "a_name_that_no_option_has_and_that_nobody_wants_to_read_to_its_end_in_a_message_on_a_terminal_of_eig" /* 100 */

static const struct refused_case {
    const char *json, *words;
} refused[] = {
    {"", "options are not JSON"},
    {"{\"topic\":", "options are not JSON"},
    {"{\"topic\":\"\xff\"}", "options are not JSON"},
    {"[\"topic\"]", "options are JSON, but not an object"},
    {"null", "options are JSON, but not an object"},
    {"{\"topik\":\"shop\"}", "no option is called topik; they are topic, ordering_key, exclude, ops, only_if_changed"},
    {"{\"" LONG_NAME "_columns\":1}", "called " LONG_NAME "; they are"},
    {"{\"topic\":1}", "topic: not a string"},
    {"{\"topic\":\"\"}", "topic is empty; leave it out for the table's name"},
    {"{\"topic\":\"a\\u0000b\"}", "topic: a name holds a NUL"},
    {"{\"ordering_key\":[\"customer\"]}", "ordering_key: not a string"},
    {"{\"ordering_key\":\"colour\"}", "ordering_key: the table has no column colour"},
    {"{\"exclude\":\"secret\"}", "exclude: not an array of strings"},
    {"{\"exclude\":{}}", "exclude: not an array of strings"},
    {"{\"exclude\":[1]}", "exclude: not an array of strings"},
    {"{\"exclude\":[\"id\"]}", "exclude: id names the row; it cannot be left out"},
    {"{\"exclude\":[\"revision\"]}", "exclude: revision names the row; it cannot be left out"},
    {"{\"ops\":[]}", "ops: empty; outbox_release captures nothing"},
    {"{\"ops\":[\"upsert\"]}", "ops: upsert is none of insert, update, delete"},
    {"{\"only_if_changed\":[\"revision\"]}", "only_if_changed: revision changes with every update"},
    {"{\"only_if_changed\":[\"total\",\"colour\"]}", "only_if_changed: the table has no column colour"},
};

static void options_that_make_no_sense_are_refused_in_words(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        int code = capture_json(f->ob, "orders", refused[i].json, -1);
        if (code != OUTBOX_INVALID)
            fail_msg("%s: %s", refused[i].json, outbox_strerror(code));
        assert_says(f, refused[i].words);
    }
    assert_int_equal(
        fixture_int(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'orders'"), 0);
    assert_ok(f, put(f, 1, "c", NULL)); /* and the handle is none the worse for it */
}

static void a_topic_of_the_struct_is_checked_as_well(void **state)
{
    struct fixture *f = *state;
    outbox_capture_options options = {.size = sizeof options, .topic = ""};
    assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "orders", &options));
    assert_says(f, "topic is empty");
    options.topic = "caf\xe9";
    assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "orders", &options));
    assert_says(f, "topic is malformed UTF-8");
    /* The first fault is told, not the last. */
    options.ordering_key = "colour";
    assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "orders", &options));
    assert_says(f, "topic is malformed UTF-8");
}

static void every_option_can_be_given_as_json(void **state)
{
    struct fixture *f = *state;
    static const char json[] =
        " { \"topic\" : \"sh\\u006fp\", \"ordering_key\":\"CUSTOMER\", \"exclude\":[\"secret\"],"
        " \"ops\":[\"delete\",\"update\"], \"only_if_changed\":[\"total\"] } and what is behind its end";
    assert_ok(f, capture_json(f->ob, "orders", json, (ptrdiff_t)(strrchr(json, '}') - json + 1)));
    fixture_sql(f, "INSERT INTO orders(id, customer, secret) VALUES (1, 'ann', 'canary');"
                   "UPDATE orders SET customer = 'bob'; UPDATE orders SET total = 1; DELETE FROM orders");
    assert_string_equal(
        fixture_log(f, "op || topic || ordering_key || instr(coalesce(before, '') || payload, 'canary')"),
        "updateshopbob0");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 2);
    assert_ok(f, capture_json(f->ob, "orders", "{\"topic\":null,\"ordering_key\":null}", -1));
    fixture_sql(f, "INSERT INTO orders(id) VALUES (2)");
    assert_string_equal(fixture_text(f, "SELECT op || topic || (ordering_key IS NULL) FROM change_log WHERE key = '2'"),
                        "insertorders1");
}

/* They stand in a comment of the triggers' own text, from where they are read again. */
static void options_that_look_like_the_end_of_a_comment_stay_whole(void **state)
{
    struct fixture *f = *state;
    static const char topic[] = "a */ DELETE FROM orders; /* b";
    outbox_capture_options options = {.size = sizeof options, .topic = topic};
    assert_ok(f, outbox_capture(f->ob, "orders", &options));
    assert_ok(f, put(f, 1, "c", NULL));
    fixture_sql(f, "ALTER TABLE orders ADD COLUMN colour TEXT");
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    fixture_sql(f, "UPDATE orders SET colour = 'red'");
    assert_string_equal(fixture_text(f, "SELECT group_concat(DISTINCT topic) FROM change_log"), topic);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 2);
}

/* ---- Tables ---- */

static void a_table_that_hides_its_rowid_is_captured(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE odd(id TEXT PRIMARY KEY, rowid TEXT, \"_ROWID_\" TEXT, oid TEXT,"
                   " revision INTEGER NOT NULL DEFAULT 1)");
    for (int captured = 0; captured < 2; captured++) {
        fixture_sql(f, "DELETE FROM odd; DELETE FROM outbox; DELETE FROM change_log");
        outbox_value row[] = {outbox_text("id", "a"), outbox_text("rowid", "not a number"), outbox_text("oid", "o")};
        assert_ok(f, outbox_upsert(f->ob, "odd", row, 3, 0, NULL, NULL));
        row[1] = outbox_text("rowid", "77");
        assert_ok(f, outbox_upsert(f->ob, "odd", row, 3, 1, NULL, NULL));
        assert_int_not_equal(sqlite3_last_insert_rowid(outbox_db(f->ob)), 77);
        assert_string_equal(fixture_text(f, "SELECT payload FROM change_log WHERE op = 'update'"),
                            "{\"id\":\"a\",\"rowid\":\"77\",\"_ROWID_\":null,\"oid\":\"o\",\"revision\":2}");
        if (!captured)
            assert_ok(f, outbox_capture(f->ob, "odd", NULL));
    }
    fixture_sql(f, "DELETE FROM change_log; INSERT OR REPLACE INTO odd(id, oid) VALUES ('a', 'p'); DELETE FROM odd");
    assert_string_equal(fixture_log(f, "op"), "delete insert delete");
}

static void a_table_of_nothing_but_its_key_is_captured(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE tags(tag TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_capture(f->ob, "tags", NULL));
    fixture_sql(f, "INSERT INTO tags(tag) VALUES ('a'); UPDATE tags SET tag = 'a'; UPDATE tags SET tag = 'b';"
                   "DELETE FROM tags");
    assert_string_equal(fixture_log(f, "op || key"), "inserta deletea insertb deleteb");
}

static void a_partial_unique_index_is_pointed_out(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE UNIQUE INDEX one_open ON orders(customer) WHERE total IS NULL");
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    assert_says(f, "what a REPLACE displaces by a partial unique index");
    fixture_sql(f, "PRAGMA recursive_triggers = ON; INSERT INTO orders(id, customer) VALUES (1, 'ann');"
                   "INSERT OR REPLACE INTO orders(id, customer) VALUES (2, 'ann')");
    assert_string_equal(fixture_log(f, "op || key"), "insert1 delete1 insert2");
}

static void a_temp_table_of_the_same_name_is_not_the_one_captured(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TEMP TABLE orders(id INTEGER PRIMARY KEY, zz)");
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    fixture_sql(f, "INSERT INTO main.orders(id) VALUES (1); REPLACE INTO main.orders(id, customer) VALUES (1, 'ann');"
                   "INSERT INTO temp.orders VALUES (2, 2)");
    assert_string_equal(fixture_log(f, "op || key"), "insert1 delete1 insert1");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM sqlite_temp_schema WHERE type = 'trigger'"), 0);
    assert_ok(f, put(f, 3, "bob", NULL));
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    assert_ok(f, outbox_release(f->ob, "orders"));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM main.sqlite_schema WHERE name GLOB 'outbox_capture_*'"), 0);
}

/* As earlier, a trigger of the one would have had the name of another's: outbox_capture_price_before_insert. */
static void a_table_named_like_another_and_a_step_is_captured_too(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE price(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
                   "CREATE TABLE price_before(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_capture(f->ob, "price", NULL));
    assert_ok(f, outbox_capture(f->ob, "price_before", NULL));
    fixture_sql(f, "INSERT INTO price DEFAULT VALUES; INSERT INTO price_before DEFAULT VALUES");
    assert_string_equal(fixture_log(f, "op || ' ' || table_name"), "insert price insert price_before");
}

static void triggers_by_another_name_of_ours_are_replaced_and_released(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TRIGGER outbox_capture_orders_insert AFTER INSERT ON orders BEGIN SELECT 1; END");
    assert_code(f, OUTBOX_SCHEMA, put(f, 1, "c", NULL));
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    assert_ok(f, put(f, 1, "c", NULL));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'outbox_capture_orders_insert'"),
                     0);
    fixture_sql(f, "CREATE TRIGGER outbox_capture_orders_insert AFTER INSERT ON orders BEGIN SELECT 1; END");
    assert_ok(f, outbox_release(f->ob, "orders"));
    assert_int_equal(
        fixture_int(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'orders'"), 0);
}

/* RENAME TO takes the triggers along under their old names. */
static void a_trigger_that_another_table_took_along_is_named(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    fixture_sql(f, "ALTER TABLE orders RENAME TO sales");
    fixture_sql(f, create);
    assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "orders", NULL));
    assert_says(f, "table orders: table sales has its trigger");
    assert_says(f, "capture or release sales first");
    assert_int_equal(
        fixture_int(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'orders'"), 0);
    assert_ok(f, outbox_capture(f->ob, "sales", NULL));
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
}

/* The rowid is a key too, though no column shows it; before an insert one still to be assigned is -1. */
static void what_a_replace_displaces_by_a_hidden_rowid_is_logged(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE t(id TEXT PRIMARY KEY, n, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_capture(f->ob, "t", NULL));
    fixture_sql(f, "INSERT INTO t(id) VALUES ('a'), ('b'); INSERT OR REPLACE INTO t(rowid, id) VALUES (1, 'c');"
                   "UPDATE OR REPLACE t SET _rowid_ = 2 WHERE id = 'c'; UPDATE OR REPLACE t SET id = 'd', oid = 3;"
                   "REPLACE INTO t(rowid, id) VALUES (-1, 'e')");
    assert_string_equal(fixture_log(f, "op || key || revision"),
                        "inserta1 insertb1 deletea2 insertc1 deleteb2 deletec2 insertd1 inserte1");
    fixture_sql(f, "DELETE FROM change_log; INSERT INTO t(id) VALUES ('f'); REPLACE INTO t(id) VALUES ('f');"
                   "REPLACE INTO t(rowid, id) VALUES (-1, 'g')");
    assert_string_equal(fixture_log(f, "op || key || revision"), "insertf1 deletef2 insertf3 deletee2 insertg1");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox_displaced"), 0);
}

/* Under REPLACE a NULL becomes the default of a column that is NOT NULL. */
static void what_a_replace_displaces_by_a_default_is_logged(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT NOT NULL DEFAULT 'd' UNIQUE, v DEFAULT 'e' UNIQUE,"
                   " revision INTEGER NOT NULL DEFAULT 1);"
                   "CREATE TABLE k(id TEXT NOT NULL DEFAULT 'k' PRIMARY KEY, n INTEGER NOT NULL DEFAULT (3 + 4),"
                   " revision INTEGER NOT NULL DEFAULT 1, UNIQUE(n)) WITHOUT ROWID");
    assert_ok(f, outbox_capture(f->ob, "t", NULL));
    assert_string_equal(outbox_errmsg(f->ob), "");
    assert_ok(f, outbox_capture(f->ob, "k", NULL));
    fixture_sql(f, "INSERT INTO t(id, v) VALUES (1, 'e'); INSERT OR REPLACE INTO t(id, u, v) VALUES (2, NULL, NULL);"
                   "INSERT INTO t(id, u, v) VALUES (3, 'x', NULL); UPDATE OR REPLACE t SET u = NULL WHERE id = 3;"
                   "INSERT INTO k DEFAULT VALUES; REPLACE INTO k(id, n) VALUES (NULL, 1); UPDATE k SET n = 7;"
                   "REPLACE INTO k(id, n) VALUES ('l', NULL)");
    assert_string_equal(fixture_log(f, "op || key || revision"),
                        "insert11 delete12 insert21 insert31 delete22 update32 "
                        "insertk1 deletek2 insertk3 updatek4 deletek5 insertl1");
}

/* DEFAULT word is text; in an expression it would be a column. */
static void a_default_that_is_no_expression_is_pointed_out(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f,
                "CREATE TABLE t(id INTEGER PRIMARY KEY, u NOT NULL DEFAULT id UNIQUE, w NOT NULL DEFAULT \"id\" UNIQUE,"
                " revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(f, outbox_capture(f->ob, "t", NULL));
    assert_says(f, "what a REPLACE displaces by");
    fixture_sql(f, "INSERT INTO t(id) VALUES (1); REPLACE INTO t(id, w) VALUES (2, 'x')");
    assert_string_equal(fixture_log(f, "op || key"), "insert1 delete1 insert2");
}

static void a_database_in_utf_16_is_not_captured(void **state)
{
    struct fixture *f = *state;
    char path[128];
    sqlite3 *db = NULL;
    outbox *ob = NULL;
    snprintf(path, sizeof path, "%s/wide.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sql_on(db, "PRAGMA encoding = 'UTF-16le'");
    sql_on(db, create);
    sqlite3_close(db);
    assert_ok(f, outbox_open(path, NULL, &ob));
    assert_int_equal(outbox_capture(ob, "orders", NULL), OUTBOX_INVALID);
    if (!strstr(outbox_errmsg(ob), "the database's encoding is UTF-16le; only UTF-8 can be captured"))
        fail_msg("%s", outbox_errmsg(ob));
    outbox_close(ob);
}

/* ---- A write of the library on a captured table ---- */

static void what_the_triggers_refuse_has_the_librarys_code(void **state)
{
    struct fixture *f = *state;
    char *note = calloc(1, 2001);
    memset(note, 'x', 2000);
    fixture_sql(f, "UPDATE outbox_meta SET value = 1000 WHERE name = 'max_payload';"
                   "CREATE TRIGGER no_mallory BEFORE UPDATE ON orders WHEN NEW.customer = 'mallory'"
                   " BEGIN SELECT RAISE(ABORT, 'mallory gets nothing'); END");
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    assert_code(f, OUTBOX_TOOBIG, put(f, 1, note, NULL));
    assert_ok(f, put(f, 1, "ann", NULL));
    assert_code(f, OUTBOX_CONSTRAINT, put(f, 1, "mallory", NULL));
    assert_says(f, "mallory gets nothing");
    assert_code(f, OUTBOX_TOOBIG, put(f, 1, note, NULL));
    assert_string_equal(fixture_text(f, "SELECT group_concat(customer) FROM orders"), "ann");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 1);
    free(note);
}

/* With a trigger of the table's own beside ours, ON CONFLICT REPLACE is not overridden. */
static void a_row_displaced_that_has_no_revision_is_named(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f,
                "CREATE TABLE seats(id INTEGER PRIMARY KEY, guest TEXT UNIQUE ON CONFLICT REPLACE, revision INTEGER);"
                "CREATE TRIGGER of_its_own AFTER INSERT ON seats BEGIN SELECT 1; END;"
                "INSERT INTO seats VALUES (1, 'ann', NULL)");
    assert_ok(f, outbox_capture(f->ob, "seats", NULL));
    outbox_value row[] = {outbox_int("id", 2), outbox_text("guest", "ann")};
    assert_code(f, OUTBOX_INVALID, outbox_upsert(f->ob, "seats", row, 2, 0, NULL, NULL));
    assert_says(f, "the stored revision is NULL");
    assert_int_equal(fixture_int(f, "SELECT id FROM seats"), 1);
    fixture_sql(f, "UPDATE seats SET revision = 1");
    assert_ok(f, outbox_upsert(f->ob, "seats", row, 2, 0, NULL, NULL));
    assert_string_equal(fixture_log(f, "op || key"), "update1 delete1 insert2");
}

static void each_write_option_alone_reaches_the_event(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    assert_ok(f, put(f, 1, "a", &(outbox_write_options){.size = sizeof(outbox_write_options), .topic = "shop"}));
    assert_ok(f, put(f, 2, "b", &(outbox_write_options){.size = sizeof(outbox_write_options), .ordering_key = "k"}));
    assert_ok(
        f, put(f, 3, "c", &(outbox_write_options){.size = sizeof(outbox_write_options), .headers = "{\"h\":\"1\"}"}));
    assert_ok(f, put(f, 4, "d", &(outbox_write_options){.size = sizeof(outbox_write_options)}));
    assert_string_equal(fixture_log(f, "topic || coalesce(ordering_key, '-') || coalesce(headers, '-')"),
                        "shop-- ordersk- orders-{\"h\":\"1\"} orders--");
}

/* ---- Changed behind the capture ---- */

static void a_column_gone_that_was_asked_for_is_named(void **state)
{
    struct fixture *f = *state;
    static const char *const secret[] = {"secret", NULL};
    outbox_capture_options options = {.size = sizeof options, .exclude = secret};
    assert_ok(f, outbox_capture(f->ob, "orders", &options));
    fixture_sql(f, "ALTER TABLE orders RENAME COLUMN secret TO hidden");
    assert_code(f, OUTBOX_SCHEMA, put(f, 1, "c", NULL));
    assert_says(f, "exclude: the table has no column secret");
    assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "orders", NULL));
    assert_says(
        f, "exclude: the table has no column secret; that was asked for when it was captured: give the options anew");
    static const char *const hidden[] = {"hidden", NULL};
    options.exclude = hidden;
    assert_ok(f, outbox_capture(f->ob, "orders", &options));
    assert_ok(f, put(f, 1, "c", NULL));
    assert_int_equal(fixture_int(f, "SELECT instr(payload, 'hidden') FROM change_log"), 0);
}

/* One of ours replaced by another of the same prefix: as many as before, and not the same. */
static void a_trigger_put_in_place_of_ours_is_noticed(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    char sql[sizeof f->text + 128];
    snprintf(sql, sizeof sql,
             "DROP TRIGGER \"%s\"; CREATE TRIGGER outbox_capture_mine AFTER INSERT ON orders BEGIN SELECT 1; END",
             fixture_text(f, "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'orders' LIMIT 1"));
    fixture_sql(f, sql);
    assert_code(f, OUTBOX_SCHEMA, put(f, 1, "c", NULL));
    assert_says(f, "the table, or the library, is another than when it was captured");
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    assert_ok(f, put(f, 1, "c", NULL));
    assert_string_equal(fixture_log(f, "op"), "insert");
}

/* SQLite runs no trigger there, and says nothing: the row would be committed without its event. */
static void with_triggers_disabled_a_captured_row_is_not_written(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = outbox_db(f->ob);
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    assert_ok(f, put(f, 1, "c", NULL));
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    const char *words = "table orders: captured, and this connection runs no triggers";
    assert_refused(f, OUTBOX_MISUSE, words, put(f, 1, "d", NULL));
    assert_refused(f, OUTBOX_MISUSE, words, put(f, 2, "c", NULL));
    assert_refused(f, OUTBOX_MISUSE, words, outbox_delete(f->ob, "orders", "1", OUTBOX_ANY_REVISION, NULL));
    assert_string_equal(fixture_text(f, "SELECT group_concat(id || customer) FROM orders"), "1c");
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL), SQLITE_OK);
    assert_ok(f, put(f, 1, "d", NULL));
    assert_string_equal(fixture_log(f, "op"), "insert update");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(options_that_make_no_sense_are_refused_in_words),
        T(a_topic_of_the_struct_is_checked_as_well),
        T(every_option_can_be_given_as_json),
        T(options_that_look_like_the_end_of_a_comment_stay_whole),
        T(a_table_that_hides_its_rowid_is_captured),
        T(a_table_of_nothing_but_its_key_is_captured),
        T(a_partial_unique_index_is_pointed_out),
        T(a_temp_table_of_the_same_name_is_not_the_one_captured),
        T(a_table_named_like_another_and_a_step_is_captured_too),
        T(triggers_by_another_name_of_ours_are_replaced_and_released),
        T(a_trigger_that_another_table_took_along_is_named),
        T(what_a_replace_displaces_by_a_hidden_rowid_is_logged),
        T(what_a_replace_displaces_by_a_default_is_logged),
        T(a_default_that_is_no_expression_is_pointed_out),
        T(a_database_in_utf_16_is_not_captured),
        T(what_the_triggers_refuse_has_the_librarys_code),
        T(a_row_displaced_that_has_no_revision_is_named),
        T(each_write_option_alone_reaches_the_event),
        T(a_column_gone_that_was_asked_for_is_named),
        T(a_trigger_put_in_place_of_ours_is_noticed),
        T(with_triggers_disabled_a_captured_row_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
