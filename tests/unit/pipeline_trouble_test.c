/* pipeline_trouble_test.c — a pipeline whose lock, database, ledger or sink is not as it should be: what passes is waited out
 * with nothing lost, what doesn't ends it in words, and either can be stopped.
 */
#include <sys/stat.h>

#include "pipeline_rig.h"

static void a_lock_that_cannot_be_made_stops_for_good(void **state)
{
    struct bench *b = *state;
    char path[128];
    snprintf(path, sizeof path, "%s.c.lock", b->f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    emit_events(b->f, "k", 1);
    start(b, false);
    assert_int_equal(join(b), PIPELINE_BROKEN);
    assert_int_equal(b->script.opens, 0);
    assert_int_equal(fixture_int(b->f, "SELECT count(*) FROM consumer_offsets"), 0);
}

/* Who delivers under no source gives its events no ids. */
static void a_source_that_was_deleted_is_waited_for(void **state)
{
    struct bench *b = *state;
    emit_events(b->f, "k", 2);
    start(b, false);
    await_taken(b, 2);
    b->wanted = 2;
    assert_true(comes_true(is_acked, b));
    fixture_sql(b->f, "CREATE TABLE kept AS SELECT * FROM outbox_meta WHERE name = 'source';"
                      "DELETE FROM outbox_meta WHERE name = 'source'");
    assert_true(comes_true(is_closed, b));
    fixture_sql(b->f, "INSERT INTO outbox_events(topic, payload) VALUES ('t', '{}')");
    assert_int_equal(b->script.taken_count, 2);
    for (int i = 0; i < 30; i++)
        sleep_a_moment();
    fixture_sql(b->f, "INSERT INTO outbox_meta SELECT * FROM kept");
    await_taken(b, 3);
    assert_int_equal(stop(b), PIPELINE_DONE);
    assert_taken(b, 3);
    assert_in_range(fixture_int(b->f, "SELECT lease_token FROM consumer_offsets"), 2, 20); /* it did not spin */
}

static void stopped_while_another_holds_the_write_lock_it_ends(void **state)
{
    struct bench *b = *state;
    emit_events(b->f, "k", 1);
    assert_ok(b->f, outbox_begin(b->f->ob));
    start(b, false);
    sleep_a_moment();
    assert_int_equal(stop(b), PIPELINE_DONE);
    assert_ok(b->f, outbox_rollback(b->f->ob));
    assert_int_equal(b->script.opens, 0);
}

static void one_that_is_not_registered_is_stopped_like_any_other(void **state)
{
    struct bench *b = *state;
    b->settings.registered = false;
    emit_events(b->f, "k", 2);
    start(b, false);
    await_taken(b, 2);
    assert_int_equal(stop(b), PIPELINE_DONE);
    assert_int_equal(fixture_int(b->f, "SELECT count(*) FROM consumer_offsets"), 0);
}

/* As a file whose last sync fails. */
static void a_sink_that_breaks_at_its_end_has_acknowledged_nothing_more(void **state)
{
    struct bench *b = *state;
    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    b->script.broken_at_finish = b->script.late = true;
    b->script.finishes = -1000; /* so that nothing is settled after it either */
    emit_events(b->f, "k", 3);
    start(b, false);
    await_taken(b, 3);
    assert_int_equal(stop(b), PIPELINE_BROKEN);
    assert_int_equal(acked(b), 0);
}

static void a_sink_that_breaks_when_it_is_paused_ends_the_pipeline(void **state)
{
    struct bench *b = *state;
    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    b->script.broken_at_finish = true;
    emit_events(b->f, "k", 1);
    start(b, false);
    await_taken(b, 1);
    fixture_sql(b->f, "UPDATE consumer_offsets SET state = 'paused'");
    assert_int_equal(join(b), PIPELINE_BROKEN);
}

static void once_with_a_sink_that_breaks_at_its_end_is_broken(void **state)
{
    struct bench *b = *state;
    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    b->script.broken_at_finish = true;
    emit_events(b->f, "k", 1);
    start(b, true);
    assert_int_equal(join(b), PIPELINE_BROKEN);
}

static bool has_taken_the_last(void *arg)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->script.mutex);
    bool has = b->script.taken_count && b->script.taken[b->script.taken_count - 1] == b->wanted;
    pthread_mutex_unlock(&b->script.mutex);
    return has;
}

/* This sink doesn't know what it has: some may come twice, none is passed over. */
static void an_event_that_is_not_taken_is_put_again(void **state)
{
    struct bench *b = *state;
    b->script.later_at_put = 10;
    b->settings.read_batch = 4;
    emit_events(b->f, "k", 30);
    start(b, false);
    b->wanted = 30;
    assert_true(comes_true(has_taken_the_last, b));
    assert_int_equal(stop(b), PIPELINE_DONE);
    for (int i = 0, last = 0; i < b->script.taken_count; last = (int)b->script.taken[i++])
        assert_in_range(b->script.taken[i], 1, last + 1);
    assert_int_equal(b->script.opens, 2);
    assert_int_equal(acked(b), 30);
}

static void once_ends_where_a_page_does(void **state)
{
    struct bench *b = *state;
    b->settings.read_batch = 7;
    emit_events(b->f, "k", 21);
    start(b, true);
    assert_int_equal(join(b), PIPELINE_DONE);
    assert_taken(b, 21);
    assert_int_equal(acked(b), 21);
}

static void set(struct bench *b, int changes, bool hold)
{
    pthread_mutex_lock(&b->script.mutex);
    b->script.changes = changes;
    b->script.hold = hold;
    pthread_mutex_unlock(&b->script.mutex);
}

static bool has_paused_reading(void *arg)
{
    struct bench *b = arg;
    int64_t before = b->wanted;
    for (int i = 0; i < 100; i++) /* it looks after the backlog every 100 ms */
        sleep_a_moment();
    pthread_mutex_lock(&b->script.mutex);
    b->wanted = b->script.taken_count;
    pthread_mutex_unlock(&b->script.mutex);
    return b->wanted == before;
}

/* What became of deliveries is kept in memory until the ledger has written it: no more than so much of it. */
static void beyond_what_the_ledger_can_keep_nothing_is_read(void **state)
{
    enum { EVENTS = 600 }; /* each is read for itself */
    struct bench *b = *state;
    b->script.room = 1;
    set(b, 0, true);
    emit_events(b->f, "k", EVENTS);
    start(b, false);
    assert_true(comes_true(is_holding, b));
    assert_ok(b->f, outbox_begin(b->f->ob)); /* from here on the ledger waits */
    set(b, 12000, false);
    pipeline_reopen(b->pipeline); /* wakes it */
    await_taken(b, 1);
    assert_true(comes_true(has_paused_reading, b));
    bool all = b->wanted == EVENTS;
    set(b, 0, false);
    assert_ok(b->f, outbox_rollback(b->f->ob));
    assert_false(all);
    await_taken(b, EVENTS);
    assert_int_equal(stop(b), PIPELINE_DONE);
    assert_taken(b, EVENTS);
    assert_int_equal(acked(b), EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lock_that_cannot_be_made_stops_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(a_source_that_was_deleted_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped_while_another_holds_the_write_lock_it_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_not_registered_is_stopped_like_any_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sink_that_breaks_at_its_end_has_acknowledged_nothing_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sink_that_breaks_when_it_is_paused_ends_the_pipeline, setup, teardown),
        cmocka_unit_test_setup_teardown(once_with_a_sink_that_breaks_at_its_end_is_broken, setup, teardown),
        BOTH(an_event_that_is_not_taken_is_put_again),
        BOTH(once_ends_where_a_page_does),
        cmocka_unit_test_setup_teardown(beyond_what_the_ledger_can_keep_nothing_is_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
