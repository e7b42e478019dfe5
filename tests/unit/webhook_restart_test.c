/* webhook_restart_test.c — a relay that starts with much to try again: at its rate, at its receiver's pace, each in its
 * own time, and no more of it than it takes to find out that the receiver is still down. */
#include "webhook_rig.h"

/* count events that all stepped aside after attempts, each of a key of its own, due at due_us (SQL, n is its number). */
static void owe_retries(struct rig *rig, int count, int attempts, const char *due_us)
{
    rig_sql(rig,
            "BEGIN;"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
            "  INSERT INTO outbox_events(topic, key, payload, ordering_key)"
            "    SELECT 'orders', 'k' || i, '{}', 'k' || i FROM n;"
            "INSERT INTO failed_deliveries(consumer, seq, key, state, attempts, next_attempt_at, failed_at)"
            "  SELECT 'hook', seq, ordering_key, 'retry', %d, %s, 1 FROM change_log;"
            "UPDATE consumer_offsets SET acked_seq = %d;"
            "COMMIT",
            count, attempts, due_us, count);
}

static int requests_wanted;

static bool has_requests(struct rig *rig)
{
    return server_count(&rig->server) >= requests_wanted;
}

static void until_requests(struct rig *rig, int count)
{
    requests_wanted = count;
    rig_until(rig, has_requests, "so many requests");
}

/* Tokens come with time alone, so this holds on any machine: by t, no more than one for each start and rate * t. */
static void assert_rate_was_kept(struct rig *rig, int rate, int starts, int64_t begun_us)
{
    for (int i = 0; i < rig->server.request_count; i++) {
        int64_t passed_us = rig->server.requests[i].at_us - begun_us;
        assert_in_range(i + 1, 1, starts + rate * passed_us / 1000000);
    }
}

static void a_thousand_due_retries_keep_to_the_rate_over_restarts(void **state)
{
    (void)state;
    enum { RATE = 1000, COUNT = 1000, STARTS = 3 };
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.rate = RATE;
    owe_retries(rig, COUNT, 2, "1");
    int64_t begun_us = clock_monotonic_us();
    for (int start = 1; start <= STARTS; start++) {
        rig_start(rig);
        until_requests(rig, COUNT * start / 4);
        rig_kill(rig);
    }
    rig_start(rig);
    rig_deliver(rig);
    assert_rate_was_kept(rig, RATE, STARTS + 1, begun_us);
    for (int64_t seq = 1; seq <= COUNT; seq++)
        assert_in_range(rig_times(rig, seq), 1, STARTS + 1);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_free(rig);
}

static void ten_thousand_due_retries_go_no_more_at_a_time_than_are_allowed(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    owe_retries(rig, 10000, 2, "1");
    rig_start(rig);
    until_requests(rig, 2000);
    assert_in_range(rig->server.most_under_way, 1, rig->settings.webhook.concurrency);
    rig_free(rig);
}

/* The operator has changed the filter while they waited. */
static void what_a_new_filter_leaves_out_is_tried_no_more(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);
    rig->settings.filter = (char[]){"key <> 'k2'"};
    owe_retries(rig, 4, 1, "1");
    rig_start(rig);
    rig_deliver(rig);
    for (int64_t seq = 1; seq <= 4; seq++)
        assert_int_equal(rig_times(rig, seq), seq == 2 ? 0 : 1);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig->settings.filter = NULL;
    rig_free(rig);
}

static void refuse_all(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg, (void)r;
    answer->status = 503;
}

static bool half_a_second_later(struct rig *rig)
{
    return clock_monotonic_us() - rig->server.requests[0].at_us > 500000;
}

static void of_ten_thousand_due_a_few_find_out_that_it_is_still_down(void **state)
{
    (void)state;
    struct rig *rig = rig_new(refuse_all, NULL);

    rig->settings.webhook.backoff_min_us = 60000000;
    rig->settings.webhook.backoff_max_us = 120000000;
    rig->settings.webhook.max_attempts = 3;
    owe_retries(rig, 10000, 2, "1");
    rig_start(rig);
    until_requests(rig, 1);
    rig_until(rig, half_a_second_later, "time for more");
    assert_in_range(server_count(&rig->server), 1,
                    rig->settings.webhook.concurrency + 3 + 3); /* and probes, by chance */
    assert_in_range(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'dead'"), 0, 2);
    rig_free(rig);
}

static void what_is_not_due_yet_keeps_its_time_over_a_restart(void **state)
{
    (void)state;
    enum { COUNT = 200, WITHIN_US = 800000 };
    struct rig *rig = rig_new(NULL, NULL);
    int64_t soon_us = timestamp_now_us() + 100000, wall_ahead_us = timestamp_now_us() - clock_monotonic_us();
    char due[96];

    snprintf(due, sizeof due, "%lld + seq * 7919 %% %d * %d", (long long)soon_us, COUNT, WITHIN_US / COUNT);
    owe_retries(rig, COUNT, 5, due);
    rig_start(rig);
    rig_kill(rig);
    rig_start(rig);
    rig_deliver(rig);
    for (int i = 0; i < rig->server.request_count; i++) {
        int64_t seq = atoll(strrchr(rig->server.requests[i].id, '-') + 1);
        int64_t due_us = soon_us + seq * 7919 % COUNT * (WITHIN_US / COUNT);
        assert_in_range(rig->server.requests[i].at_us + wall_ahead_us - due_us, 0, 10000000);
    }
    assert_int_equal(rig->server.request_count, COUNT);
    rig_free(rig);
}

static bool has_one_request(struct rig *rig)
{
    return server_count(&rig->server) > 0;
}

/* Both failed a moment ago and are due in the same hour's time by the clock. The first was to wait a tenth of a second by
 * the clock that it was stored with, an hour ahead of ours since; the second was told an hour by the receiver. */
static void a_clock_set_back_makes_nobody_wait_longer_than_was_meant(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);
    long long now_us = timestamp_now_us(), hour_us = 3600000000;

    owe_retries(rig, 2, 3, "0");
    rig_sql(rig,
            "UPDATE failed_deliveries SET next_attempt_at = %lld;"
            "INSERT INTO failed_attempts(consumer, seq, at, attempt, status)"
            "  VALUES ('hook', 1, %lld, 2, 503), ('hook', 1, %lld, 3, 503), ('hook', 2, %lld, 3, 503)",
            now_us + hour_us, now_us, now_us + hour_us - 100000, now_us);
    rig_start(rig);
    rig_until(rig, has_one_request, "the one that was to wait for a moment");
    for (int i = 0; i < 5; i++) {
        rig_turn(rig);
        rig_wait(rig);
    }
    assert_int_equal(server_count(&rig->server), 1);
    assert_int_equal(rig_times(rig, 1), 1);
    rig_free(rig);
}

static void fail_two(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (strcmp(r->key, "k2") == 0)
        answer->status = 500;
}

static int attempts_wanted;

static bool second_has_failed(struct rig *rig)
{
    return rig_number(rig, "SELECT attempts FROM failed_deliveries WHERE seq = 2") >= attempts_wanted;
}

static void until_second_has_failed(struct rig *rig, int times)
{
    attempts_wanted = times;
    rig_until(rig, second_has_failed, "so many attempts");
}

/* How old the second event was when its last attempt failed, and how long it was to wait then: in all longer than the hour
 * that is allowed, or not, whenever the relay begins again. */
static void only_what_was_too_old_by_its_next_attempt_dies_at_it(void **state)
{
    (void)state;
    const struct {
        long long age_s, wait_s, ago_s;
        const char *becomes;
    } rows[] = {{3000, 700, 1000, "dead"}, {3000, 100, 100000, "retry"}, {3700, 0, -7200, "dead"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig *rig = rig_new(fail_two, NULL);
        long long at_us = timestamp_now_us() - rows[i].ago_s * 1000000;
        rig->settings.webhook.max_age_us = 3600000000;
        rig->settings.webhook.backoff_min_us = rig->settings.webhook.backoff_max_us = 60000000;
        rig->settings.webhook.max_attempts = 25;
        owe_retries(rig, 2, 1, "1");
        rig_sql(rig,
                "UPDATE failed_deliveries SET failed_at = %lld, next_attempt_at = %lld WHERE seq = 2;"
                "INSERT INTO failed_attempts(consumer, seq, at, attempt, status) VALUES ('hook', 2, %lld, 1, 503)",
                at_us - rows[i].age_s * 1000000, at_us + rows[i].wait_s * 1000000, at_us);
        rig_start(rig);
        until_second_has_failed(rig, 2);
        char sql[96];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM failed_deliveries WHERE seq = 2 AND state = '%s'",
                 rows[i].becomes);
        if (rig_number(rig, sql) != 1)
            fail_msg("row %zu has not become %s", i, rows[i].becomes);
        rig_free(rig);
    }
}

/* It waited behind another of its key for longer than an event may fail. */
static void to_wait_for_ones_turn_is_not_to_fail_after_a_restart_either(void **state)
{
    (void)state;
    struct rig *rig = rig_new(fail_two, NULL);

    rig->settings.webhook.max_age_us = 3600000000;
    rig->settings.webhook.max_attempts = 25;
    owe_retries(rig, 2, 0, "1");
    rig_sql(rig, "UPDATE failed_deliveries SET state = 'waiting', failed_at = %lld WHERE seq = 2",
            (long long)timestamp_now_us() - 7200000000);
    rig_start(rig);
    until_second_has_failed(rig, 1);
    rig_kill(rig);
    rig_start(rig);
    until_second_has_failed(rig, 2);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'retry'"), 1);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_due_retries_keep_to_the_rate_over_restarts),
        cmocka_unit_test(what_a_new_filter_leaves_out_is_tried_no_more),
        cmocka_unit_test(ten_thousand_due_retries_go_no_more_at_a_time_than_are_allowed),
        cmocka_unit_test(of_ten_thousand_due_a_few_find_out_that_it_is_still_down),
        cmocka_unit_test(what_is_not_due_yet_keeps_its_time_over_a_restart),
        cmocka_unit_test(a_clock_set_back_makes_nobody_wait_longer_than_was_meant),
        cmocka_unit_test(only_what_was_too_old_by_its_next_attempt_dies_at_it),
        cmocka_unit_test(to_wait_for_ones_turn_is_not_to_fail_after_a_restart_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
