/* webhook_failure_test.c — the webhook sink against a receiver that fails single requests, or misbehaves. */
#include "webhook_rig.h"

static void fail_each_twice(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (r->attempt <= 2 && strcmp(r->key, "b") == 0)
        answer->status = 503;
}

static void a_transient_failure_is_tried_again_under_the_same_id(void **state)
{
    (void)state;
    struct rig *rig = rig_new(fail_each_twice, NULL);

    for (int i = 0; i < 12; i++)
        rig_emit(rig, i % 3 ? "a" : "b", "{}");
    rig_start(rig);
    rig_deliver(rig);
    for (int64_t seq = 1; seq <= 12; seq++)
        assert_int_equal(rig_times(rig, seq), (seq - 1) % 3 ? 1 : 3);
    rig_check_order(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_free(rig);
}

static void a_poison_key_holds_up_only_itself(void **state)
{
    (void)state;
    struct rig *rig = rig_new(rig_poison, NULL);

    rig_emit_poisoned(rig);
    rig_start(rig);
    rig_deliver(rig);
    for (int64_t seq = 1; seq <= 60; seq++)
        assert_int_equal(rig_times(rig, seq), seq == 1 ? 4 : seq % 10 == 1 ? 0 : 1);
    rig_check_order(rig);
    assert_int_equal(
        rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'waiting' AND key = 'poison'"), 5);
    assert_int_equal(rig_number(rig, "SELECT attempts FROM failed_deliveries WHERE state = 'dead' AND seq = 1"), 4);
    assert_int_equal(rig_number(rig, "SELECT last_status FROM failed_deliveries WHERE seq = 1"), 500);
    rig_free(rig);
}

static void skipping_the_dead_lets_their_key_go_on(void **state)
{
    (void)state;
    struct rig *rig = rig_new(rig_poison, NULL);

    rig->settings.webhook.skip_dead = true;
    rig->settings.webhook.max_attempts = 2;
    rig_emit_poisoned(rig);
    rig_start(rig);
    rig_deliver(rig);
    for (int64_t seq = 1; seq <= 60; seq++)
        assert_int_equal(rig_times(rig, seq), seq % 10 == 1 ? 2 : 1);
    rig_check_order(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'dead'"), 6);
    rig_free(rig);
}

struct refusal {
    int status;
    char extra[128];
};

static void refuse(void *arg, const struct server_request *r, struct server_answer *answer)
{
    const struct refusal *refusal = arg;
    if (strcmp(r->key, "refused") == 0) {
        answer->status = refusal->status;
        strcpy(answer->extra, refusal->extra);
    }
}

static void redirects_and_refusals_are_dead_at_once_and_never_followed(void **state)
{
    (void)state;
    static const int statuses[] = {301, 302, 303, 307, 308, 400, 401, 404, 409, 413, 422};
    struct server inside;
    assert_true(server_start(&inside, 0, NULL, NULL));

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct refusal refusal = {.status = statuses[i]};
        struct rig *rig = rig_new(refuse, &refusal);
        snprintf(refusal.extra, sizeof refusal.extra, "Location: http://127.0.0.1:%d/inside\r\n", inside.port);
        rig_emit(rig, "refused", "{}");
        rig_emit(rig, "a", "{}");
        rig_start(rig);
        rig_deliver(rig);
        assert_int_equal(server_count(&rig->server), 2);
        assert_int_equal(rig_number(rig, "SELECT last_status FROM failed_deliveries WHERE state = 'dead' AND seq = 1"),
                         statuses[i]);
        rig_free(rig);
    }
    assert_int_equal(server_count(&inside), 0);
    server_stop(&inside);
    server_free(&inside);
}

static void misbehave_once(void *arg, const struct server_request *r, struct server_answer *answer)
{
    if (strcmp(r->key, "victim") == 0 && r->attempt == 1)
        answer->way = *(const enum server_way *)arg;
}

static void a_receiver_that_misbehaves_gets_it_again_and_holds_up_nobody(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        enum server_way way;
        int times;
    } cases[] = {{"closes without an answer", ANSWER_CLOSE, 2}, {"never answers", ANSWER_HANG, 2},
                 {"answers byte by byte", ANSWER_TRICKLE, 2},   {"sends headers without end", ANSWER_HEADERS, 2},
                 {"cuts its answer short", ANSWER_CUT, 2},      {"cuts its headers short", ANSWER_HALF, 2},
                 {"sends what isn't HTTP", ANSWER_GARBAGE, 2},  {"sends 100 MB after its 200", ANSWER_HUGE, 1}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum server_way way = cases[i].way;
        struct rig *rig = rig_new(misbehave_once, &way);
        if (way == ANSWER_HANG || way == ANSWER_TRICKLE) /* the others end without it */
            rig->settings.webhook.timeout_us = 300000;
        rig_emit(rig, "victim", "{}");
        for (int k = 0; k < 10; k++)
            rig_emit(rig, "a", "{}");
        int64_t begun = clock_monotonic_us();
        rig_start(rig);
        rig_deliver(rig);
        if (rig_times(rig, 1) != cases[i].times)
            fail_msg("%s: came %d times", cases[i].label, rig_times(rig, 1));
        assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
        assert_true(clock_monotonic_us() - begun < 4000000);
        rig_kill(rig);
        server_stop(&rig->server);
        assert_true(rig->server.flooded < 32 << 20); /* what fits into sockets, not what it wanted to send */
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transient_failure_is_tried_again_under_the_same_id),
        cmocka_unit_test(a_poison_key_holds_up_only_itself),
        cmocka_unit_test(skipping_the_dead_lets_their_key_go_on),
        cmocka_unit_test(redirects_and_refusals_are_dead_at_once_and_never_followed),
        cmocka_unit_test(a_receiver_that_misbehaves_gets_it_again_and_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
