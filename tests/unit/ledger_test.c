/* ledger_test.c — claims, tokens, and settlements that are never lost and never written by the wrong hand. */
#include <stdbool.h>

#include "ledger_fixture.h"
#include "settlement.h"

struct bench {
    struct fixture *f;
    struct ledger *ledger;
    struct wake *wake;
    struct sink_settings settings;
    struct ledger_consumer *c;
    char reason[SINK_REASON_SIZE];
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    int rc = ledger_fixture_open(&b->f, &b->ledger);
    *state = b;
    if (rc != 0)
        return rc;
    b->settings = settings_of(strdup("c"));
    b->wake = wake_open(b->f->path);
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    ledger_leave(b->c);
    wake_close(b->wake);
    int rc = ledger_fixture_close(b->f, b->ledger);
    free(b->settings.consumer);
    free(b);
    return rc;
}

static enum ledger_result claim(struct bench *b, struct cursor *cursor)
{
    int64_t token = 0;
    if (!b->c)
        b->c = ledger_join(b->ledger, &b->settings, b->wake);
    *cursor = (struct cursor){0};
    return ledger_claim(b->c, true, cursor, &token, b->reason, sizeof b->reason);
}

static void claim_ok(struct bench *b)
{
    struct cursor cursor;
    assert_int_equal(claim(b, &cursor), LEDGER_OK);
    free(cursor.position);
}

static bool post(struct bench *b, int64_t acked_seq, const char *position)
{
    return ledger_post(b->c, &(struct settlement){.acked_seq = acked_seq, .position = position});
}

/* A settlement with one change. */
static bool post_change(struct bench *b, int64_t acked_seq, int64_t seq, enum failed_state how)
{
    struct failed_change *change = calloc(1, sizeof *change);
    *change = (struct failed_change){
        .seq = seq, .key = strdup("t/k"), .state = how, .attempts = 1, .last_status = 500, .last_error = strdup("no")};
    return ledger_post(b->c, &(struct settlement){.acked_seq = acked_seq, .changes = change, .change_count = 1});
}

static const char *row(struct bench *b)
{
    return fixture_text(b->f, "SELECT acked_seq || ' ' || coalesce(position, '-') || ' ' || lease_token"
                              " FROM consumer_offsets WHERE consumer = 'c'");
}

static void a_new_consumer_begins_at_the_oldest_event_owed(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    emit_events(b->f, "k", 5);
    fixture_sql(b->f, "DELETE FROM outbox WHERE seq <= 2");
    assert_int_equal(claim(b, &cursor), LEDGER_OK);
    assert_int_equal(cursor.acked_seq, 2);
    assert_string_equal(row(b), "2 - 1");
}

static void a_new_consumer_can_begin_now(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    emit_events(b->f, "k", 5);
    b->settings.start = START_NOW;
    assert_int_equal(claim(b, &cursor), LEDGER_OK);
    assert_int_equal(cursor.acked_seq, 5);
}

static void a_new_consumer_can_begin_at_a_seq_and_is_owed_it_again(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    emit_events(b->f, "k", 5);
    fixture_sql(b->f, "DELETE FROM outbox WHERE seq <= 4");
    b->settings.start = START_SEQ;
    b->settings.start_seq = 3;
    assert_int_equal(claim(b, &cursor), LEDGER_OK);
    assert_int_equal(cursor.acked_seq, 2);
    assert_string_equal(fixture_text(b->f, "SELECT group_concat(seq) FROM outbox"), "3,4,5");
}

static void a_seq_that_is_gone_or_not_there_yet_is_refused(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    emit_events(b->f, "k", 5);
    fixture_sql(b->f, "DELETE FROM outbox; DELETE FROM change_log WHERE seq <= 3");
    b->settings.start = START_SEQ;
    b->settings.start_seq = 3;
    assert_int_equal(claim(b, &cursor), LEDGER_BROKEN);
    assert_non_null(strstr(b->reason, "the first one after it is 4"));
    b->settings.start_seq = 7;
    assert_int_equal(claim(b, &cursor), LEDGER_BROKEN);
    assert_non_null(strstr(b->reason, "the last event is 5"));
    assert_int_equal(fixture_int(b->f, "SELECT count(*) FROM consumer_offsets"), 0);
}

static void an_empty_log_has_only_what_comes_next(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    emit_events(b->f, "k", 5);
    fixture_sql(b->f, "DELETE FROM outbox; DELETE FROM change_log");
    b->settings.start = START_SEQ;
    b->settings.start_seq = 5;
    assert_int_equal(claim(b, &cursor), LEDGER_BROKEN);
    assert_non_null(strstr(b->reason, "--from 5: change_log no longer has it; it is empty"));
    b->settings.start_seq = 6;
    assert_int_equal(claim(b, &cursor), LEDGER_OK);
    assert_int_equal(cursor.acked_seq, 5);
}

static void a_consumer_that_exists_goes_on_under_a_new_token(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    fixture_sql(b->f, "INSERT INTO consumer_offsets(consumer, acked_seq, position, lease_token)"
                      " VALUES('c', 7, 'p', 41)");
    assert_int_equal(claim(b, &cursor), LEDGER_OK);
    assert_int_equal(cursor.acked_seq, 7);
    assert_string_equal(cursor.position, "p");
    free(cursor.position);
    assert_string_equal(row(b), "7 p 42");
    assert_true(fixture_int(b->f, "SELECT lease_owner LIKE '%:%' FROM consumer_offsets"));
}

static void a_reader_of_a_file_is_nobodys_sink(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    fixture_sql(b->f, "INSERT INTO consumer_offsets(consumer, reads, acked_seq) VALUES('c', '/x.jsonl', 7)");
    assert_int_equal(claim(b, &cursor), LEDGER_BROKEN);
    assert_non_null(strstr(b->reason, "/x.jsonl"));
}

static void a_consumer_of_another_kind_is_refused(void **state)
{
    static const struct {
        const char *kind, *words;
    } cases[] = {{"'jsonl'", "is of kind jsonl, and this is of kind null"},
                 {"'webhook'", "outboxctl consumers remove c"},
                 {"'reader'", "a program's own reader; choose another with --consumer"},
                 {"NULL", NULL},
                 {"'null'", NULL}};
    struct bench *b = *state;
    struct cursor cursor;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[160];
        snprintf(sql, sizeof sql,
                 "REPLACE INTO consumer_offsets(consumer, acked_seq, lease_token, kind) VALUES('c', 7, 41, %s)",
                 cases[i].kind);
        fixture_sql(b->f, sql);
        assert_int_equal(claim(b, &cursor), cases[i].words ? LEDGER_BROKEN : LEDGER_OK);
        if (cases[i].words && !strstr(b->reason, cases[i].words))
            fail_msg("%s: %s", cases[i].kind, b->reason);
        assert_string_equal(row(b), cases[i].words ? "7 - 41" : "7 - 42");
        if (!cases[i].words)
            assert_string_equal(fixture_text(b->f, "SELECT kind FROM consumer_offsets"), "null");
    }
}

static void the_newest_cursor_wins_and_changes_keep_their_order(void **state)
{
    struct bench *b = *state;
    claim_ok(b);
    assert_true(post(b, 1, "one"));
    assert_true(post_change(b, 2, 2, FAILED_RETRY));
    assert_true(post_change(b, 3, 2, FAILED_DEAD));
    assert_true(post_change(b, 4, 4, FAILED_RETRY));
    assert_true(post_change(b, 4, 4, FAILED_GONE));
    assert_true(post(b, 5, "five"));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_string_equal(row(b), "5 five 1");
    assert_string_equal(fixture_text(b->f, "SELECT group_concat(seq || state || last_status || key) FROM"
                                           " failed_deliveries"),
                        "2dead500t/k");
}

static bool post_failed_at(struct bench *b, int64_t failed_at_us)
{
    struct failed_change *change = calloc(1, sizeof *change);
    *change = (struct failed_change){
        .seq = 1, .key = strdup("t/k"), .state = FAILED_RETRY, .attempts = 1, .failed_at_us = failed_at_us};
    return ledger_post(b->c, &(struct settlement){.acked_seq = 1, .changes = change, .change_count = 1}) &&
           ledger_flush(b->c, 5000) == LEDGER_OK;
}

static void since_when_one_fails_is_now_or_as_told_and_then_stays(void **state)
{
    struct bench *b = *state;
    static const char stored[] = "SELECT failed_at FROM failed_deliveries";
    claim_ok(b);
    assert_true(post_failed_at(b, 0));
    assert_true(fixture_int(b->f, stored) > 1000000);
    assert_true(post_failed_at(b, 7));
    assert_int_equal(fixture_int(b->f, stored), 7);
    assert_true(post_failed_at(b, 0));
    assert_int_equal(fixture_int(b->f, stored), 7);
}

/* One with an attempt that was made at_us. */
static bool post_attempt(struct bench *b, int64_t seq, int number, int64_t at_us, const char *answer)
{
    struct failed_change *change = calloc(1, sizeof *change);
    *change = (struct failed_change){.seq = seq, .key = strdup("t/k"), .state = FAILED_RETRY, .attempts = number};
    change->last_error = strdup("no");
    change->attempt.at_us = at_us;
    change->attempt.answer = answer ? strdup(answer) : NULL;
    change->attempt.answer_size = answer ? strlen(answer) : 0;
    return ledger_post(b->c, &(struct settlement){.acked_seq = 1, .changes = change, .change_count = 1});
}

static void the_newest_attempts_of_a_delivery_are_kept_and_go_with_it(void **state)
{
    struct bench *b = *state;
    claim_ok(b);
    for (int i = 1; i <= SETTLEMENT_ATTEMPTS_KEPT + 5; i++)
        assert_true(post_attempt(b, 1, i, 1000 + i, i % 2 ? "o\x01" : NULL));
    assert_true(post_attempt(b, 2, 1, 1001, NULL));
    assert_true(post_change(b, 3, 3, FAILED_RETRY)); /* of which nothing was tried */
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_string_equal(fixture_text(b->f,
                                     "SELECT group_concat(seq || ':' || n || ':' || a || ':' || z) FROM (SELECT seq,"
                                     " count(*) AS n, min(attempt) AS a, max(attempt) AS z FROM failed_attempts"
                                     " GROUP BY seq)"),
                        "1:30:6:35,2:1:1:1");
    assert_string_equal(fixture_text(b->f,
                                     "SELECT group_concat(quote(answer)) FROM (SELECT * FROM failed_attempts WHERE"
                                     " seq = 1 ORDER BY at DESC LIMIT 2)"),
                        "X'6F01',NULL");
    assert_true(post_change(b, 4, 1, FAILED_GONE));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_string_equal(fixture_text(b->f, "SELECT group_concat(seq) FROM failed_attempts"), "2");
    fixture_sql(b->f, "DELETE FROM failed_deliveries");
    assert_int_equal(fixture_int(b->f, "SELECT count(*) FROM failed_attempts"), 0);
}

static void a_cursor_never_goes_back(void **state)
{
    struct bench *b = *state;
    claim_ok(b);
    assert_true(post(b, 9, "a"));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_true(post(b, 4, "b")); /* a stream that writes lost lines again */
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_string_equal(row(b), "9 b 1");
}

static void a_stale_token_changes_nothing(void **state)
{
    struct bench *b = *state;
    claim_ok(b);
    fixture_sql(b->f, "UPDATE consumer_offsets SET lease_token = lease_token + 1, acked_seq = 3");
    assert_true(post_change(b, 9, 9, FAILED_DEAD));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_BROKEN);
    assert_int_equal(ledger_standing(b->c), LEDGER_STALE);
    assert_true(wake_wait(b->wake, 5000) & WAKE_POKED);
    assert_string_equal(row(b), "3 - 2");
    assert_int_equal(fixture_int(b->f, "SELECT count(*) FROM failed_deliveries"), 0);
    claim_ok(b);
    assert_int_equal(ledger_standing(b->c), LEDGER_HELD);
    assert_true(post(b, 10, NULL));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_string_equal(row(b), "10 - 3");
}

static void a_410_disables_the_consumer(void **state)
{
    struct bench *b = *state;
    claim_ok(b);
    assert_true(ledger_post(b->c, &(struct settlement){.acked_seq = 1, .disable = true}));
    assert_true(post(b, 2, NULL));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_string_equal(fixture_text(b->f, "SELECT state FROM consumer_offsets"), "disabled");
}

static void a_busy_writer_delays_and_loses_nothing(void **state)
{
    struct bench *b = *state;
    claim_ok(b);
    assert_ok(b->f, outbox_begin(b->f->ob));
    assert_true(post_change(b, 1, 1, FAILED_RETRY));
    int64_t began_us = clock_monotonic_us();
    assert_true(post(b, 2, "two")); /* posting waits for nobody */
    assert_in_range(clock_monotonic_us() - began_us, 0, 400000);
    assert_int_equal(ledger_flush(b->c, 800), LEDGER_LATER);
    assert_true(post_change(b, 3, 3, FAILED_RETRY)); /* after a failed attempt: put back in front */
    assert_ok(b->f, outbox_commit(b->f->ob));
    assert_int_equal(ledger_flush(b->c, 10000), LEDGER_OK);
    assert_string_equal(row(b), "3 - 1");
    assert_string_equal(fixture_text(b->f, "SELECT group_concat(seq) FROM failed_deliveries"), "1,3");
}

static void an_interrupted_claim_ends(void **state)
{
    struct bench *b = *state;
    struct cursor cursor;
    assert_ok(b->f, outbox_begin(b->f->ob));
    b->c = ledger_join(b->ledger, &b->settings, b->wake);
    ledger_interrupt(b->c);
    assert_int_equal(claim(b, &cursor), LEDGER_INTERRUPTED);
    assert_ok(b->f, outbox_rollback(b->f->ob));
}

static void a_replaced_database_ends_the_ledger(void **state)
{
    struct bench *b = *state;
    char away[128];
    claim_ok(b);
    snprintf(away, sizeof away, "%s.away", b->f->path);
    assert_int_equal(rename(b->f->path, away), 0);
    assert_true(post(b, 5, NULL));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_BROKEN);
    assert_int_equal(ledger_standing(b->c), LEDGER_ENDED);
    struct cursor cursor;
    assert_int_equal(claim(b, &cursor), LEDGER_BROKEN);
    assert_non_null(strstr(b->reason, "was renamed, removed or replaced"));
    assert_int_equal(rename(away, b->f->path), 0);
    assert_string_equal(row(b), "0 - 1");
}

/* Somebody else, who tries for the write lock at the first look that a claim takes at the database. */
static sqlite3 *intruder;
static int intruder_rc;

static int intrude(unsigned event, void *arg, void *statement, void *sql)
{
    (void)event, (void)arg, (void)statement;
    if (!strncmp(sql, "SELECT acked_seq", 16))
        intruder_rc = sqlite3_exec(intruder, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL);
    return 0;
}

static int watch_statements(sqlite3 *db)
{
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, intrude, NULL);
}

/* Were it only reading at first, another's commit in between would make its write fail whatever the busy timeout. */
static void nobody_writes_between_a_claims_look_and_its_write(void **state)
{
    struct bench *b = *state;
    assert_int_equal(sqlite3_open(b->f->path, &intruder), SQLITE_OK);
    ledger_close(b->ledger);
    b->ledger = NULL;
    sqlite3_auto_extension((void (*)(void))watch_statements);
    int code = ledger_open(b->f->path, &b->ledger, b->reason, sizeof b->reason);
    sqlite3_reset_auto_extension();
    assert_int_equal(code, 0);
    intruder_rc = -1;
    claim_ok(b);
    assert_int_equal(intruder_rc, SQLITE_BUSY);
    sqlite3_close(intruder);
}

static bool is_reclaimed(void *arg)
{
    return sql_int(outbox_db(((struct bench *)arg)->f->ob), "SELECT count(*) FROM outbox") == 0;
}

static void what_is_acknowledged_is_reclaimed(void **state)
{
    struct bench *b = *state;
    emit_events(b->f, "k", 100);
    claim_ok(b);
    assert_true(post(b, 100, NULL));
    assert_true(comes_true(is_reclaimed, b));
    emit_events(b->f, "k", 3);
    assert_true(post(b, 103, NULL));
    assert_int_equal(ledger_flush(b->c, 5000), LEDGER_OK);
    assert_int_equal(ledger_reclaim(b->ledger), LEDGER_OK);
    assert_true(is_reclaimed(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_consumer_begins_at_the_oldest_event_owed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_consumer_can_begin_now, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_consumer_can_begin_at_a_seq_and_is_owed_it_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_seq_that_is_gone_or_not_there_yet_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_log_has_only_what_comes_next, setup, teardown),
        cmocka_unit_test_setup_teardown(a_consumer_that_exists_goes_on_under_a_new_token, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_of_a_file_is_nobodys_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(a_consumer_of_another_kind_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_cursor_wins_and_changes_keep_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(since_when_one_fails_is_now_or_as_told_and_then_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_attempts_of_a_delivery_are_kept_and_go_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cursor_never_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_token_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_410_disables_the_consumer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_busy_writer_delays_and_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupted_claim_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replaced_database_ends_the_ledger, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_writes_between_a_claims_look_and_its_write, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_acknowledged_is_reclaimed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
