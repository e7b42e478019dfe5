/* write_edges_test.c — writes at the edges of what a table, a row, an option and a transaction can be: refused in words with
 * nothing written, or exact.
 */
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "fixture.h"

static const char create[] =
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, total REAL, revision INTEGER NOT NULL DEFAULT 1)";

static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state, create);
    return rc;
}

static int put(struct fixture *f, const char *customer, int64_t expected, const outbox_write_options *options)
{
    outbox_value row[] = {outbox_int("id", 1), outbox_text("customer", customer)};
    return outbox_upsert(f->ob, "orders", row, 2, expected, options, NULL);
}

/* ---- Options ---- */

static const struct option_case {
    outbox_write_options options;
    const char *words;
} bad_options[] = {
    {{.flags = 64}, "write options: unknown flag in 0x40"},
    {{.topic = ""}, "topic: empty; leave it NULL for the default"},
    {{.topic = "caf\xe9"}, "topic: malformed UTF-8 at byte 3"},
    {{.ordering_key = "\xff"}, "ordering_key: malformed UTF-8 at byte 0"},
    {{.headers = ""}, "headers: "},
    {{.headers = "{\"a\":"}, "headers: "},
    {{.headers = "[\"a\"]"}, "headers: not a JSON object"},
    {{.headers = "null"}, "headers: not a JSON object"},
    {{.headers = "{\"a\":1}"}, "headers: the value of \"a\" is not a string"},
    {{.headers = "{\"a\":\"1\",\"b\":{}}"}, "headers: the value of \"b\" is not a string"},
    /* The first fault is told. */
    {{.topic = "\xff", .ordering_key = "\xfe", .headers = "{"}, "topic: malformed"},
    {{.ordering_key = "\xfe", .headers = "{"}, "ordering_key: malformed"},
};

static void a_write_option_that_makes_no_sense_is_refused_by_every_call(void **state)
{
    struct fixture *f = *state;
    assert_ok(f, put(f, "ann", 0, NULL));
    for (size_t i = 0; i < sizeof bad_options / sizeof *bad_options; i++) {
        outbox_write_options o = bad_options[i].options;
        o.size = sizeof o;
        assert_refused(f, OUTBOX_INVALID, bad_options[i].words, put(f, "bob", 1, &o));
        assert_refused(f, OUTBOX_INVALID, bad_options[i].words, outbox_delete(f->ob, "orders", "1", 1, &o));
        assert_refused(f, OUTBOX_INVALID, bad_options[i].words, outbox_emit(f->ob, "t", "k", "1", -1, &o, NULL));
    }
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 1);
}

static void a_flag_is_for_the_call_that_knows_it(void **state)
{
    struct fixture *f = *state;
    outbox_write_options o = {.size = sizeof o, .flags = OUTBOX_BLOB};
    assert_refused(f, OUTBOX_INVALID, "OUTBOX_BLOB is for outbox_emit", put(f, "ann", 0, &o));
    assert_refused(f, OUTBOX_INVALID, "outbox_delete takes no flags", outbox_delete(f->ob, "orders", "1", 1, &o));
    o.flags = OUTBOX_SKIP_UNCHANGED;
    assert_refused(f, OUTBOX_INVALID, "no OUTBOX_SKIP_UNCHANGED", outbox_emit(f->ob, "t", "k", "1", -1, &o, NULL));
    o = (outbox_write_options){.size = sizeof o, .topic = "u"};
    assert_refused(f, OUTBOX_INVALID, "takes its topic as a parameter",
                   outbox_emit(f->ob, "t", "k", "1", -1, &o, NULL));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 0);
}

/* ---- Rows ---- */

static void a_value_made_of_nothing_is_refused(void **state)
{
    struct fixture *f = *state;
    outbox_value zero[] = {outbox_int("id", 1), {0}};
    zero[1].type = OUTBOX_TYPE_NULL - 1;
    assert_refused(f, OUTBOX_INVALID, "column NULL: not a value of this library",
                   outbox_upsert(f->ob, "orders", zero, 2, 0, NULL, NULL));
    outbox_value nameless[] = {outbox_int("id", 1), outbox_text(NULL, "\xff")};
    assert_refused(f, OUTBOX_INVALID, "column NULL: malformed UTF-8 at byte 0",
                   outbox_upsert(f->ob, "orders", nameless, 2, 0, NULL, NULL));
    /* Also where the same number of columns is known by their names. */
    assert_ok(f, put(f, "ann", 0, NULL));
    outbox_value second[] = {outbox_int("id", 1), outbox_text(NULL, "x")};
    assert_refused(f, OUTBOX_INVALID, "table orders has no column NULL",
                   outbox_upsert(f->ob, "orders", second, 2, 1, NULL, NULL));
}

/* What outbox_get gave, written back as it is, revision and all. */
static void a_row_read_and_written_back_is_unchanged(void **state)
{
    struct fixture *f = *state;
    outbox_write_options o = {.size = sizeof o, .flags = OUTBOX_SKIP_UNCHANGED};
    const char *row;
    int64_t revision = 0;
    assert_ok(f, put(f, "ann", 0, NULL));
    assert_ok(f, put(f, "bob", 1, NULL));
    assert_ok(f, outbox_get(f->ob, "orders", "1", &row, &revision));
    char *copy = strdup(row);
    assert_ok(f, outbox_upsert_json(f->ob, "orders", copy, -1, revision, &o, &revision));
    assert_int_equal(revision, 2);
    assert_int_equal(outbox_last_seq(f->ob), 0);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 2);
    free(copy);
}

/* Neither has a byte to point at; one is not the other, and neither is NULL. */
static void an_empty_blob_is_no_empty_text_and_no_null(void **state)
{
    struct fixture *f = *state;
    outbox_write_options bytes = {.size = sizeof bytes, .flags = OUTBOX_BLOB};
    outbox_reader *r;
    const outbox_event *e;
    fixture_sql(f, "CREATE TABLE t(id INTEGER PRIMARY KEY, v, revision INTEGER NOT NULL DEFAULT 1)");
    outbox_value rows[][2] = {{outbox_int("id", 1), outbox_blob("v", NULL, 0)},
                              {outbox_int("id", 2), outbox_text("v", "")},
                              {outbox_int("id", 3), outbox_null("v")}};
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    for (size_t i = 0; i < 3; i++)
        assert_ok(f, outbox_upsert(f->ob, "t", rows[i], 2, 0, NULL, NULL));
    assert_string_equal(fixture_text(f, "SELECT group_concat(typeof(v), ' ') FROM t"), "blob text null");
    assert_string_equal(fixture_log(f, "payload->>'$.v' IS NULL"), "0 0 1");
    assert_ok(f, outbox_emit(f->ob, "t", "k", "", 0, &bytes, NULL));
    for (int i = 0; i < 4; i++)
        assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_true(e->payload_is_blob);
    assert_non_null(e->payload);
    assert_int_equal(e->payload_size, 0);
    outbox_reader_close(r);
}

static void a_row_without_a_key_that_is_refused_is_named_as_such(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT CHECK (n < 10), revision INTEGER NOT NULL DEFAULT 1)");
    assert_refused(f, OUTBOX_CONSTRAINT, "table t, key (to be assigned): CHECK constraint failed",
                   outbox_upsert_json(f->ob, "t", "{\"n\":11}", -1, 0, NULL, NULL));
}

/* As deep as JSON may be, and one deeper, of objects and of arrays. */
static void a_payload_may_be_so_deep_and_no_deeper(void **state)
{
    enum { DEPTH = 1000 };
    struct fixture *f = *state;
    static const char *const opening[] = {"[", "{\"a\":"}, *const closing[] = {"]", "}"};
    char *text = malloc(DEPTH * 8);
    for (int kind = 0; kind < 2; kind++)
        for (int deeper = 0; deeper < 2; deeper++) {
            text[0] = '\0';
            char *at = text;
            for (int i = 0; i < DEPTH + deeper; i++)
                at = stpcpy(at, opening[kind]);
            at = stpcpy(at, "1");
            for (int i = 0; i < DEPTH + deeper; i++)
                at = stpcpy(at, closing[kind]);
            assert_code(f, deeper ? OUTBOX_INVALID : OUTBOX_OK, outbox_emit(f->ob, "t", "k", text, -1, NULL, NULL));
        }
    free(text);
}

/* More columns than a handle makes room for at first, and more sets of them than it keeps statements for. */
static void a_wide_table_takes_any_set_of_its_columns(void **state)
{
    enum { COLUMNS = 80 };
    struct fixture *f = *state;
    char sql[2048] = "CREATE TABLE wide(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1";
    char row[4096] = "{\"id\":1";
    for (int i = 0; i < COLUMNS; i++) {
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", c%d INT", i);
        snprintf(row + strlen(row), sizeof row - strlen(row), ",\"c%d\":%d", i, i);
    }
    fixture_sql(f, strcat(sql, ")"));
    assert_ok(f, outbox_upsert_json(f->ob, "wide", strcat(row, "}"), -1, 0, NULL, NULL));
    int64_t revision = 1;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COLUMNS; i++) {
            snprintf(row, sizeof row, "c%d", i);
            outbox_value two[] = {outbox_int("id", 1), outbox_int(row, 1000 * (round + 1) + i)};
            assert_ok(f, outbox_upsert(f->ob, "wide", two, 2, revision, NULL, &revision));
        }
    assert_int_equal(revision, 1 + 2 * COLUMNS);
    assert_int_equal(fixture_int(f, "SELECT c0 + c63 + c64 + c79 FROM wide"), 2000 + 2063 + 2064 + 2079);
}

static const struct table_case {
    const char *create, *table;
    int code;
    const char *words;
} tables[] = {
    {"CREATE TABLE t(id TEXT, revision INTEGER, PRIMARY KEY (id, revision))", "t", OUTBOX_INVALID,
     "table t: revision is part of the primary key; it must be a column of its own"},
    {"CREATE TABLE t(id TEXT PRIMARY KEY, revision INTEGER GENERATED ALWAYS AS (1))", "t", OUTBOX_INVALID,
     "table t has no revision column"},
    {"CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, revision INTEGER NOT NULL DEFAULT 1)", "sqlite_sequence",
     OUTBOX_INVALID, "no such table: sqlite_sequence"},
    {"CREATE VIRTUAL TABLE t USING fts5(id, revision)", "t", OUTBOX_INVALID, "t is a virtual; rows are written"},
    /* Its own triggers have their say after ours. */
    {"CREATE TABLE t(id TEXT PRIMARY KEY, n INT, revision INTEGER NOT NULL DEFAULT 1);"
     "CREATE TRIGGER t1 AFTER INSERT ON t BEGIN DELETE FROM t WHERE id = NEW.id; END",
     "t", OUTBOX_CONSTRAINT, "table t: a trigger of its own removed the row just written"},
    {"CREATE TABLE t(id TEXT PRIMARY KEY, n INT, revision INTEGER NOT NULL DEFAULT 1);"
     "CREATE TRIGGER t1 AFTER INSERT ON t BEGIN UPDATE t SET revision = 0 WHERE id = NEW.id; END",
     "t", OUTBOX_INVALID, "key a: a trigger set the revision to 0, which was 0 before; it must rise"},
    {"CREATE TABLE other(id INTEGER PRIMARY KEY);"
     "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, revision INTEGER NOT NULL DEFAULT 1);"
     "CREATE TRIGGER t1 AFTER INSERT ON t BEGIN INSERT INTO other VALUES (NEW.id); END",
     "t", OUTBOX_INVALID, "datatype mismatch"},
};

static void a_table_that_cannot_be_written_says_why(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        fixture_sql(f, tables[i].create);
        assert_refused(f, tables[i].code, tables[i].words,
                       outbox_upsert_json(f->ob, tables[i].table, "{\"id\":\"a\"}", -1, 0, NULL, NULL));
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 0);
        fixture_sql(f, "DROP TABLE t");
    }
}

static void a_key_deleted_at_the_last_revision_stays_deleted(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "INSERT INTO change_log(topic, table_name, key, op, revision, created_at)"
                   " VALUES ('orders', 'orders', '1', 'delete', 9223372036854775807, 0)");
    assert_refused(f, OUTBOX_INVALID, "key 1: the revision is at the end of its range", put(f, "ann", 0, NULL));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM orders"), 0);
}

/* A limit that the application has set on its connection. */
static void a_row_larger_than_sqlite_may_hold_is_too_big(void **state)
{
    struct fixture *f = *state;
    char *text = calloc(1, 5001);
    memset(text, 'x', 5000);
    assert_ok(f, put(f, "ann", 0, NULL));
    int limit = sqlite3_limit(outbox_db(f->ob), SQLITE_LIMIT_LENGTH, 3000);
    assert_code(f, OUTBOX_TOOBIG, put(f, text, 1, NULL));
    sqlite3_limit(outbox_db(f->ob), SQLITE_LIMIT_LENGTH, limit);
    assert_ok(f, put(f, text, 1, NULL));
    assert_string_equal(fixture_log(f, "op"), "insert update");
    free(text);
}

/* ---- Transactions and handles ---- */

/* The application's own BEGIN: outbox_commit knows of the loss because a write of ours met it. */
static void a_commit_of_what_sqlite_has_rolled_back_is_aborted(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE once(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
                   "CREATE TRIGGER never AFTER INSERT ON once BEGIN SELECT RAISE(ROLLBACK, 'never'); END");
    outbox_value row[] = {outbox_int("id", 1)};
    fixture_sql(f, "BEGIN IMMEDIATE");
    assert_ok(f, put(f, "ann", 0, NULL));
    assert_refused(f, OUTBOX_ABORTED, "never", outbox_upsert(f->ob, "once", row, 1, 0, NULL, NULL));
    assert_refused(f, OUTBOX_ABORTED, "nothing was committed", outbox_commit(f->ob));
    assert_refused(f, OUTBOX_MISUSE, "there is no transaction to commit", outbox_commit(f->ob));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM orders"), 0);
}

static void *commit_soon(void *db)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    sql_on(db, "COMMIT");
    return NULL;
}

/* WAL can be set only when nobody is writing: that is waited for, as long as for any lock. */
static void a_new_handle_waits_for_who_writes_in_another_journal_mode(void **state)
{
    struct fixture *f = *state;
    const outbox_open_options brief = {.size = sizeof brief, .busy_timeout_ms = 30};
    char path[128];
    sqlite3 *other = NULL;
    outbox *ob = NULL;
    snprintf(path, sizeof path, "%s/plain.db", f->dir);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 5000); /* its commit waits for our look at the header in turn */
    sql_on(other, "PRAGMA journal_mode = DELETE; CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
    assert_int_equal(outbox_open(path, &brief, &ob), OUTBOX_BUSY);
    assert_null(ob);
    if (!strstr(outbox_errmsg(NULL), "journal_mode = WAL"))
        fail_msg("%s", outbox_errmsg(NULL));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, commit_soon, other), 0);
    assert_int_equal(outbox_open(path, NULL, &ob), OUTBOX_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    outbox_close(ob);
    sqlite3_close(other);
}

static void nowhere_to_put_a_handle_is_misuse(void **state)
{
    struct fixture *f = *state;
    outbox *ob = NULL;
    assert_int_equal(outbox_open(f->path, NULL, NULL), OUTBOX_MISUSE);
    assert_int_equal(outbox_open(NULL, NULL, &ob), OUTBOX_MISUSE);
    assert_int_equal(outbox_attach(outbox_db(f->ob), NULL, NULL), OUTBOX_MISUSE);
    assert_int_equal(outbox_attach(NULL, NULL, &ob), OUTBOX_MISUSE);
    assert_null(ob);
    const outbox_open_options odd = {.size = sizeof odd, .synchronous = 77};
    assert_int_equal(outbox_open(f->path, &odd, &ob), OUTBOX_INVALID);
    assert_null(ob);
}

/* ---- Readers ---- */

static const struct reader_case {
    outbox_reader_options options;
    const char *words;
} bad_readers[] = {
    {{.from = -1}, "from or batch_count out of range"},
    {{.from = 77}, "from or batch_count out of range"},
    {{.batch_count = -1}, "from or batch_count out of range"},
    {{.batch_count = 1000000000}, "from or batch_count out of range"},
};

static void a_reader_option_out_of_its_range_is_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof bad_readers / sizeof *bad_readers; i++) {
        outbox_reader_options o = bad_readers[i].options;
        outbox_reader *r = NULL;
        o.size = sizeof o;
        assert_refused(f, OUTBOX_INVALID, bad_readers[i].words, outbox_reader_open(f->ob, "c", &o, &r));
        assert_null(r);
    }
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM consumer_offsets"), 0);
    assert_int_equal(outbox_reader_gap(NULL, NULL, NULL), OUTBOX_MISUSE);
}

/* Where the consumer's lock is to be stands what is no file of ours. */
static void a_lock_that_cannot_be_a_lock_is_an_error_of_its_path(void **state)
{
    struct fixture *f = *state;
    static const char *const obstacles[] = {"mkdir", "mkfifo", "ln -s /tmp"};
    for (size_t i = 0; i < sizeof obstacles / sizeof *obstacles; i++) {
        char command[256];
        outbox_reader *r = NULL;
        snprintf(command, sizeof command, "%s %s.c.lock", obstacles[i], f->path);
        assert_int_equal(system(command), 0);
        assert_refused(f, OUTBOX_IO, ".c.lock: ", outbox_reader_open(f->ob, "c", NULL, &r));
        assert_null(r);
        snprintf(command, sizeof command, "rm -r %s.c.lock", f->path);
        assert_int_equal(system(command), 0);
    }
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM consumer_offsets"), 0);
}

/* A listener keeps nothing, so that it can be in memory; a snapshot is read by a connection of its own. */
static void a_snapshot_of_a_database_in_memory_needs_a_file(void **state)
{
    struct fixture *f = *state;
    char path[128];
    sqlite3 *db = NULL;
    outbox *ob = NULL;
    outbox_reader *r = NULL;
    snprintf(path, sizeof path, "%s/events.jsonl", f->dir);
    outbox_reader_options o = {.size = sizeof o, .jsonl = path};
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(outbox_attach(db, NULL, &ob), OUTBOX_OK);
    assert_int_equal(outbox_reader_open(ob, NULL, &o, &r), OUTBOX_OK);
    outbox_reader *named = NULL;
    assert_int_equal(outbox_reader_open(ob, "c", &o, &named), OUTBOX_INVALID);
    if (!strstr(outbox_errmsg(ob), "a database in memory has no consumers"))
        fail_msg("%s", outbox_errmsg(ob));
    assert_null(named);
    assert_int_equal(outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT), OUTBOX_INVALID);
    if (!strstr(outbox_errmsg(ob), "a database in memory has no snapshot; name a file in snapshot_db"))
        fail_msg("%s", outbox_errmsg(ob));
    outbox_reader_close(r);
    outbox_close(ob);
    sqlite3_close(db);
}

static void a_database_in_memory_has_writers_and_no_readers(void **state)
{
    (void)state;
    sqlite3 *db = NULL;
    outbox *ob = NULL;
    outbox_reader *r = NULL;
    int64_t seq = 0;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(outbox_attach(db, NULL, &ob), OUTBOX_OK);
    assert_int_equal(outbox_emit(ob, "t", "k", "1", -1, NULL, &seq), OUTBOX_SCHEMA);
    if (!strstr(outbox_errmsg(ob), "outboxctl --db PATH init"))
        fail_msg("%s", outbox_errmsg(ob));
    assert_int_equal(outbox_migrate(ob), OUTBOX_OK);
    assert_int_equal(outbox_emit(ob, "t", "k", "1", -1, NULL, &seq), OUTBOX_OK);
    assert_int_equal(seq, 1);
    for (int named = 0; named < 2; named++) {
        assert_int_equal(outbox_reader_open(ob, named ? "c" : NULL, NULL, &r), OUTBOX_INVALID);
        if (!strstr(outbox_errmsg(ob), "a database in memory has no consumers"))
            fail_msg("%s", outbox_errmsg(ob));
        assert_null(r);
    }
    outbox_close(ob);
    sqlite3_close(db);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_write_option_that_makes_no_sense_is_refused_by_every_call),
        T(a_flag_is_for_the_call_that_knows_it),
        T(a_value_made_of_nothing_is_refused),
        T(a_row_read_and_written_back_is_unchanged),
        T(an_empty_blob_is_no_empty_text_and_no_null),
        T(a_row_without_a_key_that_is_refused_is_named_as_such),
        T(a_payload_may_be_so_deep_and_no_deeper),
        T(a_wide_table_takes_any_set_of_its_columns),
        T(a_table_that_cannot_be_written_says_why),
        T(a_key_deleted_at_the_last_revision_stays_deleted),
        T(a_row_larger_than_sqlite_may_hold_is_too_big),
        T(a_commit_of_what_sqlite_has_rolled_back_is_aborted),
        T(a_new_handle_waits_for_who_writes_in_another_journal_mode),
        T(nowhere_to_put_a_handle_is_misuse),
        T(a_reader_option_out_of_its_range_is_refused),
        T(a_lock_that_cannot_be_a_lock_is_an_error_of_its_path),
        T(a_snapshot_of_a_database_in_memory_needs_a_file),
        cmocka_unit_test(a_database_in_memory_has_writers_and_no_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
