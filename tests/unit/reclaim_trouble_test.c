/* reclaim_trouble_test.c — reclaiming that fails says so once, stops nobody's deliveries, and ends where it never will work. */
#include <fcntl.h>
#include <stdbool.h>

#include "janitor.h"
#include "ledger.h"
#include "relay_fixture.h"
#include "settlement.h"

static const int64_t now_us = INT64_C(2000000000000000); /* years after what the tests emit */
static const char refusing[] = "CREATE TRIGGER kept BEFORE DELETE ON change_log"
                               " BEGIN SELECT raise(ABORT, 'the auditors want it'); END";

struct scene {
    struct fixture *f;
    struct ledger *ledger;
    struct wake *wake;
    struct sink_settings settings;
    struct ledger_consumer *c;
    char log_path[128], log[4096];
    int saved_stderr;
};

/* Standard error goes to a file until teardown: what the ledger says is looked at. */
static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    void *fixture = NULL;
    if (fixture_setup(&fixture) != 0)
        return -1;
    s->f = fixture;
    s->settings = settings_of(strdup("c"));
    s->wake = wake_open(s->f->path);
    snprintf(s->log_path, sizeof s->log_path, "%s/log", s->f->dir);
    int fd = open(s->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    s->saved_stderr = dup(STDERR_FILENO);
    if (fd < 0 || s->saved_stderr < 0 || dup2(fd, STDERR_FILENO) < 0)
        return -1;
    close(fd);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    void *fixture = s->f;
    ledger_leave(s->c);
    ledger_close(s->ledger);
    wake_close(s->wake);
    dup2(s->saved_stderr, STDERR_FILENO);
    close(s->saved_stderr);
    free(s->settings.consumer);
    free(s);
    return fixture_teardown(&fixture);
}

/* How many lines of the log have the words. */
static int said(struct scene *s, const char *words)
{
    int count = 0;
    FILE *file = fopen(s->log_path, "r");
    assert_non_null(file);
    s->log[fread(s->log, 1, sizeof s->log - 1, file)] = '\0';
    fclose(file);
    for (const char *at = s->log; (at = strstr(at, words)); at++)
        count++;
    return count;
}

static void start_ledger(struct scene *s)
{
    char message[512] = "";
    struct cursor cursor = {0};
    int64_t token = 0;
    if (ledger_open(s->f->path, &s->ledger, message, sizeof message) != EXIT_DONE)
        fail_msg("%s", message);
    s->c = ledger_join(s->ledger, &s->settings, s->wake);
    assert_int_equal(ledger_claim(s->c, true, &cursor, &token, message, sizeof message), LEDGER_OK);
    free(cursor.position);
}

static enum ledger_result acknowledge(struct scene *s, int64_t seq)
{
    assert_true(ledger_post(s->c, &(struct settlement){.acked_seq = seq}));
    return ledger_flush(s->c, 5000);
}

/* 201 events on many pages, delivered and not owed any more; history ends now. */
static void emit_history(struct fixture *f)
{
    fixture_sql(f, "INSERT INTO outbox_events(topic, payload) VALUES('damage here', '1')");
    fixture_sql(f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
                   " INSERT INTO outbox_events(topic, payload) SELECT 't', json_quote(hex(zeroblob(200))) FROM n");
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES('c', 201); DELETE FROM outbox;"
                   " UPDATE outbox_meta SET value = 0 WHERE name = 'history'");
}

/* The page of change_log that holds its first row is no page any more. Nobody has the database open meanwhile: its locks
 * would go with our descriptor. */
static void damage_history(struct fixture *f)
{
    enum { PAGE = 4096 };
    char page[PAGE];
    bool found = false;
    assert_int_equal(fixture_int(f, "PRAGMA page_size"), PAGE);
    outbox_close(f->ob);
    FILE *file = fopen(f->path, "r+");
    assert_non_null(file);
    while (!found && fread(page, 1, PAGE, file) == PAGE)
        found = memmem(page, PAGE, "damage here", 11) != NULL;
    assert_true(found);
    fseek(file, -PAGE, SEEK_CUR);
    fputc('!', file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(outbox_open(f->path, NULL, &f->ob), OUTBOX_OK);
}

static void a_damaged_page_is_not_a_held_lock(void **state)
{
    struct scene *s = *state;
    struct janitor j;
    emit_history(s->f);
    damage_history(s->f);
    janitor_init(&j, outbox_db(s->f->ob));
    assert_int_equal(janitor_slice(&j, now_us), JANITOR_BROKEN);
    assert_int_equal(j.error & 0xff, SQLITE_CORRUPT);
    assert_non_null(strstr(j.words, "malformed"));
}

static void a_delete_that_is_refused_is_rolled_back_and_says_why(void **state)
{
    struct scene *s = *state;
    struct janitor j;
    emit_history(s->f);
    fixture_sql(s->f, refusing);
    janitor_init(&j, outbox_db(s->f->ob));
    assert_int_equal(janitor_slice(&j, now_us), JANITOR_BROKEN);
    assert_string_equal(j.words, "the auditors want it");
    assert_true(sqlite3_get_autocommit(outbox_db(s->f->ob)));
    fixture_sql(s->f, "DROP TRIGGER kept");
    assert_int_equal(janitor_slice(&j, now_us), JANITOR_MORE);
}

static void reclaiming_from_a_damaged_page_ends_at_once_with_a_word(void **state)
{
    struct scene *s = *state;
    emit_history(s->f);
    damage_history(s->f);
    start_ledger(s);
    int64_t began_us = clock_monotonic_us();
    assert_int_equal(ledger_reclaim(s->ledger), LEDGER_BROKEN);
    assert_in_range(clock_monotonic_us() - began_us, 0, 10000000); /* it isn't tried again for 20 s */
    assert_int_equal(said(s, "error cannot reclaim"), 1);
    assert_non_null(strstr(s->log, "malformed"));
    assert_non_null(strstr(s->log, "PRAGMA integrity_check"));
}

/* What is new is delivered, acknowledged and leaves outbox; only the old page stays where it is. */
static void it_stops_no_delivery_and_is_said_once(void **state)
{
    struct scene *s = *state;
    emit_history(s->f);
    damage_history(s->f);
    start_ledger(s);
    for (int64_t seq = 202; seq < 206; seq++) {
        emit_events(s->f, "k", 1);
        assert_int_equal(acknowledge(s, seq), LEDGER_OK);
        assert_int_equal(ledger_reclaim(s->ledger), LEDGER_BROKEN);
        assert_int_equal(ledger_standing(s->c), LEDGER_HELD);
        assert_int_equal(fixture_int(s->f, "SELECT count(*) FROM outbox"), 0);
    }
    assert_int_equal(said(s, "reclaim"), 1);
}

static void what_is_mended_is_reclaimed_and_said(void **state)
{
    struct scene *s = *state;
    emit_history(s->f);
    fixture_sql(s->f, refusing);
    start_ledger(s);
    assert_int_equal(ledger_reclaim(s->ledger), LEDGER_BROKEN);
    assert_int_equal(said(s, "the auditors want it"), 1);
    assert_int_equal(said(s, "integrity_check"), 0); /* no help there */
    fixture_sql(s->f, "DROP TRIGGER kept");
    assert_int_equal(ledger_reclaim(s->ledger), LEDGER_OK);
    assert_int_equal(fixture_int(s->f, "SELECT count(*) FROM change_log"), 0);
    assert_int_equal(said(s, "reclaims again"), 1);
}

/* A fault that passes: so many times the janitor's look at change_log is interrupted. */
static int refusals_left;

static int refuse(void *unused)
{
    (void)unused;
    return refusals_left > 0 && refusals_left-- > 0;
}

static int watch_for_look(unsigned event, void *db, void *statement, void *sql)
{
    (void)event, (void)statement;
    sqlite3_progress_handler(db, 1, strstr(sql, "failing(consumer)") ? refuse : NULL, NULL);
    return 0;
}

static int watch_statements(sqlite3 *db)
{
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, watch_for_look, db);
}

static void a_fault_that_passes_is_said_once_and_tried_again(void **state)
{
    struct scene *s = *state;
    emit_history(s->f);
    sqlite3_auto_extension((void (*)(void))watch_statements);
    refusals_left = 2;
    start_ledger(s); /* which begins to reclaim at once */
    sqlite3_reset_auto_extension();
    assert_int_equal(ledger_reclaim(s->ledger), LEDGER_OK);
    assert_int_equal(refusals_left, 0);
    assert_int_equal(fixture_int(s->f, "SELECT count(*) FROM change_log"), 0);
    assert_int_equal(said(s, "warn reclaiming waits"), 1);
    assert_int_equal(said(s, "reclaims again"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_page_is_not_a_held_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_that_is_refused_is_rolled_back_and_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(reclaiming_from_a_damaged_page_ends_at_once_with_a_word, setup, teardown),
        cmocka_unit_test_setup_teardown(it_stops_no_delivery_and_is_said_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_mended_is_reclaimed_and_said, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fault_that_passes_is_said_once_and_tried_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
