/* edges_test.c — the ends of ranges: sizes, keys and topics of every shape, the last revision, the last seq, a thousand
 * forked children. Refused in words, or exact.
 */
#include <sys/wait.h>

#include "fixture.h"
#include "utf8.h"

static void things(struct fixture *f)
{
    fixture_sql(f, "CREATE TABLE things(id TEXT PRIMARY KEY, note TEXT, revision INTEGER NOT NULL DEFAULT 1)");
}

static int upsert(struct fixture *f, const char *id, int64_t expected)
{
    outbox_value row[] = {outbox_text("id", id), outbox_text("note", "n")};
    return outbox_upsert(f->ob, "things", row, 2, expected, NULL, NULL);
}

static void the_limit_is_accepted_and_one_byte_more_is_not(void **state)
{
    struct fixture *f = *state;
    enum { LIMIT = 1048576 };
    char *text = malloc(LIMIT + 2);
    memset(text, 'x', LIMIT + 1);
    text[0] = text[LIMIT - 1] = '"';
    assert_ok(f, outbox_emit(f->ob, "t", "k", text, LIMIT, NULL, NULL));
    text[LIMIT - 1] = 'x';
    text[LIMIT] = '"';
    assert_code(f, OUTBOX_TOOBIG, outbox_emit(f->ob, "t", "k", text, LIMIT + 1, NULL, NULL));
    assert_non_null(strstr(outbox_errmsg(f->ob), "1048577"));
    outbox_write_options bytes = {.size = sizeof bytes, .flags = OUTBOX_BLOB};
    assert_ok(f, outbox_emit(f->ob, "t", "k", text, LIMIT, &bytes, NULL));
    assert_code(f, OUTBOX_TOOBIG, outbox_emit(f->ob, "t", "k", text, LIMIT + 1, &bytes, NULL));
    assert_ok(f, outbox_emit(f->ob, "t", "k", "", 0, &bytes, NULL));
    assert_ok(f, outbox_emit(f->ob, "t", "k", NULL, 0, NULL, NULL));
    assert_string_equal(fixture_log(f, "coalesce(length(CAST(payload AS BLOB)), 'none')"), "1048576 1048576 0 none");
    free(text);
}

/* What was accepted comes back byte for byte. */
static char *xs(size_t size)
{
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = 0;
    return text;
}

static void what_goes_with_a_payload_has_the_limit_too(void **state)
{
    struct fixture *f = *state;
    enum { LIMIT = 1048576 };
    for (size_t size = LIMIT; size <= LIMIT + 1; size++) {
        int code = size > LIMIT ? OUTBOX_TOOBIG : OUTBOX_OK;
        char *text = xs(size), *headers = xs(size);
        memcpy(headers, "{\"a\":\"", 6);
        memcpy(headers + size - 2, "\"}", 2);
        outbox_write_options ordered = {.size = sizeof ordered, .ordering_key = text};
        outbox_write_options headed = {.size = sizeof headed, .headers = headers};
        assert_code(f, code, outbox_emit(f->ob, text, "k", "1", -1, NULL, NULL));
        assert_code(f, code, outbox_emit(f->ob, "t", text, "1", -1, NULL, NULL));
        assert_code(f, code, outbox_emit(f->ob, "t", "k", "1", -1, &ordered, NULL));
        assert_code(f, code, outbox_emit(f->ob, "t", "k", "1", -1, &headed, NULL));
        if (code != OUTBOX_OK)
            assert_non_null(strstr(outbox_errmsg(f->ob), "headers: 1048577 bytes"));
        free(text);
        free(headers);
    }
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 4);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox"), 4);
}

static void keys_and_topics_of_every_shape_are_exact(void **state)
{
    static const char *const shapes[] = {
        "'",
        "\"",
        "''; DROP TABLE outbox; --",
        "../../etc/passwd",
        "a\nb",
        "a\rb",
        "a\tb",
        "\033[31m",
        " ",
        "%s%n",
        "{\"$base64\":\"AA==\"}",
        "[1,2]",
        "0",
        "-1",
        "9223372036854775808",
        "NULL",
        "\xe2\x80\xa8",
        "\xf0\x9f\x98\x80",
        "\x7f",
        "\xef\xbb\xbf",
        "/",
        "\\",
        "*",
        "?",
        "a;b",
        "%00",
    };
    struct fixture *f = *state;
    outbox_reader *r;
    const outbox_event *e;
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        assert_ok(f, outbox_emit(f->ob, shapes[i], shapes[i], NULL, 0, NULL, NULL));
        assert_ok(f, outbox_reader_next(r, 0, &e));
        assert_string_equal(e->topic, shapes[i]);
        assert_string_equal(e->key, shapes[i]);
        assert_string_equal(outbox_last_key(f->ob), shapes[i]);
    }
    outbox_reader_close(r);
}

static void a_key_of_a_megabyte_is_exact(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 1 << 20 };
    char *key = malloc(SIZE + 1);
    memset(key, 'k', SIZE);
    key[SIZE] = '\0';
    things(f);
    outbox_value row[] = {outbox_text("id", key)};
    int code = outbox_upsert(f->ob, "things", row, 1, 0, NULL, NULL);
    assert_int_equal(code, OUTBOX_TOOBIG); /* the row, with its key, is over max-payload */
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM things"), 0);
    key[SIZE / 2] = '\0';
    assert_ok(f, outbox_upsert(f->ob, "things", (outbox_value[]){outbox_text("id", key)}, 1, 0, NULL, NULL));
    assert_string_equal(outbox_last_key(f->ob), key);
    assert_ok(f, outbox_delete(f->ob, "things", key, 1, NULL));
    free(key);
}

/* Of these a message is made that is too long, at every place within a character. */
static const char *const characters[] = {"k", "\u00e9", "\u20ac", "\U0001f600"};

static void repeat(char *text, size_t size, const char *character, size_t shift)
{
    memset(text, 'k', shift);
    for (text += shift, size -= shift; size > strlen(character); size -= strlen(character))
        text = stpcpy(text, character);
    *text = '\0';
}

static void assert_ends(struct fixture *f, const char *words)
{
    const char *message = outbox_errmsg(f->ob);
    size_t size = strlen(message);
    assert_true(utf8_valid(message, size, NULL));
    assert_true(size >= strlen(words));
    assert_string_equal(message + size - strlen(words), words);
}

/* The packages of other languages read what was found from the end of the message. */
static void what_is_wrong_with_a_long_key_is_said_whole(void **state)
{
    struct fixture *f = *state;
    char key[1400];
    things(f);
    fixture_sql(f,
                "CREATE TRIGGER no BEFORE UPDATE ON things WHEN old.revision = 2 BEGIN SELECT RAISE(ABORT, 'no'); END");
    for (size_t i = 0; i < 4 * sizeof characters / sizeof *characters; i++) {
        repeat(key, i < 12 ? sizeof key : 980 + i, characters[i / 4], i % 4);
        assert_ok(f, upsert(f, key, 0));
        assert_code(f, OUTBOX_CONFLICT, upsert(f, key, 7));
        assert_ends(f, ": expected revision 7, found 1");
        assert_code(f, OUTBOX_CONFLICT, upsert(f, key, 0));
        assert_ends(f, ": expected no row, found revision 1");
        assert_ok(f, upsert(f, key, 1));
        assert_code(f, OUTBOX_CONSTRAINT, upsert(f, key, 2));
        assert_ends(f, ": no");
        assert_ok(f, outbox_delete(f->ob, "things", key, 2, NULL));
        assert_code(f, OUTBOX_CONFLICT, upsert(f, key, 3));
        assert_ends(f, ": expected revision 3, found no row");
        assert_code(f, OUTBOX_NOT_FOUND, outbox_delete(f->ob, "things", key, OUTBOX_ANY_REVISION, NULL));
        assert_ends(f, ": no such row");
        fixture_sql(f, "DELETE FROM change_log");
    }
}

/* In an aborted transaction the cause is told inside another message. */
static void what_aborted_a_transaction_is_said_whole(void **state)
{
    struct fixture *f = *state;
    char key[1400];
    things(f);
    fixture_sql(f, "CREATE TRIGGER no BEFORE INSERT ON things BEGIN SELECT RAISE(ROLLBACK, 'the reason'); END");
    for (size_t i = 0; i < 4 * sizeof characters / sizeof *characters; i++) {
        repeat(key, sizeof key, characters[i / 4], i % 4);
        assert_ok(f, outbox_begin(f->ob));
        assert_code(f, OUTBOX_ABORTED, upsert(f, key, 0));
        assert_ends(f, ": the reason");
        assert_ok(f, outbox_rollback(f->ob));
    }
}

static void words_that_are_no_utf_8_are_no_message(void **state)
{
    struct fixture *f = *state;
    things(f);
    assert_code(f, OUTBOX_INVALID,
                outbox_upsert(f->ob, "th\xffngs", (outbox_value[]){outbox_int("id", 1)}, 1, 0, NULL, NULL));
    assert_ends(f, "no such table: th?ngs");

    outbox_open_options as_it_is = {.size = sizeof as_it_is, .flags = OUTBOX_OPEN_NO_MIGRATE};
    char path[128];
    outbox *ob;
    snprintf(path, sizeof path, "%s/\xff.db", f->dir);
    assert_int_equal(outbox_open(path, &as_it_is, &ob), OUTBOX_SCHEMA);
    assert_true(utf8_valid(outbox_errmsg(NULL), strlen(outbox_errmsg(NULL)), NULL));
}

static void an_empty_or_broken_name_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "", "k", NULL, 0, NULL, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "a\xff", "k", NULL, 0, NULL, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "t", "\xc0\x80", NULL, 0, NULL, NULL));
    assert_ok(f, outbox_emit(f->ob, "t", "", NULL, 0, NULL, NULL)); /* an empty key is a key */
    assert_string_equal(fixture_log(f, "'[' || key || ']'"), "[]");
}

static void the_last_revision_is_refused_in_words(void **state)
{
    struct fixture *f = *state;
    things(f);
    assert_ok(f, upsert(f, "a", 0));
    fixture_sql(f, "UPDATE things SET revision = 9223372036854775807");
    assert_code(f, OUTBOX_INVALID, upsert(f, "a", OUTBOX_ANY_REVISION));
    assert_non_null(strstr(outbox_errmsg(f->ob), "end of its range"));
    assert_code(f, OUTBOX_INVALID, upsert(f, "a", INT64_MAX));
    assert_code(f, OUTBOX_INVALID, outbox_delete(f->ob, "things", "a", OUTBOX_ANY_REVISION, NULL));
    assert_code(f, OUTBOX_INVALID, upsert(f, "a", INT64_MIN));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 1);
}

static void behind_the_last_seq_the_database_is_full(void **state)
{
    struct fixture *f = *state;
    things(f);
    fixture_sql(f, "INSERT INTO sqlite_sequence VALUES ('change_log', 9223372036854775806)");
    assert_ok(f, upsert(f, "a", 0));
    assert_true(outbox_last_seq(f->ob) == INT64_MAX);
    assert_code(f, OUTBOX_FULL, upsert(f, "b", 0));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM things"), 1);
    assert_ok(f, outbox_begin(f->ob));
    int code = upsert(f, "b", 0);
    assert_true(code == OUTBOX_FULL || code == OUTBOX_ABORTED);
    assert_ok(f, outbox_rollback(f->ob));
}

static void seq_goes_on_over_an_empty_log_a_vacuum_and_a_restart(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 1; i <= 3; i++) {
        assert_ok(f, outbox_emit(f->ob, "t", "k", NULL, 0, NULL, NULL));
        assert_int_equal(outbox_last_seq(f->ob), i);
        fixture_sql(f, "DELETE FROM outbox; DELETE FROM change_log; VACUUM");
        outbox_close(f->ob);
        assert_int_equal(outbox_open(f->path, NULL, &f->ob), OUTBOX_OK);
    }
}

static sqlite3
    *volatile parents; /* a child must leave it alone: this keeps it in sight of valgrind's search for leaks */

/* Each child calls and exits; the parent holds the write lock all the while, and no child's end may drop it. CHILDREN=n
 * where a thousand take minutes. */
static void a_thousand_children_leave_the_parents_lock_alone(void **state)
{
    struct fixture *f = *state;
    outbox *other;
    outbox_open_options o = {.size = sizeof o, .busy_timeout_ms = -1};
    const char *wanted = getenv("CHILDREN");
    int children = wanted ? atoi(wanted) : 1000;
    assert_in_range(children, 1, 1000);
    assert_int_equal(outbox_open(f->path, &o, &other), OUTBOX_OK);
    parents = outbox_db(f->ob);
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, outbox_emit(f->ob, "t", "k", "1", -1, NULL, NULL));
    for (int i = 0; i < children; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            int code = outbox_emit(f->ob, "t", "child", "2", -1, NULL, NULL);
            outbox_close(f->ob);
            _exit(code == OUTBOX_MISUSE ? 0 : 1);
        }
        assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (i % 100 == 0)
            assert_int_equal(outbox_begin(other), OUTBOX_BUSY);
    }
    assert_int_equal(outbox_begin(other), OUTBOX_BUSY);
    assert_ok(f, outbox_commit(f->ob));
    assert_int_equal(sql_int(outbox_db(other), "SELECT count(*) FROM outbox"), 1);
    outbox_close(other);
}

/* Times are UTC, whatever the zone. */
static void an_odd_time_zone_changes_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const zones[] = {"America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", ":nonsense"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        setenv("TZ", zones[i], 1);
        assert_ok(f, outbox_emit(f->ob, "t", "k", NULL, 0, NULL, NULL));
        fixture_sql(f, "INSERT INTO outbox_events(topic, key) VALUES ('t', 'k')");
    }
    unsetenv("TZ");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log WHERE"
                                    " abs(created_at / 1000000 - CAST(strftime('%s', 'now') AS INTEGER)) > 5"),
                     0);
}

/* As the library refuses it: what goes with a payload is in every line and request. */
static void plain_sql_emits_nothing_that_is_too_large_to_deliver(void **state)
{
    struct fixture *f = *state;
    static const char *const columns[] = {"topic", "key", "headers", "ordering_key"};
    sqlite3 *db = outbox_db(f->ob);
    fixture_sql(f, "UPDATE outbox_meta SET value = 100 WHERE name = 'max_payload'");
    for (int i = 0; i < 4; i++) {
        for (int size = 65536; size <= 65537; size++) {
            char *sql =
                i == 0 ? sqlite3_mprintf("INSERT INTO outbox_events(topic) VALUES (printf('%%.*c', %d, 'x'))", size)
                       : sqlite3_mprintf("INSERT INTO outbox_events(topic, %s) VALUES ('t', printf('%%.*c', %d, 'x'))",
                                         columns[i], size);
            assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL),
                             size == 65536 ? SQLITE_OK : SQLITE_CONSTRAINT_TRIGGER);
            sqlite3_free(sql);
        }
        assert_string_equal(sqlite3_errmsg(db),
                            "outbox: outbox_events: topic, key, headers or ordering_key is larger than max-payload");
    }
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox_events"), 4);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_limit_is_accepted_and_one_byte_more_is_not, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_goes_with_a_payload_has_the_limit_too, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(keys_and_topics_of_every_shape_are_exact, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_key_of_a_megabyte_is_exact, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_with_a_long_key_is_said_whole, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_aborted_a_transaction_is_said_whole, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(words_that_are_no_utf_8_are_no_message, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_empty_or_broken_name_is_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_last_revision_is_refused_in_words, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(behind_the_last_seq_the_database_is_full, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(seq_goes_on_over_an_empty_log_a_vacuum_and_a_restart, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_thousand_children_leave_the_parents_lock_alone, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(plain_sql_emits_nothing_that_is_too_large_to_deliver, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(an_odd_time_zone_changes_nothing, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("edges", tests, NULL, NULL);
}
