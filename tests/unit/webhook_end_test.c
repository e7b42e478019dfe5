/* webhook_end_test.c — how the webhook sink ends: killed, told to finish, with --once; and the trail, by which a kill
 * repeats only what was in flight.
 */
#include "webhook_rig.h"

static bool poison_failed_twice(struct rig *rig)
{
    return rig_number(rig, "SELECT attempts FROM failed_deliveries WHERE seq = 1") >= 2;
}

static void a_kill_forgets_neither_attempts_nor_order(void **state)
{
    (void)state;
    struct rig *rig = rig_new(rig_poison, NULL);

    rig_emit_poisoned(rig);
    rig_start(rig);
    rig_until(rig, poison_failed_twice, "two attempts");
    rig_kill(rig);
    rig_start(rig);
    rig_deliver(rig);
    assert_in_range(rig_times(rig, 1), 4, 5); /* one may have been in flight at the kill */
    assert_int_equal(rig_number(rig, "SELECT attempts FROM failed_deliveries WHERE seq = 1"), 4);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'waiting'"), 5);
    rig_check_order(rig);
    rig_free(rig);
}

static void hang_on_the_first(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (strcmp(r->key, "slow") == 0 && r->attempt == 1)
        answer->way = ANSWER_HANG;
}

static bool all_arrived(struct rig *rig)
{
    return server_count(&rig->server) == 30 && rig_number(rig, "SELECT position LIKE '%2-30%' FROM consumer_offsets");
}

static void a_kill_repeats_only_what_was_in_flight(void **state)
{
    (void)state;
    struct rig *rig = rig_new(hang_on_the_first, NULL);

    rig_emit(rig, "slow", "{}");
    for (int i = 0; i < 29; i++)
        rig_emit(rig, NULL, "{}");
    rig_start(rig);
    rig_until(rig, all_arrived, "all but the first settled");
    assert_int_equal(rig->cursor.acked_seq, 0);
    rig_kill(rig);
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig_times(rig, 1), 2);
    assert_int_equal(server_count(&rig->server), 31);
    rig_free(rig);
}

static bool one_under_way(struct rig *rig)
{
    return server_count(&rig->server) > 0;
}

static void dawdle(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    answer->delay_ms = (int)((unsigned)r->arrival * 2654435761u >> 28);
}

static void finishing_waits_for_what_is_in_flight_and_begins_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new(dawdle, NULL);

    rig->settings.webhook.concurrency = 2;
    for (int i = 0; i < 50; i++)
        rig_emit(rig, NULL, "{}");
    rig_start(rig);
    rig_until(rig, one_under_way, "a request");
    int64_t deadline = clock_monotonic_us() + 10000000;
    while (sink_webhook.finish(rig->sink) != SINK_OK && clock_monotonic_us() < deadline) {
        rig_turn(rig);
        rig_wait(rig);
    }
    assert_int_equal(sink_webhook.finish(rig->sink), SINK_OK);
    rig_settle(rig);
    assert_in_range(server_count(&rig->server), 1, 6);
    assert_int_equal(rig->cursor.acked_seq, server_count(&rig->server)); /* all that was sent is recorded */
    rig_free(rig);
}

static void once_delivers_what_was_put_before_it_ends(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.webhook.concurrency = 1;
    rig->context.once = true;
    for (int i = 0; i < 50; i++)
        rig_emit(rig, NULL, "{}");
    rig_start(rig);
    rig_read(rig);
    int64_t deadline = clock_monotonic_us() + 10000000;
    while (sink_webhook.finish(rig->sink) != SINK_OK && clock_monotonic_us() < deadline) {
        rig_turn(rig);
        rig_wait(rig);
    }
    rig_settle(rig);
    assert_int_equal(rig->cursor.acked_seq, 50);
    rig_free(rig);
}

/* ---- The trail --------------------------------------------------------------------------------------------------------- */

static void refuse_the_second(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (strcmp(strrchr(r->id, '-'), "-2") == 0)
        answer->status = 400;
}

/* Events 1 to 3 of key a, the second of which is refused, and 4 of key b, on their way with a trail. */
static struct rig *with_trail(bool skip_dead)
{
    struct rig *rig = rig_new(refuse_the_second, NULL);
    char path[128];

    snprintf(path, sizeof path, "%s.hook.trail", rig->db_path);
    rig->context.trail = trail_open(path, "hook");
    trail_begin(rig->context.trail, rig->source, 1, 0);
    rig->settings.webhook.concurrency = 1;
    rig->settings.webhook.skip_dead = skip_dead;
    for (int i = 0; i < 3; i++)
        rig_emit(rig, "a", "{}");
    rig_emit(rig, "b", "{}");
    rig_start(rig);
    return rig;
}

/* The seqs on the trail, joined: 13 for 1 and 3. */
static int64_t on_trail(const struct rig *rig)
{
    struct trail_entry *entries;
    size_t count = 0;
    int64_t joined = 0;

    assert_true(trail_read(rig->context.trail, &entries, &count));
    for (size_t i = 0; i < count; i++)
        joined = 10 * joined + entries[i].seq;
    free(entries);
    return joined;
}

static void what_is_answered_2xx_is_on_the_trail_and_nothing_else(void **state)
{
    (void)state;
    struct rig *rig = with_trail(false);
    rig_deliver(rig);
    assert_int_equal(on_trail(rig), 14); /* 3 is parked */
    trail_close(rig->context.trail);
    rig_free(rig);
}

static bool the_fourth_is_delivered(struct rig *rig)
{
    return on_trail(rig) == 14 && rig->cursor.acked_seq == 2;
}

/* Else a kill could have the dead one come again after those that went on without it. */
static void a_key_goes_on_without_its_dead_letter_once_that_is_recorded(void **state)
{
    (void)state;
    struct rig *rig = with_trail(true);
    rig_until(rig, the_fourth_is_delivered, "1, 2 and 4");
    for (int i = 0; i < 5; i++)
        rig_turn(rig);
    assert_int_equal(server_count(&rig->server), 3);
    assert_true(sink_webhook.due(rig->sink) <= clock_monotonic_us() + 10000);
    trail_recorded(rig->context.trail, rig->cursor.acked_seq, true);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 4);
    trail_close(rig->context.trail);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_forgets_neither_attempts_nor_order),
        cmocka_unit_test(a_kill_repeats_only_what_was_in_flight),
        cmocka_unit_test(finishing_waits_for_what_is_in_flight_and_begins_nothing),
        cmocka_unit_test(what_is_answered_2xx_is_on_the_trail_and_nothing_else),
        cmocka_unit_test(a_key_goes_on_without_its_dead_letter_once_that_is_recorded),
        cmocka_unit_test(once_delivers_what_was_put_before_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
