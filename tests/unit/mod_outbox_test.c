/* mod_outbox_test.c — the SQL functions in a host of plain SQLite: what they give, how they fail, what they join. */
#include <dlfcn.h>

#define SQLITE_CORE 1 /* the table's type, not its macros */
#include <sqlite3ext.h>

#include "extension.h"
#include "outbox.h"

/* ---- What they do ---- */

static void functions_do_what_the_library_does(void **state)
{
    static const struct {
        const char *sql, *gives;
    } cases[] = {
        {"SELECT outbox_version()", OUTBOX_VERSION},
        {"SELECT outbox_init()", "1"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":1}')", "1"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":2}', 1)", "2"},
        {"SELECT outbox_upsert('t', json_object('id', 'a', 'n', 3), NULL)", "3"},
        {"SELECT outbox_upsert('t', '{\"id\":\"b\"}', 0)", "1"},
        {"SELECT outbox_get('t', 'a')", "{\"id\":\"a\",\"n\":3,\"revision\":3}"},
        {"SELECT outbox_get('t', 'none') IS NULL", "1"},
        {"SELECT outbox_delete('t', 'b', 1)", "5"},
        {"SELECT outbox_delete('t', 'a')", "6"},
        {"SELECT outbox_emit('mail', 'm-1', '{\"to\":\"x\"}')", "7"},
        {"SELECT outbox_emit('mail', NULL, x'00ff', '{\"a\":\"b\"}')", "8"},
        {"SELECT outbox_emit('mail', NULL, NULL)", "9"},
        {"SELECT outbox_emit('mail', 42, x'')", "10"},
        {"SELECT group_concat(op || ':' || ifnull(key, '-') || ':' || ifnull(revision, '-'), ' ') FROM change_log",
         "insert:a:1 update:a:2 update:a:3 insert:b:1 delete:b:2 delete:a:4 emit:m-1:- emit:-:- emit:-:- emit:42:-"},
        {"SELECT hex(payload), headers FROM change_log WHERE seq = 8", "00FF|{\"a\":\"b\"}"},
        {"SELECT typeof(payload), length(payload) FROM change_log WHERE seq = 10", "blob|0"},
        {"SELECT count(*) FROM outbox", "10"},
        {"SELECT last_insert_rowid() <> 10", "1"}, /* the log's seq is not what an application asks for */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_says(*state, cases[i].sql, cases[i].gives);
}

static void an_assigned_key_is_the_last_insert_rowid(void **state)
{
    struct host *h = *state;
    host_say(h, "CREATE TABLE u(id INTEGER PRIMARY KEY, x, revision INTEGER NOT NULL DEFAULT 1)");
    host_say(h, "INSERT INTO u(id) VALUES (41)");
    assert_says(h, "SELECT outbox_upsert('u', '{\"x\":1}', 0)", "1");
    assert_says(h, "SELECT last_insert_rowid()", "42");
}

/* Hosts whose numbers are all floating (JavaScript's) say 42.0 and mean 42. */
static void keys_and_revisions_come_as_any_value(void **state)
{
    struct host *h = *state;
    host_say(h,
             "CREATE TABLE i(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
             "CREATE TABLE r(id REAL PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
             "CREATE TABLE b(id BLOB PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
             "INSERT INTO i VALUES (42, 1); INSERT INTO r VALUES (0.1, 1), (2, 1); INSERT INTO b VALUES (x'00ff', 1)");
    assert_says(h, "SELECT outbox_get('i', 42)", "{\"id\":42,\"revision\":1}");
    assert_says(h, "SELECT outbox_get('i', 42.0)", "{\"id\":42,\"revision\":1}");
    assert_says(h, "SELECT outbox_get('i', '42')", "{\"id\":42,\"revision\":1}");
    assert_says(h, "SELECT outbox_get('r', 0.1)", "{\"id\":0.1,\"revision\":1}");
    assert_says(h, "SELECT outbox_get('r', 2)", "{\"id\":2.0,\"revision\":1}");
    assert_says(h, "SELECT outbox_get('b', x'00ff')", "{\"id\":{\"$base64\":\"AP8=\"},\"revision\":1}");
    assert_says(h, "SELECT outbox_upsert('i', '{\"id\":42}', 1.0)", "2");
    assert_says(h, "SELECT outbox_delete('i', 42.0, 2.0)", "2");
}

static void a_captured_table_logs_what_plain_sql_writes(void **state)
{
    struct host *h = *state;
    assert_says(h, "SELECT outbox_capture('t', '{\"topic\":\"things\"}') IS NULL", "1");
    host_say(
        h,
        "INSERT INTO t(id, n) VALUES ('a', 1); UPDATE t SET n = 2; SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":3}')");
    assert_string_equal(host_list(h, "SELECT topic || op || revision FROM change_log"),
                        "thingsinsert1 thingsupdate2 thingsupdate3");
    assert_non_null(strstr(host_say(h, "SELECT outbox_capture('t', '{\"colour\":1}')"), "outbox: invalid: "));
    assert_says(h, "SELECT outbox_release('t') IS NULL", "1");
    host_say(h, "UPDATE t SET n = 4");
    assert_says(h, "SELECT count(*) FROM change_log", "3");
    /* A trigger that may write the table again is named. */
    host_say(h, "CREATE TRIGGER again AFTER UPDATE OF n ON t BEGIN UPDATE t SET n = n WHERE id = NEW.id; END");
    assert_non_null(strstr(host_say(h, "SELECT outbox_capture('t')"), "again"));
}

/* ---- How they fail ---- */

static void failures_have_the_librarys_words_and_a_code(void **state)
{
    struct host *h = *state;
    static const struct {
        const char *sql;
        int code;
        const char *begins;
    } cases[] = {
        {"SELECT outbox_upsert('t', '{\"id\":\"a\"}', 7)", SQLITE_CONSTRAINT_FUNCTION,
         "outbox: conflict: table t, key a: expected revision 7, found 1"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\"}', 0)", SQLITE_CONSTRAINT_FUNCTION, "outbox: conflict: "},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":100}')", SQLITE_CONSTRAINT,
         "outbox: constraint: table t, key a"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\",\"x\":1}')", SQLITE_ERROR, "outbox: invalid: "},
        {"SELECT outbox_upsert('none', '{\"id\":\"a\"}')", SQLITE_ERROR, "outbox: invalid: "},
        {"SELECT outbox_upsert('t', '{')", SQLITE_ERROR, "outbox: invalid: "},
        {"SELECT outbox_upsert('t', NULL)", SQLITE_ERROR, "outbox: invalid: row is NULL"},
        {"SELECT outbox_upsert('t', x'7b7d')", SQLITE_ERROR, "outbox: invalid: row: give it as text"},
        {"SELECT outbox_upsert('t' || char(0) || 'x', '{}')", SQLITE_ERROR, "outbox: invalid: table: there is a NUL"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\"}', 'one')", SQLITE_ERROR, "outbox: invalid: expected_revision"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\"}', 1.5)", SQLITE_ERROR, "outbox: invalid: expected_revision"},
        {"SELECT outbox_upsert('t')", SQLITE_MISUSE,
         "outbox: misuse: wrong number of arguments: outbox_upsert(table, row_json [, expected_revision])"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\"}', 1, 2)", SQLITE_MISUSE,
         "outbox: misuse: wrong number of arguments: "},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\"}', 9e999)", SQLITE_ERROR, "outbox: invalid: expected_revision"},
        {"SELECT outbox_upsert('t', '{\"id\":\"a\"}', 1e17)", SQLITE_ERROR, "outbox: invalid: expected_revision"},
        {"SELECT outbox_delete('t', 'none')", SQLITE_ERROR, "outbox: not found: table t, key none"},
        {"SELECT outbox_delete('t', 'none', 1)", SQLITE_CONSTRAINT_FUNCTION, "outbox: conflict: "},
        {"SELECT outbox_emit('mail', NULL, 5)", SQLITE_ERROR, "outbox: invalid: payload: give it as JSON text"},
        {"SELECT outbox_emit('mail', NULL, '{')", SQLITE_ERROR, "outbox: invalid: topic mail: payload is not JSON"},
        {"SELECT outbox_emit('mail', NULL, '1', '[]')", SQLITE_ERROR, "outbox: invalid: headers"},
        {"SELECT outbox_emit('mail', NULL, zeroblob(1048577))", SQLITE_TOOBIG, "outbox: too big: "},
        {"SELECT * FROM outbox_read", SQLITE_MISUSE, "outbox: misuse: whose?"},
        {"SELECT * FROM outbox_read('.x')", SQLITE_ERROR, "outbox: invalid: consumer name"},
        {"SELECT * FROM outbox_read('c', 'many')", SQLITE_ERROR, "outbox: invalid: limit"},
        {"CREATE TABLE scratch AS SELECT outbox_init()", SQLITE_MISUSE,
         "outbox: misuse: outbox_init inside a transaction"},
        {"SELECT * FROM outbox_read WHERE consumer > 'c'", SQLITE_MISUSE, "outbox: misuse: whose?"},
        {"SELECT * FROM outbox_history('t')", SQLITE_MISUSE, "outbox: misuse: of which row?"},
        {"SELECT * FROM outbox_history", SQLITE_MISUSE, "outbox: misuse: of which row?"},
        {"SELECT outbox_take('c', 'then')", SQLITE_ERROR, "outbox: invalid: from: 'then'"},
        {"SELECT outbox_ack('nobody', 1)", SQLITE_MISUSE, "outbox: misuse: consumer nobody is not held"},
    };
    host_say(h, "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":1}')");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *said = host_say(h, cases[i].sql);
        if (strncmp(said, cases[i].begins, strlen(cases[i].begins)) != 0 ||
            sqlite3_extended_errcode(h->db) != cases[i].code)
            fail_msg("%s: %s (%d)", cases[i].sql, said, sqlite3_extended_errcode(h->db));
    }
    assert_says(h, "SELECT count(*) FROM change_log", "1");
}

/* Each argument of each function, NULL or of another type, with those before it good. */
static void an_argument_that_is_none_is_refused_by_its_function(void **state)
{
    static const char *const calls[] = {
        "outbox_upsert(NULL, '{}')",
        "outbox_delete(NULL, 'a')",
        "outbox_delete('t', NULL)",
        "outbox_delete('t', 'a', 'x')",
        "outbox_get(NULL, 'a')",
        "outbox_get('t', NULL)",
        "outbox_capture(NULL)",
        "outbox_capture('t', x'7b7d')",
        "outbox_release(NULL)",
        "outbox_emit(NULL, 'k', '1')",
        "outbox_emit('m', 'k', '1', 2.5)",
        "outbox_emit('m', 'k', '1', x'7b7d')",
        "outbox_take(NULL)",
        "outbox_take('c', x'00')",
        "outbox_ack(NULL, 1)",
        "outbox_wait(NULL, 1)",
        "outbox_leave(NULL)",
        "outbox_leave(x'00')",
        "outbox_take('c', 1.5)",
    };
    struct host *h = *state;
    host_say(h, "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":1}')");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT %s", calls[i]);
        const char *said = host_say(h, sql);
        if (strncmp(said, "outbox: invalid: ", 17) != 0)
            fail_msg("%s: %s", calls[i], said);
    }
    assert_says(h, "SELECT * FROM outbox_read(NULL)", "outbox: invalid: consumer is NULL");
    assert_says(h, "SELECT * FROM outbox_history(NULL, 'a')", "outbox: invalid: table is NULL");
    assert_says(h, "SELECT * FROM outbox_history('t', NULL)", "outbox: invalid: key is NULL");
    assert_says(h, "SELECT count(*) FROM change_log", "1");
    assert_says(h, "SELECT count(*) FROM consumer_offsets", "0");
    host_say(h, "SELECT outbox_take('c')");
    assert_says(h, "SELECT outbox_ack('c', 'one') IS NULL", "outbox: invalid: seq: not a whole number");
    assert_says(h, "SELECT outbox_wait('c', 'soon')", "outbox: invalid: milliseconds: not a whole number");
}

static void a_database_without_tables_says_how_to_make_them(void **state)
{
    struct host *h = *state;
    struct host other = *h;
    snprintf(other.path, sizeof other.path, "%s/other.db", h->dir);
    other.db = host_connect(&other);
    assert_non_null(
        strstr(host_say(&other, "SELECT outbox_emit('x', NULL, NULL)"), "outbox: schema: the database has no"));
    host_say(&other, "BEGIN");
    assert_says(&other, "SELECT outbox_init()", "outbox: misuse: outbox_init inside a transaction; commit it first");
    host_say(&other, "COMMIT");
    assert_says(&other, "SELECT outbox_init()", "1");
    assert_says(&other, "PRAGMA journal_mode", "wal");
    assert_says(&other, "SELECT outbox_emit('x', NULL, NULL)", "1");
    assert_int_equal(sqlite3_close(other.db), SQLITE_OK);
}

/* A file from a stranger must not be able to write through them. */
static void no_view_and_no_trigger_can_call_them(void **state)
{
    struct host *h = *state;
    host_say(h, "CREATE VIEW v AS SELECT outbox_emit('x', NULL, NULL); CREATE VIEW r AS SELECT * FROM outbox_read('c');"
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT outbox_emit('x', NULL, NULL); END");
    assert_non_null(strstr(host_say(h, "SELECT * FROM v"), "unsafe use of outbox_emit()"));
    assert_non_null(strstr(host_say(h, "SELECT * FROM r"), "unsafe use of virtual table"));
    assert_non_null(strstr(host_say(h, "INSERT INTO t(id) VALUES ('a')"), "unsafe use of outbox_emit()"));
    assert_says(h, "SELECT count(*) FROM change_log", "0");
}

static void locked(sqlite3_context *context, int n, sqlite3_value **args)
{
    (void)n, (void)args;
    char *error = NULL;
    int rc = sqlite3_exec(sqlite3_context_db_handle(context), "SELECT outbox_emit('x', NULL, NULL)", NULL, NULL,
                          &error);
    sqlite3_result_error(context, rc == SQLITE_OK ? "it worked" : error, -1);
    sqlite3_free(error);
}

static void one_called_from_within_another_is_misuse(void **state)
{
    struct host *h = *state;
    sqlite3_create_function(h->db, "within", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, NULL, locked, NULL, NULL);
    host_say(h, "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT within(); END");
    assert_non_null(strstr(host_say(h, "SELECT outbox_upsert('t', '{\"id\":\"a\"}')"),
                           "outbox: misuse: called while another of these functions is at work"));
    assert_says(h, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM change_log)", "0");
}

/* ---- What they join ---- */

static void in_a_transaction_they_join_it(void **state)
{
    struct host *h = *state;
    host_say(h, "BEGIN; SELECT outbox_upsert('t', '{\"id\":\"a\"}'); SELECT outbox_emit('x', NULL, NULL); ROLLBACK");
    assert_says(h, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM change_log)", "0");
    host_say(h, "BEGIN");
    assert_says(h, "SELECT outbox_upsert('t', '{\"id\":\"a\"}')", "1");
    assert_non_null(strstr(host_say(h, "SELECT outbox_upsert('t', '{\"id\":\"b\",\"n\":100}')"), "constraint"));
    assert_non_null(strstr(host_say(h, "SELECT outbox_upsert('t', '{\"id\":\"a\"}', 7)"), "conflict"));
    assert_says(h, "COMMIT; SELECT group_concat(seq || key) FROM change_log", "1a"); /* the failures left nothing */
}

static int64_t committed(struct host *h, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(h->path, &db), SQLITE_OK);
    int64_t n = strtoll(host_say_on(h, db, sql), NULL, 10);
    sqlite3_close(db);
    return n;
}

/* SELECT outbox_upsert(…) FROM …: a transaction for each row, durable before the next is asked for. */
static void a_stepped_select_commits_row_by_row(void **state)
{
    struct host *h = *state;
    sqlite3_stmt *st;
    host_say(h, "CREATE TABLE src(id); INSERT INTO src VALUES ('a'), ('b'), ('c')");
    sqlite3_prepare_v2(h->db, "SELECT outbox_upsert('t', json_object('id', id)) FROM src", -1, &st, NULL);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_int_equal(committed(h, "SELECT count(*) FROM outbox_events"), i);
    }
    /* Another connection writes: the statement still sees the database as of its first row. */
    sqlite3 *other = host_connect(h);
    host_say_on(h, other, "SELECT outbox_emit('x', NULL, NULL)");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_BUSY);
    assert_non_null(strstr(sqlite3_errmsg(h->db), "begin with BEGIN IMMEDIATE"));
    sqlite3_finalize(st);
    assert_string_equal(host_list(h, "SELECT coalesce(key, topic) FROM change_log"), "a b x");
    host_say(h, "BEGIN IMMEDIATE; SELECT outbox_upsert('t', json_object('id', id)) FROM src; COMMIT");
    assert_string_equal(host_list(h, "SELECT coalesce(key, topic) FROM change_log"), "a b x a b c");
}

static void in_a_statement_that_writes_they_join_it(void **state)
{
    struct host *h = *state;
    host_say(h, "CREATE TABLE src(id, n); INSERT INTO src VALUES ('a', 1), ('b', 2), ('c', 100); CREATE TABLE dst(x)");
    const char *good =
                   "INSERT INTO dst SELECT outbox_upsert('t', json_object('id', id, 'n', n)) FROM src WHERE n < 100",
               *bad = "INSERT INTO dst SELECT outbox_upsert('t', json_object('id', id, 'n', n)) FROM src";
    static const char all[] =
        "SELECT (SELECT count(*) FROM t) || (SELECT count(*) FROM dst) || (SELECT count(*) FROM outbox)";
    /* Its own transaction: all of it or nothing. */
    assert_non_null(strstr(host_say(h, bad), "outbox: constraint"));
    assert_says(h, all, "000");
    host_say(h, good);
    assert_says(h, all, "222");
    /* Within one: the statement fails as a whole, the transaction goes on. */
    host_say(h, "BEGIN");
    assert_non_null(strstr(host_say(h, bad), "outbox: constraint"));
    assert_says(h, all, "222");
    host_say(h, good);
    host_say(h, "COMMIT");
    assert_says(h, all, "244");
    /* Into another database of the connection. */
    host_say(h, "CREATE TEMP TABLE seqs(x); INSERT INTO seqs SELECT outbox_emit('x', NULL, NULL) FROM src");
    assert_string_equal(host_list(h, "SELECT x FROM seqs"), "5 6 7");
    assert_int_equal(committed(h, "SELECT count(*) FROM outbox"), 7);
}

/* There is no savepoint inside a writing statement: a row whose event fails takes everything with it. */
static void half_a_write_in_a_writing_statement_is_none(void **state)
{
    struct host *h = *state;
    host_say(h, "CREATE TABLE src(id); INSERT INTO src VALUES ('a'), ('b'); CREATE TABLE dst(x)");
    host_say(h, "CREATE TRIGGER no BEFORE INSERT ON outbox WHEN NEW.seq % 2 = 0 BEGIN SELECT RAISE(ABORT, 'no'); END");
    const char *sql = "INSERT INTO dst SELECT outbox_upsert('t', json_object('id', id)) FROM src";
    static const char all[] =
        "SELECT (SELECT count(*) FROM t) || (SELECT count(*) FROM dst) || (SELECT count(*) FROM change_log)";
    host_say(h, sql);
    assert_says(h, all, "000");
    assert_true(sqlite3_get_autocommit(h->db));
    host_say(h, "BEGIN; INSERT INTO dst VALUES (1)");
    assert_non_null(strstr(host_say(h, sql), "outbox: aborted: SQLite has rolled the whole transaction back"));
    assert_int_equal(sqlite3_extended_errcode(h->db), SQLITE_ABORT_ROLLBACK);
    assert_true(sqlite3_get_autocommit(h->db));
    assert_says(h, all, "000");
    /* Told once; then the connection is as good as new. */
    assert_says(h, "SELECT outbox_upsert('t', '{\"id\":\"a\"}')", "1");
}

static void a_busy_database_is_busy(void **state)
{
    struct host *h = *state;
    sqlite3 *other = host_connect(h);
    host_say_on(h, other, "BEGIN IMMEDIATE");
    assert_non_null(strstr(host_say(h, "SELECT outbox_emit('x', NULL, NULL)"), "outbox: busy: "));
    assert_int_equal(sqlite3_errcode(h->db), SQLITE_BUSY);
    host_say_on(h, other, "ROLLBACK");
    assert_says(h, "SELECT outbox_emit('x', NULL, NULL)", "1");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

/* ---- Loading and letting go ---- */

static void loaded_twice_on_a_connection_is_loaded_once(void **state)
{
    struct host *h = *state;
    host_say(h, "SELECT outbox_take('c')");
    sqlite3_stmt *st; /* in use while it happens */
    sqlite3_prepare_v2(h->db, "SELECT load_extension(?1), outbox_emit('x', NULL, NULL)", -1, &st, NULL);
    sqlite3_bind_text(st, 1, h->extension, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_says(h, "SELECT seq FROM outbox_read('c')", "1");
}

/* sqlite3_close() says BUSY where a statement is left: ours must be gone by then, and begin anew where it was refused. */
static void a_close_that_is_refused_does_no_harm(void **state)
{
    struct host *h = *state;
    sqlite3_stmt *st;
    sqlite3_prepare_v2(h->db, "SELECT 1", -1, &st, NULL);
    for (int i = 1; i <= 3; i++) {
        char seq[16];
        snprintf(seq, sizeof seq, "%d", i);
        assert_says(h, "SELECT outbox_emit('x', NULL, NULL)", seq);
        assert_says(h, "SELECT outbox_take('c')", "0");
        assert_int_equal(sqlite3_close(h->db), SQLITE_BUSY);
    }
    sqlite3_finalize(st); /* the teardown's close is fine */
    assert_says(h, "SELECT count(*) FROM outbox_read('c')", "3");
}

/* A host that closes with _v2 and leaves statements behind: the last of them ends it all. */
static void a_zombie_lets_go_of_everything(void **state)
{
    struct host *h = *state;
    sqlite3_stmt *st;
    sqlite3 *zombie = host_connect(h);
    host_say_on(h, zombie, "SELECT outbox_emit('x', NULL, NULL)");
    sqlite3_prepare_v2(zombie, "SELECT seq FROM outbox_read('c')", -1, &st, NULL);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_close_v2(zombie), SQLITE_OK);
    sqlite3_finalize(st);
    assert_says(h, "SELECT outbox_take('c')", "0"); /* its lock is free */
}

static char *fake_mprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = sqlite3_vmprintf(format, args);
    va_end(args);
    return text;
}

static int old_version(void)
{
    return 3039004;
}

static const char *old_words(void)
{
    return "3.39.4";
}

typedef int init(sqlite3 *, char **, const sqlite3_api_routines *);

static void another_copy_of_sqlite_is_refused_in_words(void **state)
{
    struct host *h = *state;
    static sqlite3_api_routines other = {.mprintf = fake_mprintf, .libversion_number = sqlite3_libversion_number};
    char file[600], *message = NULL;
    snprintf(file, sizeof file, "%s.so", h->extension);
    void *library = dlopen(file, RTLD_NOW);
    assert_non_null(library);
    init *load;
    *(void **)&load = dlsym(library, "sqlite3_modoutbox_init");
    assert_int_equal(load(h->db, &message, &other), SQLITE_MISUSE);
    assert_non_null(strstr(message, "another copy of SQLite"));
    sqlite3_free(message);
    dlclose(library);
}

static void an_old_sqlite_is_refused_in_words(void **state)
{
    struct host *h = *state;
    static sqlite3_api_routines old = {
        .mprintf = fake_mprintf, .libversion_number = old_version, .libversion = old_words};
    char file[600], *message = NULL;
    assert_int_equal(sqlite3_close(h->db), SQLITE_OK); /* or it would be the second SQLite */
    h->db = NULL;
    snprintf(file, sizeof file, "%s.so", h->extension);
    void *library = dlopen(file, RTLD_NOW);
    assert_non_null(library);
    init *load;
    *(void **)&load = dlsym(library, "sqlite3_outbox_init");
    assert_int_equal(load(NULL, &message, &old), SQLITE_ERROR);
    assert_string_equal(message, "mod_outbox needs SQLite 3.40 or later; this is 3.39.4");
    sqlite3_free(message);
    dlclose(library);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, host_setup, host_teardown)
    const struct CMUnitTest tests[] = {
        TEST(functions_do_what_the_library_does),
        TEST(an_assigned_key_is_the_last_insert_rowid),
        TEST(keys_and_revisions_come_as_any_value),
        TEST(a_captured_table_logs_what_plain_sql_writes),
        TEST(failures_have_the_librarys_words_and_a_code),
        TEST(an_argument_that_is_none_is_refused_by_its_function),
        TEST(a_database_without_tables_says_how_to_make_them),
        TEST(no_view_and_no_trigger_can_call_them),
        TEST(one_called_from_within_another_is_misuse),
        TEST(in_a_transaction_they_join_it),
        TEST(a_stepped_select_commits_row_by_row),
        TEST(in_a_statement_that_writes_they_join_it),
        TEST(half_a_write_in_a_writing_statement_is_none),
        TEST(a_busy_database_is_busy),
        TEST(loaded_twice_on_a_connection_is_loaded_once),
        TEST(a_close_that_is_refused_does_no_harm),
        TEST(a_zombie_lets_go_of_everything),
        TEST(another_copy_of_sqlite_is_refused_in_words),
        TEST(an_old_sqlite_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
