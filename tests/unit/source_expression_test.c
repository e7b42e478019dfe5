/* source_expression_test.c — the operator's filter and transforms as the source runs them: what fails is one event's error,
 * what is hidden stays hidden, and what is no expression is refused with its place.
 */
#include "event_select.h"
#include "source_rig.h"

static void a_filter_passes_over_without_hiding(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "a", 1);
    emit_events(r->f, "b", 1);
    emit_events(r->f, "a", 1);
    r->settings.filter = (char[]){"key = 'a' -- no more"};
    open_source(r, 0);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "1:{\"n\":0} 2- 3:{\"n\":0} ");
}

static void a_failing_expression_is_that_rows_error(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "INSERT INTO outbox_events(topic, payload) VALUES('t', '{\"n\":1}'), ('t', '{'), ('u', '{'),"
                      " ('t', '{\"n\":4}')");
    r->settings.filter = (char[]){"topic = 't'"};
    r->settings.transform = (char[]){"json_object('m', payload->'$.n')"};
    open_source(r, 0);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "1:{\"m\":1} 2!filter or transform: malformed JSON 3- 4:{\"m\":4} ");
}

static void before_that_cannot_be_transformed_is_that_rows_error_too(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "CREATE TABLE things(id INTEGER PRIMARY KEY, n INT, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(r->f, outbox_capture(r->f->ob, "things", NULL));
    fixture_sql(r->f, "INSERT INTO things(id, n) VALUES (1, 7); UPDATE things SET n = 8; UPDATE things SET n = 9;"
                      "UPDATE change_log SET before = '{' WHERE seq = 2");
    r->settings.before_transform = (char[]){"json_object('was', before->'$.n')"};
    open_source(r, 0);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_non_null(strstr(r->got, " 2!filter or transform: malformed JSON 3:{\"id\":1,\"n\":9"));
}

static void a_failing_row_that_is_not_taken_is_read_again(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "INSERT INTO outbox_events(topic, payload) VALUES('t', '{}'), ('t', '{'), ('t', '{}')");
    r->settings.transform = (char[]){"json(payload)"};
    open_source(r, 0);
    refuse_the_second(r, "2!filter or transform: malformed JSON 3:{} ");
}

static void an_endless_expression_is_cut_off(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 1);
    r->settings.filter = (char[]){
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"};
    open_source(r, 0);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "1!filter or transform: too much work for one event ");
}

static void before_is_shown_only_where_nothing_hides_it(void **state)
{
    static const struct {
        const char *label, *transform, *before_transform;
        enum sink_kind kind;
        const char *before;
    } cases[] = {
        {"plain", NULL, NULL, SINK_NULL, "{\"b\":1}"},
        {"webhook", NULL, NULL, SINK_WEBHOOK, NULL},
        {"transform", "payload", NULL, SINK_NULL, NULL},
        {"both", "payload", "json_remove(before, '$.b')", SINK_NULL, "{}"},
        {"webhook asked", NULL, "before", SINK_WEBHOOK, "{\"b\":1}"},
    };
    struct reading *r = *state;
    fixture_sql(r->f, "INSERT INTO change_log(topic, op, before, payload) VALUES('t', 'update', '{\"b\":1}', '{}')");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sqlite3_stmt *st = NULL;
        sqlite3 *db = open_reader(r->f, NULL);
        struct sink_settings settings = settings_of(r->settings.consumer);
        struct source_row row = {0};
        struct buffer number = {0};
        settings.kind = cases[i].kind;
        settings.transform = cases[i].transform ? strdup(cases[i].transform) : NULL;
        settings.before_transform = cases[i].before_transform ? strdup(cases[i].before_transform) : NULL;
        assert_int_equal(event_select_prepare(db, "change_log", &settings, &st), SQLITE_OK);
        event_select_bind(st, 0, INT64_MAX, 1);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        event_select_row(st, &number, &row);
        if (!cases[i].before != !row.event.before ||
            (row.event.before && strcmp(row.event.before, cases[i].before) != 0))
            fail_msg("%s: before is %s", cases[i].label, row.event.before ? row.event.before : "left out");
        sqlite3_finalize(st);
        sqlite3_close(db);
        free(settings.transform);
        free(settings.before_transform);
    }
}

static void bad_expressions_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *sql, *words; /* words NULL: good */
    } cases[] = {
        {"topic GLOB 'order*' AND payload->>'$.total' > 100", NULL},
        {"exists(SELECT 1 FROM change_log AS c WHERE c.key = outbox_events.key)", NULL},
        {"topc = 'a'", "no such column: topc, at character 1"},
        {"topic =", "--filter"},
        {"", "--filter"},
        {"1) OR (1", "brackets in pairs"},
        {"1) GROUP BY (topic", "brackets in pairs"}, /* would be a statement of its own shape */
        {"1) UNION SELECT 1 FROM outbox_events WHERE (1", "brackets in pairs"},
        {"1) /*", "brackets in pairs"},
        {"1 AS INTEGER) OR CAST(1", "syntax error"},
        {"1); DELETE FROM outbox; --", "one SQL expression"},
        {"topic = ?1", "one SQL expression"},
        {"count(*) > 1", "misuse of aggregate"},
        {"load_extension('x')", "not authorized"},
        {"random() % 2 = 0", "not authorized to use function: random, at character 1"},
        {"randomblob(1) > x'80'", "not authorized"},
        {"(SELECT 1 FROM pragma_journal_mode)", "--filter"},
    };
    struct reading *r = *state;
    sqlite3 *db = open_reader(r->f, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[512] = "", sql[128];
        snprintf(sql, sizeof sql, "%s", cases[i].sql);
        r->settings.filter = sql;
        bool good = source_check_expressions(db, &r->settings, message, sizeof message);
        if (good != !cases[i].words || (!good && !strstr(message, cases[i].words)))
            fail_msg("%s: %s", cases[i].sql, good ? "accepted" : message);
    }
    r->settings.filter = NULL;
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        source_test(a_filter_passes_over_without_hiding),
        source_test(a_failing_expression_is_that_rows_error),
        source_test(before_that_cannot_be_transformed_is_that_rows_error_too),
        source_test(a_failing_row_that_is_not_taken_is_read_again),
        source_test(an_endless_expression_is_cut_off),
        source_test(before_is_shown_only_where_nothing_hides_it),
        source_test(bad_expressions_are_refused_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
