/* open_test.c — opening, attaching, migrating: whose tables these are, and who may touch them. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fixture.h"
#include "schema.h"

static void open_sets_wal_full_and_foreign_keys(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(fixture_text(f, "PRAGMA journal_mode"), "wal");
    assert_int_equal(fixture_int(f, "PRAGMA synchronous"), 2);
    assert_int_equal(fixture_int(f, "PRAGMA foreign_keys"), 1);
    assert_int_equal(fixture_int(f, "PRAGMA busy_timeout"), 5000);
    assert_int_equal(fixture_int(f, "PRAGMA user_version"), 0);
    assert_int_equal(fixture_int(f, "PRAGMA application_id"), 0);
    assert_int_equal(fixture_int(f, "SELECT value FROM outbox_meta WHERE name = 'schema_version'"), SCHEMA_VERSION);
    assert_string_equal(
        fixture_text(
            f,
            "SELECT 1 FROM outbox_meta WHERE name = 'source' AND length(value) = 16 AND value NOT GLOB '*[^0-9a-f]*'"),
        "1");
    outbox *other;
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL, .busy_timeout_ms = 7};
    assert_int_equal(outbox_open(f->path, &o, &other), OUTBOX_OK);
    assert_int_equal(sql_int(outbox_db(other), "PRAGMA synchronous"), 1);
    assert_int_equal(sql_int(outbox_db(other), "PRAGMA busy_timeout"), 7);
    outbox_close(other);
}

static void opening_again_keeps_the_source(void **state)
{
    struct fixture *f = *state;
    char source[32];
    outbox *other;
    snprintf(source, sizeof source, "%.16s", fixture_text(f, "SELECT value FROM outbox_meta WHERE name = 'source'"));
    assert_int_equal(outbox_open(f->path, NULL, &other), OUTBOX_OK);
    assert_string_equal(fixture_text(f, "SELECT value FROM outbox_meta WHERE name = 'source'"), source);
    outbox_close(other);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void what_cannot_be_opened_says_why(void **state)
{
    struct fixture *f = *state;
    char path[128];
    outbox *ob = NULL;
    outbox_open_options existing = {.size = sizeof existing, .flags = OUTBOX_OPEN_EXISTING};
    snprintf(path, sizeof path, "%s/missing.db", f->dir);
    assert_int_equal(outbox_open(path, &existing, &ob), OUTBOX_NOT_FOUND);
    assert_non_null(strstr(outbox_errmsg(NULL), "missing.db"));
    assert_int_equal(access(path, F_OK), -1);

    snprintf(path, sizeof path, "%s/text.db", f->dir);
    write_file(path,
               "this is a text file and no database at all, however long one reads in it: not a header in sight, none");
    assert_int_equal(outbox_open(path, NULL, &ob), OUTBOX_CORRUPT);
    assert_non_null(strstr(outbox_errmsg(NULL), "not a database"));

    snprintf(path, sizeof path, "%s/no/such/dir.db", f->dir);
    assert_int_equal(outbox_open(path, NULL, &ob), OUTBOX_IO);

    outbox_open_options unknown = {.size = sizeof unknown, .flags = 1024};
    assert_int_equal(outbox_open(f->path, &unknown, &ob), OUTBOX_INVALID);
    assert_int_equal(outbox_open(NULL, NULL, &ob), OUTBOX_MISUSE);
    assert_int_equal(outbox_attach(NULL, NULL, &ob), OUTBOX_MISUSE);
    assert_null(ob);
}

static void a_read_only_file_is_readonly(void **state)
{
    struct fixture *f = *state;
    char uri[160];
    sqlite3 *db;
    outbox *ob;
    snprintf(uri, sizeof uri, "file:%s?mode=ro", f->path);
    assert_int_equal(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL), SQLITE_OK);
    assert_int_equal(outbox_attach(db, NULL, &ob), OUTBOX_OK);
    assert_int_equal(outbox_emit(ob, "t", NULL, "1", -1, NULL, NULL), OUTBOX_READONLY);
    outbox_close(ob);
    sqlite3_close(db);
}

static void attach_changes_nothing(void **state)
{
    struct fixture *f = *state;
    char path[128];
    sqlite3 *db;
    outbox *ob = NULL;
    snprintf(path, sizeof path, "%s/plain.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sql_on(db, "CREATE TABLE t(id TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)");
    assert_int_equal(outbox_attach(db, NULL, &ob), OUTBOX_OK); /* it may be a reader's own database */
    outbox_reader *r = NULL;
    assert_int_equal(outbox_upsert_json(ob, "t", "{\"id\":\"a\"}", -1, 0, NULL, NULL), OUTBOX_SCHEMA);
    assert_non_null(strstr(outbox_errmsg(ob), "outboxctl"));
    sql_on(db, "BEGIN");
    assert_int_equal(outbox_emit(ob, "t", NULL, "1", -1, NULL, NULL), OUTBOX_SCHEMA);
    sql_on(db, "COMMIT");
    assert_int_equal(outbox_reader_open(ob, "c", NULL, &r), OUTBOX_SCHEMA);
    assert_non_null(strstr(outbox_errmsg(ob), "outboxctl"));
    outbox_close(ob);
    assert_int_equal(sql_int(db, "SELECT count(*) FROM sqlite_schema"), 2);
    assert_int_equal(sql_int(db, "SELECT count(*) FROM t"), 0);
    sql_on(db, outbox_schema_sql()); /* an application that owns its migrations */
    assert_int_equal(outbox_attach(db, NULL, &ob), OUTBOX_OK);
    assert_int_equal(outbox_upsert_json(ob, "t", "{\"id\":\"a\"}", -1, 0, NULL, NULL), OUTBOX_OK);
    assert_true(outbox_db(ob) == db);
    outbox_close(ob);
    assert_int_equal(sql_int(db, "SELECT count(*) FROM change_log"), 1);
    sqlite3_close(db);
}

static int another_sqlite(void)
{
    return 0;
}

static void another_copy_of_sqlite_is_misuse(void **state)
{
    struct fixture *f = *state;
    outbox *ob = NULL;
    assert_int_equal(outbox_attach_checked(outbox_db(f->ob), NULL, &ob, another_sqlite), OUTBOX_MISUSE);
    assert_int_equal((outbox_attach)(outbox_db(f->ob), NULL, &ob), OUTBOX_OK);
    outbox_close(ob);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    outbox *ob = NULL;
    fixture_sql(f, "UPDATE outbox_meta SET value = 99 WHERE name = 'schema_version'");
    assert_int_equal(outbox_open(f->path, NULL, &ob), OUTBOX_OK); /* newer, but this library may still write */
    outbox_close(ob);
    fixture_sql(f, "UPDATE outbox_meta SET value = 98 WHERE name = 'min_version'");
    ob = NULL;
    assert_int_equal(outbox_open(f->path, NULL, &ob), OUTBOX_NEWER);
    assert_int_equal(outbox_attach(outbox_db(f->ob), NULL, &ob), OUTBOX_NEWER);
    assert_null(ob);
    assert_int_equal(fixture_int(f, "SELECT value FROM outbox_meta WHERE name = 'schema_version'"), 99);
}

static void a_handle_learns_that_the_schema_became_too_new(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;
    assert_ok(f, outbox_emit(f->ob, "t", NULL, "1", -1, NULL, NULL));
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    sql_on(db, "UPDATE outbox_meta SET value = 98 WHERE name = 'min_version'");
    assert_code(f, OUTBOX_NEWER, outbox_emit(f->ob, "t", NULL, "1", -1, NULL, NULL));
    sqlite3_close(db);
}

static const struct foreign_case {
    const char *sql, *words;
} foreign_cases[] = {
    {"CREATE TABLE outbox(id INTEGER, body TEXT)", "ALTER TABLE \"outbox\" RENAME TO \"outbox_old\""},
    {"CREATE TABLE Change_Log(x)", "ALTER TABLE \"Change_Log\" RENAME TO"},
    {"CREATE TABLE outbox_meta(a, b)", "ALTER TABLE \"outbox_meta\" RENAME TO"},
    {"CREATE TABLE outbox_meta(name, value); INSERT INTO outbox_meta VALUES ('x', 1)",
     "ALTER TABLE \"outbox_meta\" RENAME TO"},
    {"CREATE VIEW outbox_events AS SELECT 1", "view \"outbox_events\""},
    {"CREATE TABLE consumer_offsets(consumer TEXT PRIMARY KEY, n)", "ALTER TABLE \"consumer_offsets\" RENAME TO"},
};

static void a_table_of_ours_by_name_only_is_never_touched(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof foreign_cases / sizeof *foreign_cases; i++) {
        char path[128];
        sqlite3 *db;
        outbox *ob = NULL;
        snprintf(path, sizeof path, "%s/foreign%zu.db", f->dir, i);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        sql_on(db, foreign_cases[i].sql);
        int64_t before = sql_int(db, "SELECT count(*) FROM sqlite_schema");
        assert_int_equal(outbox_open(path, NULL, &ob), OUTBOX_SCHEMA);
        if (!strstr(outbox_errmsg(NULL), foreign_cases[i].words))
            fail_msg("%s: %s", foreign_cases[i].sql, outbox_errmsg(NULL));
        assert_int_equal(sql_int(db, "SELECT count(*) FROM sqlite_schema"), before);
        sqlite3_close(db);
    }
}

static void consumer_offsets_of_a_file_reader_is_taken_over(void **state)
{
    struct fixture *f = *state;
    char path[128];
    sqlite3 *db;
    outbox *ob;
    snprintf(path, sizeof path, "%s/reader.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    const char *from = strstr(outbox_schema_sql(), "CREATE TABLE IF NOT EXISTS consumer_offsets");
    char *create = sqlite3_mprintf("%.*s", (int)(strstr(from, ";") - from), from);
    sql_on(db, create);
    sql_on(db, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES ('r', 5)");
    assert_int_equal(outbox_open(path, NULL, &ob), OUTBOX_OK);
    assert_int_equal(sql_int(db, "SELECT acked_seq FROM consumer_offsets"), 5);
    outbox_close(ob);
    sqlite3_free(create);
    sqlite3_close(db);
}

/* A migration to come: what 002-….sql might be. */
static const char *const two_steps[] = {
    "CREATE TABLE outbox_meta(name TEXT PRIMARY KEY, value ANY) STRICT;"
    "INSERT INTO outbox_meta VALUES ('schema_version', 1), ('min_version', 1), ('source', '0123456789abcdef')",
    "CREATE TABLE later(x); UPDATE outbox_meta SET value = 2 WHERE name = 'schema_version'",
};
static const char *const broken_step[] = {
    "", "CREATE TABLE later(x); UPDATE outbox_meta SET value = 2 WHERE name = 'schema_version'; CREATE TABLE later(x)"};

static void an_older_schema_is_migrated_in_one_transaction(void **state)
{
    struct fixture *f = *state;
    char path[128], words[256];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/old.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(schema_migrate(db, two_steps, 1, words, sizeof words), OUTBOX_OK);
    /* The second step fails half way: the database is what it was. */
    assert_int_not_equal(schema_migrate(db, broken_step, 2, words, sizeof words), OUTBOX_OK);
    assert_int_equal(sqlite3_get_autocommit(db), 1);
    assert_int_equal(sql_int(db, "SELECT value FROM outbox_meta WHERE name = 'schema_version'"), 1);
    assert_int_equal(sql_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'later'"), 0);
    assert_int_equal(schema_migrate(db, two_steps, 2, words, sizeof words), OUTBOX_OK);
    assert_int_equal(sql_int(db, "SELECT value FROM outbox_meta WHERE name = 'schema_version'"), 2);
    assert_int_equal(schema_migrate(db, two_steps, 2, words, sizeof words), OUTBOX_OK);
    sqlite3_close(db);
}

enum { OPENERS = 8 };

static void processes_that_open_a_new_file_together_all_succeed(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/together.db", f->dir);
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < OPENERS; i++) {
        if (fork() == 0) {
            char go;
            outbox *ob;
            close(gate[1]);
            if (read(gate[0], &go, 1) != 0) /* until the parent opens the gate for all at once */
                _exit(3);
            int code = outbox_open(path, NULL, &ob);
            if (code != OUTBOX_OK) {
                fprintf(stderr, "open: %s\n", outbox_errmsg(NULL));
                _exit(1);
            }
            code = outbox_emit(ob, "t", NULL, "1", -1, NULL, NULL);
            outbox_close(ob);
            _exit(code == OUTBOX_OK ? 0 : 2);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < OPENERS; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    outbox *ob;
    assert_int_equal(outbox_open(path, NULL, &ob), OUTBOX_OK);
    assert_int_equal(sql_int(outbox_db(ob), "SELECT count(*) FROM change_log"), OPENERS);
    outbox_close(ob);
}

static void every_code_has_words(void **state)
{
    (void)state;
    for (int code = OUTBOX_OK; code <= OUTBOX_INTERRUPTED; code++)
        assert_string_not_equal(outbox_strerror(code), "unknown code");
    for (int code = OUTBOX_INVALID; code <= OUTBOX_ERROR; code++)
        assert_string_not_equal(outbox_strerror(code), "unknown code");
    assert_string_equal(outbox_strerror(99), "unknown code");
    assert_int_equal(OUTBOX_ERROR, 115);
    outbox_close(NULL);
    outbox_reader_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(open_sets_wal_full_and_foreign_keys),
        TEST(opening_again_keeps_the_source),
        TEST(what_cannot_be_opened_says_why),
        TEST(a_read_only_file_is_readonly),
        TEST(attach_changes_nothing),
        TEST(another_copy_of_sqlite_is_misuse),
        TEST(a_newer_schema_is_refused_and_left_alone),
        TEST(a_handle_learns_that_the_schema_became_too_new),
        TEST(a_table_of_ours_by_name_only_is_never_touched),
        TEST(consumer_offsets_of_a_file_reader_is_taken_over),
        TEST(an_older_schema_is_migrated_in_one_transaction),
        TEST(processes_that_open_a_new_file_together_all_succeed),
        TEST(every_code_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
