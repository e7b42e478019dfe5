/* mod_consumer_test.c — consumers in plain SQL, and a row's history: outbox_read, _ack, _take, _wait, _leave, _history. */
#include <pthread.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>

#include "extension.h"

static int setup(void **state)
{
    int rc = host_setup(state);
    for (int i = 1; rc == 0 && i <= 5; i++)
        host_say(*state, "SELECT outbox_emit('mail', 'm-' || (SELECT count(*) + 1 FROM change_log), '{\"n\":1}')");
    return rc;
}

static const char seqs[] = "SELECT seq FROM outbox_read('c')";

static void a_read_shows_whole_events_in_order(void **state)
{
    struct host *h = *state;
    host_say(h, "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":1}'); SELECT outbox_delete('t', 'a')");
    host_say(h, "SELECT outbox_emit('bytes', NULL, x'00ff', '{\"a\":\"b\"}')");
    assert_string_equal(host_list(h, seqs), "1 2 3 4 5 6 7 8");
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('c') ORDER BY seq DESC"), "8 7 6 5 4 3 2 1");
    assert_says(h,
                "SELECT topic, table_name, key, op, revision, before, payload, headers, ordering_key, prev"
                "  FROM outbox_read('c') WHERE seq = 7",
                "t|t|a|delete|2|{\"id\":\"a\",\"n\":1,\"revision\":1}||||6");
    assert_says(h,
                "SELECT typeof(payload), hex(payload), headers, revision IS NULL FROM outbox_read('c') WHERE seq = 8",
                "blob|00FF|{\"a\":\"b\"}|1");
    assert_says(h,
                "SELECT count(*) FROM outbox_read('c') AS r JOIN change_log AS l USING (seq)"
                " WHERE r.id = (SELECT value FROM outbox_meta WHERE name = 'source') || '-' || seq"
                "   AND r.created_at = l.created_at"
                "   AND r.time GLOB strftime('%Y-%m-%dT%H:%M:%S', l.created_at / 1000000, 'unixepoch') || '.??????Z'",
                "8");
}

static void a_rows_seq_is_its_rowid_and_its_arguments_are_columns(void **state)
{
    struct host *h = *state;
    assert_string_equal(host_list(h, "SELECT rowid FROM outbox_read('c', 3)"), "1 2 3");
    assert_says(h, "SELECT consumer, \"limit\" IS NULL FROM outbox_read('c', 3) WHERE seq = 2", "c|1");
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('c') ORDER BY key DESC, seq"), "5 4 3 2 1");
    host_say(h, "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":1}')");
    assert_says(h, "SELECT rowid FROM outbox_history('t', 'a')", "6");
}

static void a_wait_is_as_long_as_can_be_counted(void **state)
{
    struct host *h = *state;
    host_list(h, seqs);
    assert_says(h, "SELECT outbox_wait('c', -1)", "outbox: invalid: milliseconds: -1 is out of range");
    assert_says(h, "SELECT outbox_wait('c', 2147483648)", "outbox: invalid: milliseconds: 2147483648 is out of range");
}

static void a_read_is_repeated_until_it_is_acknowledged(void **state)
{
    struct host *h = *state;
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('c', 2)"), "1 2");
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('c', 3)"), "1 2 3");
    assert_says(h, "SELECT outbox_ack('c', 2)", "2");
    assert_string_equal(host_list(h, seqs), "3 4 5");
    assert_string_equal(host_list(h, "SELECT a.seq FROM outbox_read('c') AS a JOIN outbox_read('c') AS b USING (seq)"),
                        "3 4 5"); /* two scans at once */
    assert_says(h, "SELECT outbox_ack('c', 5)", "5");
    assert_string_equal(host_list(h, seqs), "");
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('c', 0)"), "");
}

static void more_than_a_batch_comes_whole(void **state)
{
    struct host *h = *state;
    host_say(h, "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 995)"
                " SELECT outbox_emit('x', NULL, NULL) FROM n; COMMIT");
    assert_says(h, "SELECT count(*), max(seq) FROM outbox_read('c')", "100|100");
    assert_says(h, "SELECT count(*), max(seq), sum(seq - prev) FROM outbox_read('c', -1)", "1000|1000|1000");
    assert_says(h, "SELECT count(*), max(seq) FROM outbox_read('c', 250)", "250|250");
    assert_says(h, "SELECT outbox_ack('c', 250); SELECT min(seq) FROM outbox_read('c')", "251");
}

static void only_what_was_read_can_be_acknowledged(void **state)
{
    struct host *h = *state;
    assert_says(h, "SELECT outbox_take('c')", "0");
    assert_non_null(strstr(host_say(h, "SELECT outbox_ack('c', 1)"), "outbox: misuse: consumer c: seq 1 has not been"));
    host_list(h, "SELECT seq FROM outbox_read('c', 2)");
    assert_non_null(strstr(host_say(h, "SELECT outbox_ack('c', 3)"), "outbox: misuse: "));
    host_list(h, "SELECT seq FROM outbox_read('c', 1)");
    assert_says(h, "SELECT outbox_ack('c', 2)", "2"); /* seen in the read before */
    assert_non_null(strstr(host_say(h, "SELECT outbox_ack('c', -1)"), "outbox: invalid: "));
    assert_says(h, "SELECT outbox_ack('c', NULL) IS NULL", "1"); /* max(seq) of nothing */
    assert_string_equal(host_list(h, seqs), "3 4 5");
}

/* The work and the cursor in one database, in one transaction: exactly once, whatever ends the program. */
static void an_acknowledgement_is_part_of_the_transaction(void **state)
{
    struct host *h = *state;
    host_say(h, "CREATE TABLE done(seq INTEGER PRIMARY KEY); SELECT outbox_take('c')");
    for (int round = 0; round < 3; round++) {
        host_say(h, "CREATE TEMP TABLE batch AS SELECT * FROM outbox_read('c', 2)");
        host_say(
            h, "BEGIN IMMEDIATE; INSERT INTO done SELECT seq FROM batch; SELECT outbox_ack('c', max(seq)) FROM batch");
        host_say(h, round == 1 ? "ROLLBACK" : "COMMIT");
        host_say(h, "DROP TABLE batch");
    }
    assert_string_equal(host_list(h, "SELECT seq FROM done"), "1 2 3 4");
    assert_string_equal(host_list(h, seqs), "5");
}

static void a_transaction_that_writes_reads_no_events(void **state)
{
    struct host *h = *state;
    host_say(h, "SELECT outbox_take('c')");
    host_say(h, "BEGIN IMMEDIATE");
    assert_non_null(strstr(host_say(h, seqs), "outbox: misuse: outbox_read inside a transaction that writes"));
    host_say(h, "ROLLBACK; BEGIN");
    assert_string_equal(host_list(h, seqs), "1 2 3 4 5");
    assert_non_null(strstr(host_say(h, "SELECT outbox_wait('c', 0)"), "outbox: misuse: outbox_wait inside"));
    host_say(h, "COMMIT; BEGIN");
    assert_non_null(strstr(host_say(h, "SELECT * FROM outbox_read('new')"), "SELECT outbox_take('new') before it"));
    host_say(h, "COMMIT");
}

static void a_consumer_is_held_until_it_is_left_or_the_connection_closes(void **state)
{
    struct host *h = *state;
    sqlite3 *other = host_connect(h);
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('c', 1)"), "1");
    assert_non_null(strstr(host_say_on(h, other, seqs), "outbox: busy: consumer c is held by pid"));
    assert_int_equal(sqlite3_errcode(other), SQLITE_BUSY);
    assert_says(h, "SELECT outbox_ack('c', 1)", "1"); /* that lets nothing go */
    assert_non_null(strstr(host_say_on(h, other, seqs), "outbox: busy: "));
    assert_says(h, "SELECT outbox_leave('c')", "1");
    assert_says(h, "SELECT outbox_leave('c')", "0");
    assert_string_equal(host_say_on(h, other, "SELECT outbox_take('c')"), "1");
    assert_non_null(strstr(host_say(h, "SELECT outbox_take('c')"), "outbox: busy: "));
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_string_equal(host_list(h, seqs), "2 3 4 5");
}

static void a_new_consumer_begins_where_it_is_told(void **state)
{
    struct host *h = *state;
    assert_says(h, "SELECT outbox_take('late', 'now')", "5");
    assert_says(h, "SELECT outbox_take('early', 'start')", "0");
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('late')"), "");
    host_say(h, "SELECT outbox_emit('x', NULL, NULL)");
    assert_string_equal(host_list(h, "SELECT seq FROM outbox_read('late')"), "6");
}

static void a_cursor_that_was_moved_is_told_once_and_taken_again(void **state)
{
    struct host *h = *state;
    host_list(h, seqs);
    host_say(h, "UPDATE consumer_offsets SET acked_seq = 3, lease_token = lease_token + 1"); /* outboxctl's seek */
    assert_non_null(strstr(host_say(h, seqs), "outbox: stale: consumer c was moved"));
    assert_string_equal(host_list(h, seqs), "4 5");
}

static void missing_events_are_told_and_not_passed_over(void **state)
{
    struct host *h = *state;
    host_list(h, "SELECT seq FROM outbox_read('c', 1)");
    host_say(h, "DELETE FROM outbox WHERE seq IN (1, 2)");
    for (int i = 0; i < 2; i++)
        assert_non_null(
            strstr(host_say(h, seqs), "outbox: gap: consumer c: events after seq 0 are gone; the first one"));
    assert_says(h, "SELECT outbox_wait('c', 0)", "1"); /* whoever reads then is told */
}

static void a_consumer_left_during_its_own_read_says_so(void **state)
{
    struct host *h = *state;
    host_say(h, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
                " SELECT outbox_emit('x', NULL, NULL) FROM n");
    assert_non_null(strstr(host_say(h, "SELECT outbox_leave('c') FROM outbox_read('c', -1)"),
                           "outbox: stale: consumer c was left while its events were read"));
    assert_says(h, "SELECT count(*) FROM outbox_read('c', -1)", "205");
}

/* The test's own thread sleeps in poll(). Twenty seconds are a failure, which the wait's answer then shows. */
static void await_the_wait(void)
{
    char path[64], line[16];
    struct timespec nap = {0, 1000000};
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)getpid());
    for (int i = 0; i < 20000; i++) {
        FILE *file = fopen(path, "r");
        bool got = file && fgets(line, sizeof line, file);
        if (file)
            fclose(file);
        if (!file || (got && (atoi(line) == SYS_poll || atoi(line) == SYS_ppoll)))
            return;
        nanosleep(&nap, NULL);
    }
}

static void *emit_soon(void *arg)
{
    struct host *mine = arg;
    mine->db = host_connect(mine);
    await_the_wait();
    host_say(mine, "SELECT outbox_emit('x', NULL, NULL)");
    sqlite3_close(mine->db);
    return NULL;
}

static void a_wait_ends_with_the_next_commit(void **state)
{
    struct host *h = *state, other = *h;
    pthread_t thread;
    host_say(h, "SELECT outbox_take('c', 'now')");
    assert_says(h, "SELECT outbox_wait('c', 0)", "0");
    assert_says(h, "SELECT outbox_wait('c', 20)", "0");
    assert_int_equal(pthread_create(&thread, NULL, emit_soon, &other), 0);
    assert_says(h, "SELECT outbox_wait('c', 20000)", "1");
    pthread_join(thread, NULL);
    assert_says(h, "SELECT outbox_wait('c', 20000)", "1"); /* not read yet */
    assert_string_equal(host_list(h, seqs), "6");
    assert_says(h, "SELECT outbox_wait('c', 0)", "0"); /* read, if not acknowledged */
}

/* ---- History ---- */

static void a_rows_history_is_every_revision(void **state)
{
    struct host *h = *state;
    host_say(h,
             "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":1}'); SELECT outbox_upsert('t', '{\"id\":\"b\",\"n\":1}');"
             "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":2}'); SELECT outbox_delete('t', 'a');"
             "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":3}')");
    static const char sql[] = "SELECT group_concat(concat, ' ') FROM (SELECT seq || op || revision || ':' ||"
                              " ifnull(before ->> 'n', '-') || ifnull(after ->> 'n', '-') AS concat FROM"
                              " outbox_history('T', 'a'))";
    assert_says(h, sql, "6insert1:-1 8update2:12 9delete3:2- 10insert4:-3");
    assert_says(h,
                "SELECT count(*) FROM outbox_history('t', 'a') WHERE time GLOB '20*-*-*T*Z' AND created_at > 0"
                " AND topic = 't' AND headers IS NULL",
                "4");
    assert_says(h, "SELECT count(*) FROM outbox_history('t', 'none')", "0");
    host_say(h, "DROP TABLE t");
    assert_says(h, "SELECT count(*) FROM outbox_history('t', 'a')", "4"); /* what happened stays */
}

static void a_history_is_found_by_any_form_of_the_key(void **state)
{
    struct host *h = *state;
    host_say(h, "CREATE TABLE i(a INTEGER, b TEXT, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (a, b))");
    host_say(h,
             "SELECT outbox_upsert('i', '{\"a\":1,\"b\":\"x\"}'); CREATE TABLE r(id REAL PRIMARY KEY, revision INTEGER"
             " NOT NULL DEFAULT 1); SELECT outbox_upsert('r', '{\"id\":2}')");
    assert_says(h, "SELECT seq FROM outbox_history('i', '[1, \"x\"]')", "6");
    assert_says(h, "SELECT seq FROM outbox_history('r', 2)", "7");
    assert_says(h, "SELECT seq FROM outbox_history('r', '2.0')", "7");
    assert_says(h, "SELECT h.seq FROM r, outbox_history('r', r.id) AS h", "7");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, host_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_read_shows_whole_events_in_order),
        TEST(a_rows_seq_is_its_rowid_and_its_arguments_are_columns),
        TEST(a_wait_is_as_long_as_can_be_counted),
        TEST(a_read_is_repeated_until_it_is_acknowledged),
        TEST(more_than_a_batch_comes_whole),
        TEST(only_what_was_read_can_be_acknowledged),
        TEST(an_acknowledgement_is_part_of_the_transaction),
        TEST(a_transaction_that_writes_reads_no_events),
        TEST(a_consumer_is_held_until_it_is_left_or_the_connection_closes),
        TEST(a_new_consumer_begins_where_it_is_told),
        TEST(a_cursor_that_was_moved_is_told_once_and_taken_again),
        TEST(missing_events_are_told_and_not_passed_over),
        TEST(a_consumer_left_during_its_own_read_says_so),
        TEST(a_wait_ends_with_the_next_commit),
        TEST(a_rows_history_is_every_revision),
        TEST(a_history_is_found_by_any_form_of_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
