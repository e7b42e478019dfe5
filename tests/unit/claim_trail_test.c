/* claim_trail_test.c — of a trail only what the database bears out is believed, whatever happened between two holders. */
#include "claim.h"
#include "relay_fixture.h"

/* Events 1 to 20 of a consumer that has acknowledged 5, under the lease token 1. */
struct bench {
    struct fixture *f;
    struct sink_settings settings;
    struct trail *trail;
    struct claim claim;
    char path[128], reason[512], source[17];
};

static void open_bench_trail(struct bench *b)
{
    b->trail = trail_open(b->path, "c");
    assert_non_null(b->trail);
}

static void claim(struct bench *b)
{
    sqlite3 *db = outbox_db(b->f->ob);
    free(b->claim.cursor.position);
    b->claim = (struct claim){.lease_token = 0};
    sql_on(db, "BEGIN IMMEDIATE");
    if (claim_take(db, &b->settings, b->trail, &b->claim, b->reason, sizeof b->reason) != CLAIM_OK)
        fail_msg("%s", b->reason);
    sql_on(db, "COMMIT");
    strcpy(b->source, fixture_text(b->f, "SELECT value FROM outbox_meta WHERE name = 'source'"));
    trail_begin(b->trail, b->source, b->claim.lease_token, b->claim.cursor.acked_seq);
}

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    void *fixture = NULL;
    if (fixture_setup(&fixture) != 0)
        return -1;
    b->f = fixture;
    b->settings = settings_of(strdup("c"));
    b->settings.kind = SINK_WEBHOOK;
    snprintf(b->path, sizeof b->path, "%s.c.trail", b->f->path);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    emit_events(b->f, "k", 20);
    open_bench_trail(b);
    claim(b);
    fixture_sql(b->f, "UPDATE consumer_offsets SET acked_seq = 5");
    trail_recorded(b->trail, 5, true);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    trail_close(b->trail);
    free(b->claim.cursor.position);
    free(b->settings.consumer);
    void *fixture = b->f;
    free(b);
    return fixture_teardown(&fixture);
}

static int64_t created_at(struct bench *b, int64_t seq)
{
    char sql[80];
    snprintf(sql, sizeof sql, "SELECT created_at FROM change_log WHERE seq = %lld", (long long)seq);
    return fixture_int(b->f, sql);
}

static void deliver(struct bench *b, int64_t seq)
{
    trail_add(b->trail, seq, created_at(b, seq));
    trail_flush(b->trail);
}

/* The holder is killed, and another takes over. */
static void take_over(struct bench *b)
{
    trail_close(b->trail);
    open_bench_trail(b);
    claim(b);
}

/* "ACKED POSITION", of the row and of the claim alike. */
static void assert_cursor(struct bench *b, const char *wanted)
{
    char claimed[512];
    snprintf(claimed, sizeof claimed, "%lld %s", (long long)b->claim.cursor.acked_seq,
             b->claim.cursor.position ? b->claim.cursor.position : "-");
    assert_string_equal(claimed, wanted);
    assert_string_equal(fixture_text(b->f, "SELECT acked_seq || ' ' || coalesce(position, '-') FROM consumer_offsets"
                                           " WHERE consumer = 'c'"),
                        wanted);
}

static void what_was_delivered_is_settled(void **state)
{
    struct bench *b = *state;
    for (int64_t seq = 9; seq >= 7; seq--)
        deliver(b, seq);
    deliver(b, 12);
    take_over(b);
    assert_cursor(b, "5 {\"settled\":\"7-9,12\"}");
    assert_int_equal(b->claim.trail_count, 4);
}

static void a_second_kill_finds_it_done(void **state)
{
    struct bench *b = *state;
    deliver(b, 7);
    take_over(b);
    deliver(b, 9);
    take_over(b);
    take_over(b);
    assert_cursor(b, "5 {\"settled\":\"7,9\"}");
}

static void what_the_position_says_already_stays(void **state)
{
    struct bench *b = *state;
    fixture_sql(b->f, "UPDATE consumer_offsets SET position = '{\"settled\":\"8-10,14,16-17\"}'");
    deliver(b, 6);
    deliver(b, 9);
    deliver(b, 11);
    deliver(b, 15);
    deliver(b, 20);
    take_over(b);
    assert_cursor(b, "5 {\"settled\":\"6,8-11,14-17,20\"}");
}

static void of_a_position_what_the_cursor_has_passed_goes(void **state)
{
    struct bench *b = *state;
    fixture_sql(b->f, "UPDATE consumer_offsets SET position = '{\"settled\":\"3-8\"}'");
    deliver(b, 12);
    take_over(b);
    assert_cursor(b, "5 {\"settled\":\"6-8,12\"}");
}

static void what_the_cursor_has_passed_is_nothing_new(void **state)
{
    struct bench *b = *state;
    deliver(b, 4);
    deliver(b, 6);
    fixture_sql(b->f, "UPDATE consumer_offsets SET acked_seq = 8");
    take_over(b);
    assert_cursor(b, "8 -");
    assert_int_equal(b->claim.trail_count, 0);
}

static void a_retry_that_succeeded_is_failed_no_more(void **state)
{
    struct bench *b = *state;
    fixture_sql(b->f, "INSERT INTO failed_deliveries(consumer, seq, key, state) VALUES ('c', 3, 'k', 'retry'),"
                      " ('c', 4, 'k', 'waiting'), ('c', 9, 'l', 'retry'), ('other', 3, 'k', 'retry')");
    deliver(b, 3);
    deliver(b, 9);
    take_over(b);
    assert_string_equal(fixture_text(b->f, "SELECT group_concat(consumer || seq) FROM failed_deliveries"), "c4,other3");
    assert_cursor(b, "5 {\"settled\":\"9\"}");
}

static void a_retry_alone_moves_nothing_else(void **state)
{
    struct bench *b = *state;
    fixture_sql(b->f, "INSERT INTO failed_deliveries(consumer, seq, key, state) VALUES ('c', 3, 'k', 'retry')");
    deliver(b, 3);
    take_over(b);
    assert_int_equal(fixture_int(b->f, "SELECT count(*) FROM failed_deliveries"), 0);
    assert_cursor(b, "5 -");
    assert_int_equal(b->claim.trail_count, 1);
}

static void a_command_has_acknowledged_all_before_it(void **state)
{
    struct bench *b = *state;
    b->settings.kind = SINK_EXEC;
    fixture_sql(b->f, "UPDATE consumer_offsets SET kind = 'exec', position = '5'");
    deliver(b, 7);
    deliver(b, 11);
    take_over(b);
    assert_cursor(b, "11 11");
    deliver(b, 10); /* nothing new */
    take_over(b);
    assert_cursor(b, "11 11");
}

/* ---- What makes it void ------------------------------------------------------------------------------------------- */

static void void_without(struct bench *b, const char *sql, const char *cursor)
{
    deliver(b, 7);
    deliver(b, 9);
    fixture_sql(b->f, sql);
    take_over(b);
    assert_cursor(b, cursor);
    assert_int_equal(b->claim.trail_count, 0);
}

static void a_seek_makes_it_void(void **state)
{
    void_without(*state, "UPDATE consumer_offsets SET acked_seq = 5, position = NULL, lease_token = lease_token + 1",
                 "5 -");
}

static void a_new_source_makes_it_void(void **state)
{
    void_without(*state, "UPDATE outbox_meta SET value = '0123456789abcdef' WHERE name = 'source'", "5 -");
}

static void other_events_of_these_numbers_are_delivered(void **state)
{
    void_without(*state, "UPDATE change_log SET created_at = created_at + 1", "5 -");
}

static void events_that_are_gone_are_not_settled(void **state)
{
    void_without(*state, "DELETE FROM change_log WHERE seq IN (7, 9)", "5 -");
}

static void a_cursor_moved_back_by_hand_makes_it_void(void **state)
{
    void_without(*state, "UPDATE consumer_offsets SET acked_seq = 4", "4 -");
}

/* That it was moved back may show in the last entry only, which is itself of something passed. */
static void one_entry_that_knew_a_later_cursor_makes_all_void(void **state)
{
    struct bench *b = *state;
    trail_recorded(b->trail, 3, false);
    deliver(b, 7);
    trail_recorded(b->trail, 5, false);
    deliver(b, 3);
    fixture_sql(b->f, "UPDATE consumer_offsets SET acked_seq = 4");
    take_over(b);
    assert_cursor(b, "4 -");
    assert_int_equal(b->claim.trail_count, 0);
}

static void a_consumer_removed_and_registered_again_gets_everything(void **state)
{
    struct bench *b = *state;
    trail_recorded(b->trail, 0, true);
    deliver(b, 7);
    fixture_sql(b->f, "DELETE FROM consumer_offsets");
    b->settings.start = START_SEQ;
    b->settings.start_seq = 3;
    take_over(b); /* under the lease token 1, as the first was */
    assert_cursor(b, "2 -");
    assert_int_equal(b->claim.lease_token, 1);
    take_over(b);
    assert_cursor(b, "2 -");
    /* So does a row that was made by hand. */
    trail_recorded(b->trail, 0, true);
    deliver(b, 8);
    fixture_sql(b->f, "DELETE FROM consumer_offsets;"
                      "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES ('c', 2, 2)");
    take_over(b);
    assert_cursor(b, "2 -");
}

static void a_damaged_trail_counts_for_nothing(void **state)
{
    struct bench *b = *state;
    struct trail_entry entries[8] = {
        {.seq = 7, .floor = 5, .seal = 1}, {.seq = INT64_MAX, .floor = INT64_MAX}, {.seq = -1}};
    deliver(b, 9);
    deliver(b, 10);
    FILE *file = fopen(b->path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 20, SEEK_SET), 0); /* within the first */
    assert_int_equal(fputc(0x55, file), 0x55);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(fwrite(entries, sizeof entries, 1, file), 1);
    assert_int_equal(fwrite("torn", 4, 1, file), 1);
    fclose(file);
    take_over(b);
    assert_cursor(b, "5 {\"settled\":\"10\"}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_delivered_is_settled),
        TEST(a_second_kill_finds_it_done),
        TEST(what_the_position_says_already_stays),
        TEST(of_a_position_what_the_cursor_has_passed_goes),
        TEST(what_the_cursor_has_passed_is_nothing_new),
        TEST(a_retry_that_succeeded_is_failed_no_more),
        TEST(a_retry_alone_moves_nothing_else),
        TEST(a_command_has_acknowledged_all_before_it),
        TEST(a_seek_makes_it_void),
        TEST(a_new_source_makes_it_void),
        TEST(other_events_of_these_numbers_are_delivered),
        TEST(events_that_are_gone_are_not_settled),
        TEST(a_cursor_moved_back_by_hand_makes_it_void),
        TEST(one_entry_that_knew_a_later_cursor_makes_all_void),
        TEST(a_consumer_removed_and_registered_again_gets_everything),
        TEST(a_damaged_trail_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
