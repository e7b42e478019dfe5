/* webhook_down_test.c — the webhook sink while its endpoint is down, looks so, asks for time or is gone for good: nothing
 * is read, burnt or aged, and it comes back by itself where it may.
 */
#include "webhook_rig.h"

static void fail_the_first(void *arg, const struct server_request *r, struct server_answer *answer)
{
    if (r->arrival <= *(const int *)arg)
        answer->status = 500;
}

static void poison_of_many(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (strstr(r->key, "poison"))
        answer->status = 500;
}

static bool all_good_ones_came(struct rig *rig)
{
    for (int64_t seq = 4; seq <= 8; seq++)
        if (rig_times(rig, seq) == 0)
            return false;
    return true;
}

/* They look like an outage, and every probe is one of theirs until something else is read. */
static void three_poison_keys_hold_up_nobody_else(void **state)
{
    (void)state;
    struct rig *rig = rig_new(poison_of_many, NULL);
    const char *const keys[] = {"poison-1", "poison-2", "poison-3"};

    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    rig->settings.webhook.max_attempts = 1000;
    for (int i = 0; i < 3; i++)
        rig_emit(rig, keys[i], "{}");
    rig_start(rig);
    for (int i = 0; i < 20; i++) {
        rig_turn(rig);
        rig_wait(rig);
    }
    for (int i = 0; i < 5; i++)
        rig_emit(rig, "good", "{}");
    rig_until(rig, all_good_ones_came, "what is not poisoned, delivered");
    rig_check_order(rig);
    rig_free(rig);
}

static bool has_waited(struct rig *rig)
{
    return clock_monotonic_us() > *(int64_t *)rig->server.arg;
}

/* One key only: it is not the event's failure where nothing of it was sent. */
static void a_closed_port_burns_no_attempts(void **state)
{
    (void)state;
    int64_t until_us = clock_monotonic_us() + 400000;
    struct rig *rig = rig_new(NULL, &until_us);

    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    rig->settings.webhook.max_attempts = 2;
    rig->settings.webhook.backoff_max_us = 20000;
    rig_emit(rig, "a", "{}");
    rig_emit(rig, "a", "{}");
    server_stop(&rig->server);
    rig_start(rig);
    rig_until(rig, has_waited, "an outage"); /* of some twenty attempts */
    assert_int_equal(rig_number(rig, "SELECT max(attempts) FROM failed_deliveries WHERE state <> 'dead'"), 1);
    int port = rig->server.port;
    server_free(&rig->server);
    assert_true(server_start(&rig->server, port, NULL, NULL));
    rig_deliver(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_check_order(rig);
    rig_free(rig);
}

static void fail_a(void *arg, const struct server_request *r, struct server_answer *answer)
{
    if (strcmp(r->key, "a") == 0 && (*(int *)arg)-- > 0)
        answer->status = 500;
}

static bool a_has_failed_again(struct rig *rig)
{
    return rig_number(rig, "SELECT attempts FROM failed_deliveries WHERE seq = 1") >= 2;
}

/* a has failed before the endpoint is known to be down, and does so again when b has shown that it is not, before and after
 * a restart. */
static void an_outage_ages_nothing(void **state)
{
    (void)state;
    int failures = 3;
    int64_t until_us = clock_monotonic_us() + 1200000;
    struct rig *rig = rig_new(NULL, &until_us);

    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    rig->settings.webhook.max_age_us = 1000000;
    rig->settings.webhook.max_attempts = 10;
    rig->settings.webhook.backoff_max_us = 20000;
    rig_emit(rig, "a", "{}");
    rig_emit(rig, "b", "{}");
    server_stop(&rig->server);
    rig_start(rig);
    rig_until(rig, has_waited, "an outage longer than any event may fail");
    int port = rig->server.port;
    server_free(&rig->server);
    assert_true(server_start(&rig->server, port, fail_a, &failures));
    rig_until(rig, a_has_failed_again, "another failure of a");
    rig_kill(rig);
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    assert_int_equal(failures, -1);
    rig_free(rig);
}

static bool is_down(struct rig *rig)
{
    return server_count(&rig->server) >= 3 && rig->last == SINK_OK && sink_webhook.room(rig->sink) == 0 &&
           rig_number(rig, "SELECT count(*) FROM failed_deliveries") == 2;
}

/* As if so much time had passed: what was stored was stored so long ago. */
static void let_pass(struct rig *rig, long long us)
{
    rig_sql(rig,
            "UPDATE failed_deliveries SET failed_at = failed_at - %lld, next_attempt_at = next_attempt_at - %lld;"
            "UPDATE failed_attempts SET at = at - %lld",
            us, us, us);
}

/* Two of the keys have failed when the third one's failure shows that it is the endpoint. An hour later the relay begins
 * again, and has to find that out anew. */
static void an_outage_over_a_restart_ages_nothing(void **state)
{
    (void)state;
    int failures = 8;
    struct rig *rig = rig_new(fail_the_first, &failures);

    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    rig->settings.webhook.max_age_us = 60000000;
    rig->settings.webhook.max_attempts = 25;
    rig->settings.webhook.concurrency = 1;
    for (const char *key = "abc"; *key; key++)
        rig_emit(rig, (char[]){*key, '\0'}, "{}");
    rig_start(rig);
    rig_until(rig, is_down, "an outage");
    rig_kill(rig);
    let_pass(rig, 3600000000);
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_free(rig);
}

static void an_outage_burns_nothing(void **state)
{
    (void)state;
    int failures = 12;
    struct rig *rig = rig_new(fail_the_first, &failures);
    char key[16];

    rig->settings.webhook.max_attempts = 3;
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%d", i % 25);
        rig_emit(rig, key, "{}");
    }
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    assert_int_equal(server_count(&rig->server), 100 + failures);
    rig_check_order(rig);
    rig_free(rig);
}

static bool two_failed(struct rig *rig)
{
    return server_count(&rig->server) >= 3;
}

static void while_it_is_down_nothing_is_read_and_once_gives_up(void **state)
{
    (void)state;
    int failures = 1 << 30;
    struct rig *rig = rig_new(fail_the_first, &failures);

    rig->settings.webhook.concurrency = 1;
    for (int i = 0; i < 20; i++)
        rig_emit(rig, NULL, "{}");
    rig->context.once = true;
    rig_start(rig);
    rig_until(rig, two_failed, "three failures");
    while (rig->last == SINK_OK) {
        rig_turn(rig);
        rig_wait(rig);
    }
    assert_int_equal(rig->last, SINK_LATER);
    assert_int_equal(sink_webhook.room(rig->sink), 0);
    assert_int_equal(sink_webhook.finish(rig->sink), SINK_OK);
    assert_int_equal(sink_webhook.retrying(rig->sink), 20);
    assert_int_equal(server_count(&rig->server), 3);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 2); /* before it was known */
    rig_free(rig);
}

static void too_many(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (r->arrival == 1) {
        answer->status = 429;
        strcpy(answer->extra, "Retry-After: 1\r\n");
    }
}

static void retry_after_holds_the_whole_endpoint(void **state)
{
    (void)state;
    struct rig *rig = rig_new(too_many, NULL);

    rig->settings.webhook.concurrency = 1;
    for (int i = 0; i < 5; i++)
        rig_emit(rig, NULL, "{}");
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 6);
    assert_true(rig->server.requests[1].at_us - rig->server.requests[0].at_us >= 990000);
    rig_free(rig);
}

static void gone(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (r->arrival == 3)
        answer->status = 410;
}

static bool disabled(struct rig *rig)
{
    return rig->disabled;
}

static void gone_stops_the_endpoint_and_keeps_what_is_owed(void **state)
{
    (void)state;
    struct rig *rig = rig_new(gone, NULL);

    rig->settings.webhook.concurrency = 1;
    for (int i = 0; i < 10; i++)
        rig_emit(rig, NULL, "{}");
    rig_start(rig);
    rig_until(rig, disabled, "the settlement says that it is disabled");
    assert_true(sink_webhook.room(rig->sink) > 0); /* so that the pipeline looks, and finds it so */
    for (int i = 0; i < 5; i++) {
        rig_turn(rig);
        rig_wait(rig);
    }
    assert_int_equal(server_count(&rig->server), 3);
    assert_int_equal(rig->cursor.acked_seq, 2);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_poison_keys_hold_up_nobody_else),
        cmocka_unit_test(a_closed_port_burns_no_attempts),
        cmocka_unit_test(an_outage_ages_nothing),
        cmocka_unit_test(an_outage_over_a_restart_ages_nothing),
        cmocka_unit_test(an_outage_burns_nothing),
        cmocka_unit_test(while_it_is_down_nothing_is_read_and_once_gives_up),
        cmocka_unit_test(retry_after_holds_the_whole_endpoint),
        cmocka_unit_test(gone_stops_the_endpoint_and_keeps_what_is_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
