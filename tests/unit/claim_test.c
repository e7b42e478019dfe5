/* claim_test.c — a consumer that is new keeps nobody waiting, however much is owed. */
#include "claim.h"
#include "relay_fixture.h"

enum { OWED = 100000, STEPS_EACH = 1000, STEPS_MAX = 100 }; /* three steps or more for each row that is looked at */

static int count_steps(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void owe(struct fixture *f, int64_t events)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %lld)"
             " INSERT INTO change_log(topic, op) SELECT 't', 'emit' FROM n;"
             " INSERT INTO outbox SELECT seq FROM change_log",
             (long long)events);
    fixture_sql(f, sql);
}

/* Registers the consumer "c". Returns the steps of the database that it took, in thousands. */
static int claim(struct fixture *f, struct sink_settings settings, struct claim *claim)
{
    char reason[512] = "";
    int steps = 0;
    sqlite3 *db = outbox_db(f->ob);
    sql_on(db, "BEGIN IMMEDIATE");
    sqlite3_progress_handler(db, STEPS_EACH, count_steps, &steps);
    *claim = (struct claim){.lease_token = 0};
    if (claim_take(db, &settings, NULL, claim, reason, sizeof reason) != CLAIM_OK)
        fail_msg("%s", reason);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    sql_on(db, "COMMIT");
    return steps;
}

static void a_large_backlog_holds_the_write_lock_no_longer_than_a_small_one(void **state)
{
    struct claim found;
    owe(*state, OWED);
    assert_true(claim(*state, settings_of((char[]){"c"}), &found) < STEPS_MAX);
    assert_true(found.waiting_more);
    assert_int_equal(found.waiting_count, OWED);
}

static void a_small_backlog_is_counted_with_the_holes_that_new_source_left(void **state)
{
    struct claim found;
    owe(*state, 7);
    fixture_sql(*state, "UPDATE sqlite_sequence SET seq = 1000 WHERE name = 'change_log';"
                        "INSERT INTO outbox_events(topic, payload) VALUES ('t', '1')");
    claim(*state, settings_of((char[]){"c"}), &found);
    assert_false(found.waiting_more);
    assert_int_equal(found.waiting_count, 8);
    assert_int_equal(found.cursor.acked_seq, 0);
}

static void what_is_asked_for_is_found_in_a_long_history_without_counting_it(void **state)
{
    char reason[512] = "";
    int64_t after = 0;
    int steps = 0;
    struct fixture *f = *state;
    struct sink_settings settings = settings_of((char[]){"c"});
    owe(f, OWED);
    settings.start = START_SEQ;
    settings.start_seq = 3;
    sqlite3_progress_handler(outbox_db(f->ob), STEPS_EACH, count_steps, &steps);
    assert_int_equal(claim_begin(outbox_db(f->ob), &settings, &after, reason, sizeof reason), CLAIM_OK);
    sqlite3_progress_handler(outbox_db(f->ob), 0, NULL, NULL);
    assert_int_equal(after, 2);
    assert_true(steps < STEPS_MAX);
}

static int setup(void **state)
{
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    return fixture_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_large_backlog_holds_the_write_lock_no_longer_than_a_small_one, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_small_backlog_is_counted_with_the_holes_that_new_source_left, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_asked_for_is_found_in_a_long_history_without_counting_it, setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
