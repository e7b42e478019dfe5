/* source_test.c — batches, their chain, the operator's expressions, and the sync before delivery. */
#include <errno.h>
#include <stdbool.h>

#include "event_select.h"
#include "relay_fixture.h"
#include "source.h"
#include "wal_syncs.h"

struct reading {
    struct fixture *f;
    struct sink_settings settings;
    struct schema_info info;
    sqlite3 *db;
    struct source *source;
    int64_t after;
    bool full;
    int refuse_at; /* the row, counted from 1, that is not taken; 0: none */
    int rows;
    char got[4096]; /* "1:{…} 2- 3!reason " wanted, filtered, failed */
};

static bool take(void *arg, const struct source_row *row, bool wanted)
{
    struct reading *r = arg;
    size_t used = strlen(r->got);
    if (++r->rows == r->refuse_at)
        return false;
    assert_false(sqlite3_get_autocommit(r->db));
    if (row->error)
        snprintf(r->got + used, sizeof r->got - used, "%lld!%s ", (long long)row->event.seq, row->error);
    else if (!wanted)
        snprintf(r->got + used, sizeof r->got - used, "%lld- ", (long long)row->event.seq);
    else
        snprintf(r->got + used, sizeof r->got - used, "%lld:%.*s ", (long long)row->event.seq,
                 (int)row->event.payload_size, row->event.payload ? (const char *)row->event.payload : "");
    return true;
}

static int setup(void **state)
{
    struct reading *r = calloc(1, sizeof *r);
    void *fixture = NULL;
    sync_error = 0;
    int rc = fixture_setup(&fixture);
    r->f = fixture;
    r->settings = settings_of(strdup("c"));
    sync_error = 0;
    *state = r;
    return rc;
}

static void close_source(struct reading *r)
{
    source_close(r->source);
    sqlite3_close(r->db);
    r->source = NULL;
    r->db = NULL;
}

static int teardown(void **state)
{
    struct reading *r = *state;
    void *fixture = r->f;
    close_source(r);
    int rc = fixture_teardown(&fixture);
    free(r->settings.consumer);
    free(r);
    return rc;
}

/* Opens the source as it is now, at lease token 1. */
static void open_source(struct reading *r, int64_t owed_after)
{
    char message[512] = "";
    bool temporary;
    close_source(r);
    fixture_sql(r->f, "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES('c', 0, 1)"
                      " ON CONFLICT DO NOTHING");
    r->db = open_reader(r->f, &r->info);
    r->source = source_open(r->db, &r->settings, &temporary, message, sizeof message);
    if (!r->source)
        fail_msg("%s", message);
    source_expect(r->source, r->info.source, 1, owed_after);
}

static enum source_result read_some(struct reading *r, int limit)
{
    r->got[0] = 0;
    r->rows = 0;
    enum source_result result = source_read(r->source, &r->after, limit, take, r, &r->full);
    assert_true(sqlite3_get_autocommit(r->db)); /* no read transaction outlives the read */
    return result;
}

static void events_come_in_order_up_to_the_limit(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 3);
    open_source(r, 0);
    assert_int_equal(read_some(r, 2), SOURCE_OK);
    assert_string_equal(r->got, "1:{\"n\":0} 2:{\"n\":1} ");
    assert_true(r->full);
    assert_int_equal(read_some(r, 2), SOURCE_OK);
    assert_string_equal(r->got, "3:{\"n\":2} ");
    assert_false(r->full);
    assert_int_equal(r->after, 3);
}

static void a_refused_row_is_read_again(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 3);
    open_source(r, 0);
    r->refuse_at = 2;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_int_equal(r->after, 1);
    assert_true(r->full);
    r->refuse_at = 0;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "2:{\"n\":1} 3:{\"n\":2} ");
}

static void what_plain_sql_stored_keeps_its_type(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "INSERT INTO outbox_events(topic, payload) VALUES('t', 0.1 + 0.2), ('t', 42), ('t', x'6869'),"
                      " ('t', x''), ('t', NULL)");
    open_source(r, 0);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "1:0.30000000000000004 2:42 3:hi 4: 5: ");
}

/* However many rows were asked for: they are all in memory at once. */
static void a_batch_is_bounded_by_bytes_too(void **state)
{
    enum { EVENTS = 9, SIZE = 1000000 };
    struct reading *r = *state;
    char *payload = malloc(SIZE + 1);
    memset(payload, '7', SIZE);
    payload[SIZE] = '\0';
    for (int i = 0; i < EVENTS; i++)
        assert_ok(r->f, outbox_emit(r->f->ob, "t", "k", payload, -1, NULL, NULL));
    free(payload);
    open_source(r, 0);
    int batches = 0;
    for (; r->after < EVENTS && batches < EVENTS; batches++) {
        int64_t before = r->after;
        assert_int_equal(read_some(r, 100), SOURCE_OK);
        assert_in_range(r->after - before, 1, 5);
    }
    assert_int_equal(r->after, EVENTS);
    assert_in_range(batches, 2, 3);
}

static void a_quiet_look_reads_nothing(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 1);
    open_source(r, 0);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    fixture_sql(r->f, "UPDATE consumer_offsets SET state = 'paused'");
    assert_int_equal(read_some(r, 10), SOURCE_PAUSED);
    fixture_sql(r->f, "UPDATE consumer_offsets SET state = NULL");
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    emit_events(r->f, "k", 1);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "2:{\"n\":0} ");
}

static void a_batch_is_synced_before_it_is_handed_over(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "PRAGMA synchronous = NORMAL"); /* its commits sync nothing */
    open_source(r, 0);
    emit_events(r->f, "k", 2);
    sync_count = 0;
    assert_int_equal(read_some(r, 1), SOURCE_OK);
    assert_int_equal(sync_count, 1);
    assert_int_equal(read_some(r, 10), SOURCE_OK); /* the same snapshot is durable already */
    assert_int_equal(sync_count, 1);
    emit_events(r->f, "k", 1);
    assert_int_equal(sync_count, 1);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_int_equal(sync_count, 2);
    fixture_sql(r->f, "UPDATE outbox_meta SET value = value WHERE name = 'retain'");
    assert_int_equal(read_some(r, 10), SOURCE_OK); /* nothing read, nothing to sync */
    assert_int_equal(sync_count, 2);
}

/* Else each page of a backlog would wait for the disk, as soon as anybody commits: the relay's own ledger does. */
static void what_was_there_at_a_sync_is_not_synced_again(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "PRAGMA synchronous = NORMAL");
    open_source(r, 0);
    emit_events(r->f, "k", 3);
    assert_int_equal(read_some(r, 1), SOURCE_OK);
    sync_count = 0;
    emit_events(r->f, "k", 1);
    assert_int_equal(read_some(r, 2), SOURCE_OK); /* the second and the third */
    assert_int_equal(sync_count, 0);
    assert_int_equal(read_some(r, 1), SOURCE_OK); /* the fourth came later */
    assert_int_equal(sync_count, 1);
}

static void what_takes_the_place_of_synced_events_is_synced(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "PRAGMA synchronous = NORMAL");
    open_source(r, 0);
    emit_events(r->f, "k", 3);
    assert_int_equal(read_some(r, 1), SOURCE_OK);
    fixture_sql(r->f, "DELETE FROM outbox WHERE seq > 1; DELETE FROM change_log WHERE seq > 1;"
                      "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'change_log'"); /* an older copy */
    assert_int_equal(read_some(r, 1), SOURCE_OK);
    emit_events(r->f, "k", 2);
    sync_count = 0;
    assert_int_equal(read_some(r, 2), SOURCE_OK);
    assert_int_equal(sync_count, 1);
}

static void a_new_claim_relies_on_no_former_sync(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "PRAGMA synchronous = NORMAL");
    open_source(r, 0);
    emit_events(r->f, "k", 3);
    assert_int_equal(read_some(r, 1), SOURCE_OK);
    fixture_sql(r->f, "UPDATE consumer_offsets SET lease_token = 2");
    sync_count = 0;
    source_expect(r->source, r->info.source, 2, 0);
    assert_int_equal(read_some(r, 1), SOURCE_OK);
    assert_int_equal(sync_count, 1);
    emit_events(r->f, "k", 1);
    source_expect(r->source, r->info.source, 2, 0); /* the same one may say so as often as it likes */
    assert_int_equal(read_some(r, 1), SOURCE_OK);
    assert_int_equal(sync_count, 1);
}

static void a_failed_sync_delivers_nothing(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "PRAGMA synchronous = NORMAL");
    open_source(r, 0);
    emit_events(r->f, "k", 1);
    sync_error = EIO;
    assert_int_equal(read_some(r, 10), SOURCE_BROKEN);
    assert_int_equal(r->after, 0);
    assert_non_null(strstr(source_message(r->source), "synced"));
}

static void a_missing_seq_is_a_gap(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 5);
    fixture_sql(r->f, "DELETE FROM outbox WHERE seq = 3");
    open_source(r, 0);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_int_equal(r->after, 2); /* what comes before it is good */
    assert_true(r->full);
    assert_int_equal(read_some(r, 10), SOURCE_GAP);
    assert_non_null(strstr(source_message(r->source), "3 to 3"));
    assert_int_equal(r->rows, 0);
    assert_int_equal(r->after, 2);
}

static void a_missing_end_is_a_gap(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 3);
    fixture_sql(r->f, "DELETE FROM outbox WHERE seq > 1");
    open_source(r, 0);
    r->after = 1;
    assert_int_equal(read_some(r, 10), SOURCE_GAP);
    assert_non_null(strstr(source_message(r->source), "2 to 3"));
}

static void a_seq_lifted_on_record_is_no_gap(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 2);
    fixture_sql(r->f, "UPDATE sqlite_sequence SET seq = 99 WHERE name = 'change_log';"
                      "UPDATE outbox_meta SET value ="
                      " '[{\"source\":\"00112233445566aa\",\"last_seq\":2,\"next_seq\":100}]'"
                      " WHERE name = 'former_sources'");
    open_source(r, 0);
    r->after = 2;
    assert_int_equal(read_some(r, 10), SOURCE_OK); /* lifted, and nothing written since */
    emit_events(r->f, "k", 1);
    r->after = 0;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "1:{\"n\":0} 2:{\"n\":1} 100:{\"n\":0} ");
    fixture_sql(r->f, "UPDATE outbox_meta SET value = NULL WHERE name = 'former_sources'");
    r->after = 2;
    assert_int_equal(read_some(r, 10), SOURCE_GAP);
}

/* A stream that ends where a former source did, of a consumer that was registered behind the hole. */
static void a_log_that_ends_before_seqs_skipped_on_record_is_passed(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 3);
    fixture_sql(r->f, "DELETE FROM outbox; UPDATE sqlite_sequence SET seq = 99 WHERE name = 'change_log';"
                      "UPDATE outbox_meta SET value ="
                      " '[{\"source\":\"00112233445566aa\",\"last_seq\":3,\"next_seq\":100}]'"
                      " WHERE name = 'former_sources'");
    open_source(r, 99);
    r->after = 3;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_int_equal(r->after, 99);
    emit_events(r->f, "k", 1);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "100:{\"n\":0} ");
    /* The same with an event behind the hole that is owed already. */
    open_source(r, 99);
    r->after = 3;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_int_equal(r->after, 99);
    assert_true(r->full);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "100:{\"n\":0} ");
}

static void a_cursor_beyond_the_end_is_rewound(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 2);
    open_source(r, 0);
    r->after = 3;
    assert_int_equal(read_some(r, 10), SOURCE_REWOUND);
    assert_non_null(strstr(source_message(r->source), "--seq-after 3"));
}

static void a_moved_token_or_a_new_source_is_stale(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 1);
    open_source(r, 0);
    fixture_sql(r->f, "UPDATE consumer_offsets SET lease_token = 2");
    assert_int_equal(read_some(r, 10), SOURCE_STALE);
    assert_int_equal(r->rows, 0);
    fixture_sql(r->f, "UPDATE consumer_offsets SET lease_token = 1");
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    fixture_sql(r->f, "UPDATE outbox_meta SET value = '00112233445566aa' WHERE name = 'source'");
    assert_int_equal(read_some(r, 10), SOURCE_STALE);
}

static void a_replaced_file_is_noticed(void **state)
{
    struct reading *r = *state;
    char away[128];
    emit_events(r->f, "k", 1);
    open_source(r, 0);
    snprintf(away, sizeof away, "%s.away", r->f->path);
    assert_int_equal(rename(r->f->path, away), 0);
    assert_int_equal(read_some(r, 10), SOURCE_BROKEN);
    assert_int_equal(r->rows, 0);
    assert_int_equal(rename(away, r->f->path), 0);
}

static void what_was_acknowledged_comes_from_the_log(void **state)
{
    struct reading *r = *state;
    emit_events(r->f, "k", 4);
    fixture_sql(r->f, "DELETE FROM outbox WHERE seq <= 2");
    open_source(r, 2);
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "1:{\"n\":0} 2:{\"n\":1} ");
    assert_true(r->full); /* the outbox comes next */
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "3:{\"n\":2} 4:{\"n\":3} ");
    fixture_sql(r->f, "DELETE FROM change_log WHERE seq = 1");
    source_expect(r->source, r->info.source, 1, 2);
    r->after = 0;
    assert_int_equal(read_some(r, 10), SOURCE_GAP);
}

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
    r->refuse_at = 2;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_int_equal(r->after, 1);
    assert_true(r->full);
    r->refuse_at = 0;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, "2!filter or transform: malformed JSON 3:{} ");
}

/* Also where an expression could be taken for what failed: no event is blamed. */
static void a_log_that_is_gone_breaks_the_source(void **state)
{
    struct reading *r = *state;
    char filter[] = "topic = 't'";
    emit_events(r->f, "k", 2);
    for (int i = 0; i < 2; i++) {
        r->settings.filter = i ? filter : NULL;
        open_source(r, 2);
        fixture_sql(r->f, "PRAGMA legacy_alter_table = ON; ALTER TABLE change_log RENAME TO change_log_old");
        assert_int_equal(read_some(r, 10), SOURCE_BROKEN);
        assert_int_equal(r->rows, 0);
        assert_int_equal(r->after, 0);
        assert_non_null(strstr(source_message(r->source), "no such table: "));
        fixture_sql(r->f, "ALTER TABLE change_log_old RENAME TO change_log");
    }
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
        cmocka_unit_test_setup_teardown(events_come_in_order_up_to_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_row_is_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_plain_sql_stored_keeps_its_type, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_bounded_by_bytes_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quiet_look_reads_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_synced_before_it_is_handed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_there_at_a_sync_is_not_synced_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_the_place_of_synced_events_is_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_claim_relies_on_no_former_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_delivers_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_seq_is_a_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_end_is_a_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_seq_lifted_on_record_is_no_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_ends_before_seqs_skipped_on_record_is_passed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cursor_beyond_the_end_is_rewound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_moved_token_or_a_new_source_is_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replaced_file_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_acknowledged_comes_from_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_filter_passes_over_without_hiding, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_expression_is_that_rows_error, setup, teardown),
        cmocka_unit_test_setup_teardown(before_that_cannot_be_transformed_is_that_rows_error_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_row_that_is_not_taken_is_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_is_gone_breaks_the_source, setup, teardown),
        cmocka_unit_test_setup_teardown(an_endless_expression_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(before_is_shown_only_where_nothing_hides_it, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_expressions_are_refused_with_their_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
