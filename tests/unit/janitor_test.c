/* janitor_test.c — nothing is reclaimed that anybody still needs, and everything else is. */
#include <stdbool.h>

#include "janitor.h"
#include "relay_fixture.h"

static const int64_t now_us = INT64_C(2000000000000000); /* years after what the tests emit */
static const char forever[] = "UPDATE outbox_meta SET value = NULL WHERE name = 'history'";

/* All slices, as the ledger would run them. Returns how many there were. */
static int clean(struct fixture *f, int64_t at_us)
{
    struct janitor j;
    enum janitor_result result;
    int slices = 0;
    janitor_init(&j, outbox_db(f->ob));
    while ((result = janitor_slice(&j, at_us)) == JANITOR_MORE)
        slices++;
    assert_int_equal(result, JANITOR_CLEAN);
    return slices;
}

static const char *owed(struct fixture *f)
{
    return fixture_text(f, "SELECT group_concat(seq) FROM (SELECT seq FROM outbox ORDER BY seq)");
}

static const char *logged(struct fixture *f)
{
    return fixture_text(f, "SELECT group_concat(seq) FROM (SELECT seq FROM change_log ORDER BY seq)");
}

static void without_a_consumer_everything_stays(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 3);
    assert_int_equal(clean(f, now_us), 0);
    assert_string_equal(owed(f), "1,2,3");
    assert_string_equal(logged(f), "1,2,3");
}

static void the_slowest_consumer_decides(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, forever);
    emit_events(f, "k", 4);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('fast', 4), ('slow', 2)");
    clean(f, now_us);
    assert_string_equal(owed(f), "3,4");
    assert_string_equal(logged(f), "1,2,3,4");
}

static void a_reader_of_a_file_protects_nothing(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 2);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, reads, acked_seq) VALUES('file', '/x.jsonl', 0)");
    clean(f, now_us);
    assert_string_equal(owed(f), "1,2"); /* nor is it a consumer of the database */
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 2)");
    clean(f, now_us);
    assert_string_equal(owed(f), "NULL");
}

static void a_consumer_that_has_acknowledged_nothing_keeps_everything(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 2);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 2), ('new', NULL)");
    clean(f, now_us);
    assert_string_equal(owed(f), "1,2");
}

static void retain_keeps_acknowledged_rows_for_their_time(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 3);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 3);"
                   "UPDATE outbox_meta SET value = 1000 WHERE name = 'retain';"
                   "UPDATE change_log SET created_at = seq * 1000");
    clean(f, 3500);
    assert_string_equal(owed(f), "3");
    /* A younger row is never passed over: what is left has no holes. */
    fixture_sql(f, "INSERT INTO outbox VALUES(1), (2); UPDATE change_log SET created_at = 9000 WHERE seq = 2");
    clean(f, 8500);
    assert_string_equal(owed(f), "2,3");
}

static void history_keeps_the_log_for_its_time(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 4);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 4);"
                   "UPDATE outbox_meta SET value = 1000 WHERE name = 'history';"
                   "UPDATE change_log SET created_at = seq * 1000");
    clean(f, 3500);
    assert_string_equal(logged(f), "3,4");
    fixture_sql(f, forever);
    clean(f, now_us);
    assert_string_equal(logged(f), "3,4");
}

static void the_log_never_loses_what_is_owed(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 4);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 2);"
                   "UPDATE outbox_meta SET value = 0 WHERE name = 'history'");
    clean(f, now_us);
    assert_string_equal(owed(f), "3,4");
    assert_string_equal(logged(f), "3,4");
}

static void the_log_never_loses_what_a_failed_delivery_names(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 4);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 4);"
                   "INSERT INTO failed_deliveries(consumer, seq, state) VALUES('c', 2, 'dead'), ('gone', 3, 'retry')");
    clean(f, now_us);
    assert_string_equal(owed(f), "NULL");
    assert_string_equal(logged(f), "2,3");
    fixture_sql(f, "DELETE FROM failed_deliveries");
    clean(f, now_us);
    assert_string_equal(logged(f), "NULL");
}

static void a_large_backlog_goes_in_slices(void **state)
{
    struct fixture *f = *state;
    emit_events(f, "k", 3000);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 3000)");
    int slices = clean(f, now_us);
    assert_in_range(slices, 2 * 3000 / JANITOR_SLICE_ROWS, 2 * 3000);
    assert_int_equal(fixture_int(f, "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM change_log)"), 0);
}

/* A cursor that an operator moves back while the janitor looks: the delete must go by what is there then. */
static void a_held_lock_postpones_and_harms_nothing(void **state)
{
    struct fixture *f = *state;
    struct janitor j;
    sqlite3 *other = NULL;
    emit_events(f, "k", 2);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 2)");
    sqlite3_busy_timeout(outbox_db(f->ob), 0);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    sql_on(other, "BEGIN IMMEDIATE; UPDATE consumer_offsets SET acked_seq = 0");
    janitor_init(&j, outbox_db(f->ob));
    assert_int_equal(janitor_slice(&j, now_us), JANITOR_LATER);
    assert_true(sqlite3_get_autocommit(outbox_db(f->ob)));
    sql_on(other, "COMMIT");
    sqlite3_close(other);
    clean(f, now_us);
    assert_string_equal(owed(f), "1,2");
}

/* The janitor's busy handler: whoever held the lock lets go of it, having changed its mind about what was read. */
static int seek_and_let_go(void *arg, int calls)
{
    (void)calls;
    sql_on(arg, "COMMIT");
    return 1;
}

static void a_cursor_moved_back_while_it_waits_for_the_lock_counts(void **state)
{
    struct fixture *f = *state;
    struct janitor j;
    sqlite3 *seeker = NULL;
    emit_events(f, "k", 3);
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 3)");
    assert_int_equal(sqlite3_open(f->path, &seeker), SQLITE_OK);
    sql_on(seeker, "BEGIN IMMEDIATE; UPDATE consumer_offsets SET acked_seq = 1");
    sqlite3_busy_handler(outbox_db(f->ob), seek_and_let_go, seeker);
    janitor_init(&j, outbox_db(f->ob));
    assert_int_equal(janitor_slice(&j, now_us), JANITOR_MORE);
    sqlite3_busy_handler(outbox_db(f->ob), NULL, NULL);
    sqlite3_close(seeker);
    assert_string_equal(owed(f), "2,3");
}

/* A database as its owner made it: auto_vacuum must be set before the first table. Returns its free pages after the rest
 * of 8,000 rows of 400 bytes is reclaimed. */
static int64_t free_pages_with(struct fixture *f, const char *auto_vacuum)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = %s; VACUUM; PRAGMA journal_mode = WAL", auto_vacuum);
    fixture_sql(f, sql);
    fixture_sql(
        f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)"
           " INSERT INTO change_log(topic, op, payload, created_at) SELECT 't', 'emit', hex(zeroblob(200)), 1 FROM n;"
           "INSERT INTO outbox SELECT seq FROM change_log;"
           "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 8000)");
    assert_true(fixture_int(f, "PRAGMA page_count") > 2 * JANITOR_SPARE_PAGES);
    clean(f, now_us);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 0);
    return fixture_int(f, "PRAGMA freelist_count");
}

static void free_pages_are_given_back_where_the_database_lets_them(void **state)
{
    assert_int_equal(free_pages_with(*state, "INCREMENTAL"), JANITOR_SPARE_PAGES);
    assert_string_equal(fixture_text(*state, "PRAGMA integrity_check"), "ok");
}

static void free_pages_stay_where_the_database_keeps_them(void **state)
{
    assert_true(free_pages_with(*state, "NONE") > JANITOR_SPARE_PAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_consumer_everything_stays, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_slowest_consumer_decides, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_reader_of_a_file_protects_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_consumer_that_has_acknowledged_nothing_keeps_everything, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(retain_keeps_acknowledged_rows_for_their_time, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(history_keeps_the_log_for_its_time, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_log_never_loses_what_is_owed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_log_never_loses_what_a_failed_delivery_names, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(free_pages_are_given_back_where_the_database_lets_them, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(free_pages_stay_where_the_database_keeps_them, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_large_backlog_goes_in_slices, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_held_lock_postpones_and_harms_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_cursor_moved_back_while_it_waits_for_the_lock_counts, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
