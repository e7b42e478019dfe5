/* source_test.c — batches, their chain, and the sync before delivery. */
#include <errno.h>

#include "source_rig.h"

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
    refuse_the_second(r, "2:{\"n\":1} 3:{\"n\":2} ");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        source_test(events_come_in_order_up_to_the_limit),
        source_test(a_refused_row_is_read_again),
        source_test(what_plain_sql_stored_keeps_its_type),
        source_test(a_batch_is_bounded_by_bytes_too),
        source_test(a_quiet_look_reads_nothing),
        source_test(a_batch_is_synced_before_it_is_handed_over),
        source_test(what_was_there_at_a_sync_is_not_synced_again),
        source_test(what_takes_the_place_of_synced_events_is_synced),
        source_test(a_new_claim_relies_on_no_former_sync),
        source_test(a_failed_sync_delivers_nothing),
        source_test(a_missing_seq_is_a_gap),
        source_test(a_missing_end_is_a_gap),
        source_test(a_seq_lifted_on_record_is_no_gap),
        source_test(a_log_that_ends_before_seqs_skipped_on_record_is_passed),
        source_test(a_cursor_beyond_the_end_is_rewound),
        source_test(a_moved_token_or_a_new_source_is_stale),
        source_test(a_replaced_file_is_noticed),
        source_test(what_was_acknowledged_comes_from_the_log),
        source_test(a_log_that_is_gone_breaks_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
