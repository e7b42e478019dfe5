/* capture_options_test.c — what a capture may leave out, and how it names and orders what it does not; tables changed
 * under it; tables with many columns.
 */
#include "fixture.h"

static const char create[] =
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, total REAL, secret TEXT, seen INTEGER,"
    " revision INTEGER NOT NULL DEFAULT 1)";

static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state, create);
    return rc;
}

static void capture(struct fixture *f, outbox_capture_options options)
{
    options.size = sizeof options;
    assert_ok(f, outbox_capture(f->ob, "orders", &options));
}

static const char *log_of(struct fixture *f, const char *expression)
{
    const char *text = fixture_log(f, expression);
    return strcmp(text, "NULL") == 0 ? "" : text;
}

static void the_topic_is_the_one_given(void **state)
{
    struct fixture *f = *state;
    capture(f, (outbox_capture_options){.topic = "it's a \"shop\""});
    fixture_sql(f, "INSERT INTO orders(id) VALUES (1); UPDATE orders SET total = 1; DELETE FROM orders");
    assert_string_equal(log_of(f, "op || '=' || topic"),
                        "insert=it's a \"shop\" update=it's a \"shop\" delete=it's a \"shop\"");
}

/* A delete is ordered by what the row had, an update by what it has; NULL is no ordering key. */
static void the_ordering_key_is_a_columns_value(void **state)
{
    struct fixture *f = *state;
    capture(f, (outbox_capture_options){.ordering_key = "customer"});
    fixture_sql(f, "INSERT INTO orders(id, customer) VALUES (1, 'ann'), (2, NULL)");
    fixture_sql(f, "UPDATE orders SET customer = 'bob' WHERE id = 1; DELETE FROM orders WHERE id = 1");
    assert_string_equal(log_of(f, "op || '=' || coalesce(ordering_key, '-')"),
                        "insert=ann insert=- update=bob delete=bob");
}

static void a_number_orders_by_its_text(void **state)
{
    struct fixture *f = *state;
    capture(f, (outbox_capture_options){.ordering_key = "seen"});
    fixture_sql(f, "INSERT INTO orders(id, seen) VALUES (1, 9007199254740993)");
    assert_string_equal(fixture_text(f, "SELECT typeof(ordering_key) || ordering_key FROM change_log"),
                        "text9007199254740993");
}

static void what_is_excluded_is_in_no_event(void **state)
{
    struct fixture *f = *state;
    static const char *const secret[] = {"secret", "SEEN", NULL};
    capture(f, (outbox_capture_options){.exclude = secret});
    fixture_sql(f, "INSERT INTO orders(id, secret) VALUES (1, 'canary')");
    fixture_sql(f, "UPDATE orders SET secret = 'canary2', total = 1; DELETE FROM orders");
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 3);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log WHERE instr(coalesce(before, '') ||"
                                    " coalesce(payload, ''), 'canary') OR instr(coalesce(payload, before), 'seen')"),
                     0);
    assert_string_equal(fixture_text(f, "SELECT payload FROM change_log WHERE op = 'update'"),
                        "{\"id\":1,\"customer\":null,\"total\":1.0,\"revision\":2}");
}

/* Its revision has risen, which whoever compares and swaps has to hear of. */
static void a_change_of_what_is_excluded_shows_the_revision_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const secret[] = {"secret", NULL};
    capture(f, (outbox_capture_options){.exclude = secret});
    fixture_sql(f, "INSERT INTO orders(id) VALUES (1); UPDATE orders SET secret = 'x'");
    assert_string_equal(fixture_text(f, "SELECT before || payload FROM change_log WHERE op = 'update'"),
                        "{\"id\":1,\"customer\":null,\"total\":null,\"seen\":null,\"revision\":1}"
                        "{\"id\":1,\"customer\":null,\"total\":null,\"seen\":null,\"revision\":2}");
}

static void only_the_operations_asked_for_are_events(void **state)
{
    static const struct {
        int ops;
        const char *log;
    } cases[] = {
        {OUTBOX_CAPTURE_INSERT, "insert"}, {OUTBOX_CAPTURE_UPDATE, "update"},
        {OUTBOX_CAPTURE_DELETE, "delete"}, {OUTBOX_CAPTURE_INSERT | OUTBOX_CAPTURE_DELETE, "insert delete"},
        {0, "insert update delete"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_sql(f, "DELETE FROM outbox; DELETE FROM change_log");
        capture(f, (outbox_capture_options){.ops = cases[i].ops});
        fixture_sql(f, "INSERT INTO orders(id) VALUES (1); UPDATE orders SET total = 1; DELETE FROM orders");
        assert_string_equal(log_of(f, "op"), cases[i].log);
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox"),
                         fixture_int(f, "SELECT count(*) FROM change_log"));
    }
}

/* The row's revision rises with every write, so that compare-and-swap holds for those who are not told. */
static void without_its_event_an_update_still_raises_the_revision(void **state)
{
    struct fixture *f = *state;
    capture(f, (outbox_capture_options){.ops = OUTBOX_CAPTURE_INSERT});
    fixture_sql(f, "INSERT INTO orders(id) VALUES (1); UPDATE orders SET total = 1; UPDATE orders SET total = 2");
    assert_int_equal(fixture_int(f, "SELECT revision FROM orders"), 3);
    assert_string_equal(log_of(f, "op"), "insert");
}

static void an_update_counts_only_where_a_named_column_changes(void **state)
{
    struct fixture *f = *state;
    static const char *const columns[] = {"total", "customer", NULL};
    capture(f, (outbox_capture_options){.only_if_changed = columns});
    fixture_sql(f, "INSERT INTO orders(id) VALUES (1)");
    fixture_sql(f, "UPDATE orders SET seen = 1; UPDATE orders SET total = 1, seen = 2; UPDATE orders SET total = 1.0;"
                   "UPDATE orders SET customer = 'c'; UPDATE orders SET customer = NULL; DELETE FROM orders");
    assert_string_equal(log_of(f, "op"), "insert update update update delete");
    /* What it passed over is in the next event's images. */
    assert_string_equal(fixture_text(f, "SELECT before FROM change_log WHERE op = 'update' LIMIT 1"),
                        "{\"id\":1,\"customer\":null,\"total\":null,\"secret\":null,\"seen\":1,\"revision\":2}");
}

static void options_stay_until_others_are_given(void **state)
{
    struct fixture *f = *state;
    static const char *const secret[] = {"secret", NULL};
    capture(f, (outbox_capture_options){.topic = "shop", .exclude = secret});
    fixture_sql(f, "ALTER TABLE orders ADD COLUMN colour TEXT");
    assert_code(f, OUTBOX_SCHEMA,
                outbox_upsert(f->ob, "orders", (outbox_value[]){outbox_int("id", 1)}, 1, 0, NULL, NULL));
    assert_ok(f, outbox_capture(f->ob, "orders", NULL));
    fixture_sql(f, "INSERT INTO orders(id, colour, secret) VALUES (1, 'red', 'canary')");
    assert_string_equal(
        log_of(f, "topic || payload"),
        "shop{\"id\":1,\"customer\":null,\"total\":null,\"seen\":null,\"revision\":1,\"colour\":\"red\"}");
    capture(f, (outbox_capture_options){.topic = NULL});
    fixture_sql(f, "DELETE FROM orders");
    assert_int_equal(
        fixture_int(f, "SELECT topic = 'orders' AND instr(before, 'canary') FROM change_log WHERE seq = 2"), 1);
}

static void a_write_of_the_library_obeys_them(void **state)
{
    struct fixture *f = *state;
    static const char *const columns[] = {"total", NULL};
    capture(f, (outbox_capture_options){.only_if_changed = columns, .topic = "shop"});
    outbox_value row[] = {outbox_int("id", 1), outbox_int("seen", 1)};
    int64_t revision = 0;
    assert_ok(f, outbox_upsert(f->ob, "orders", row, 2, 0, NULL, &revision));
    assert_int_equal(outbox_last_seq(f->ob), 1);
    row[1] = outbox_int("seen", 2);
    assert_ok(f, outbox_upsert(f->ob, "orders", row, 2, 1, NULL, &revision));
    assert_int_equal(revision, 2);
    assert_int_equal(outbox_last_seq(f->ob), 0);
    assert_code(f, OUTBOX_CONFLICT, outbox_upsert(f->ob, "orders", row, 2, 1, NULL, &revision));
    assert_string_equal(log_of(f, "topic || op"), "shopinsert");
}

static void a_table_of_many_columns_is_captured_whole(void **state)
{
    struct fixture *f = *state;
    enum { COLUMNS = 150 };
    static char sql[COLUMNS * 20 + 200];
    size_t used = (size_t)snprintf(sql, sizeof sql, "CREATE TABLE wide(id INTEGER PRIMARY KEY,");
    for (int i = 0; i < COLUMNS; i++)
        used += (size_t)snprintf(sql + used, sizeof sql - used, " c%d DEFAULT %d,", i, i);
    snprintf(sql + used, sizeof sql - used, " revision INTEGER NOT NULL DEFAULT 1)");
    fixture_sql(f, sql);
    assert_ok(f, outbox_capture(f->ob, "wide", NULL));
    fixture_sql(f, "INSERT INTO wide(id) VALUES (1)");
    const char *row;
    assert_ok(f, outbox_get(f->ob, "wide", "1", &row, NULL));
    char *expected = strdup(row);
    assert_string_equal(fixture_text(f, "SELECT payload FROM change_log"), expected);
    free(expected);
}

static void what_cannot_be_captured_is_refused_in_words(void **state)
{
    static const char *const unknown[] = {"nothing", NULL}, *const key[] = {"id", NULL};
    const struct {
        outbox_capture_options options;
        const char *words;
    } cases[] = {
        {{.exclude = unknown}, "exclude: the table has no column nothing"},
        {{.exclude = key}, "id"},
        {{.only_if_changed = unknown}, "only_if_changed: the table has no column nothing"},
        {{.ordering_key = "nothing"}, "ordering_key: the table has no column nothing"},
        {{.ops = 64}, "unknown op"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outbox_capture_options options = cases[i].options;
        options.size = sizeof options;
        assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "orders", &options));
        if (!strstr(outbox_errmsg(f->ob), cases[i].words))
            fail_msg("\"%s\" is not in \"%s\"", cases[i].words, outbox_errmsg(f->ob));
    }
    assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "nowhere", NULL));
    assert_int_equal(
        fixture_int(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'orders'"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(the_topic_is_the_one_given),
        T(the_ordering_key_is_a_columns_value),
        T(a_number_orders_by_its_text),
        T(what_is_excluded_is_in_no_event),
        T(a_change_of_what_is_excluded_shows_the_revision_alone),
        T(only_the_operations_asked_for_are_events),
        T(without_its_event_an_update_still_raises_the_revision),
        T(an_update_counts_only_where_a_named_column_changes),
        T(options_stay_until_others_are_given),
        T(a_write_of_the_library_obeys_them),
        T(a_table_of_many_columns_is_captured_whole),
        T(what_cannot_be_captured_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
