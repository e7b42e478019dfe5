/* webhook_failure_test.c — the webhook sink against receivers that fail, misbehave, are gone or are down; and its ends. */
#include "sinks/kept_answer.h"
#include "webhook_rig.h"

static bool one_under_way(struct rig *rig)
{
    return server_count(&rig->server) > 0;
}

static void dawdle(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    answer->delay_ms = (int)((unsigned)r->arrival * 2654435761u >> 28);
}

/* ---- Failures ---------------------------------------------------------------------------------------------------------- */

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

static void poison(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (strcmp(r->key, "poison") == 0)
        answer->status = 500;
}

static void poison_among_others(struct rig *rig)
{
    char key[16];

    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "k%d", i % 5);
        rig_emit(rig, i % 10 == 0 ? "poison" : key, "{}");
    }
}

static void a_poison_key_holds_up_only_itself(void **state)
{
    (void)state;
    struct rig *rig = rig_new(poison, NULL);

    poison_among_others(rig);
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
    struct rig *rig = rig_new(poison, NULL);

    rig->settings.webhook.skip_dead = true;
    rig->settings.webhook.max_attempts = 2;
    poison_among_others(rig);
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

/* a has failed before the endpoint is known to be down, and does so again when b has shown that it is not. */
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
    rig_deliver(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    assert_int_equal(failures, -1);
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

/* ---- Ends --------------------------------------------------------------------------------------------------------------- */

static bool poison_failed_twice(struct rig *rig)
{
    return rig_number(rig, "SELECT attempts FROM failed_deliveries WHERE seq = 1") >= 2;
}

static void a_kill_forgets_neither_attempts_nor_order(void **state)
{
    (void)state;
    struct rig *rig = rig_new(poison, NULL);

    poison_among_others(rig);
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

/* ---- What is on record ------------------------------------------------------------------------------------------------- */

static void echo_the_first_two(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    answer->way = r->arrival <= 2 ? ANSWER_ECHO : ANSWER_CLOSE;
    answer->status = 500;
}

static void each_attempt_is_on_record_without_what_is_secret(void **state)
{
    (void)state;
    char bearer[] = "Authorization: Bearer canary-0123456789", *headers[] = {bearer, NULL};
    struct rig *rig = rig_new(echo_the_first_two, NULL);

    rig->settings.webhook.keep_answer_bytes = KEPT_ANSWER_MAX;
    rig->settings.webhook.max_attempts = 3;
    rig->settings.webhook.headers = headers;
    rig->settings.webhook.secrets[0] = (struct webhook_secret){(unsigned char[24]){1, 2, 3}, 24};
    rig->settings.webhook.secret_count = 1;
    rig_emit(rig, "a", "{}");
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'dead' AND attempts = 3"),
                     1);
    assert_int_equal(rig_number(rig, "SELECT group_concat(attempt || status, '') FROM (SELECT * FROM failed_attempts"
                                     " ORDER BY at)"),
                     1500250030);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_attempts AS a JOIN failed_attempts AS b"
                                     " ON b.attempt = a.attempt + 1 AND b.at > a.at"),
                     2);
    assert_int_equal(
        rig_number(rig, "SELECT count(*) FROM failed_attempts WHERE CAST(answer AS TEXT) LIKE 'POST ***%webhook-id: %'"
                        " AND CAST(answer AS TEXT) LIKE '%webhook-signature: v1,****%'"),
        2);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_attempts WHERE attempt = 3 AND answer IS NULL"
                                     " AND error <> ''"),
                     1);
    assert_int_equal(
        rig_number(rig, "SELECT count(*) FROM failed_attempts WHERE CAST(answer AS TEXT) LIKE '%canary%' OR error LIKE"
                        " '%canary%' OR instr(answer, '/hook')"),
        0);
    const char *signature = strstr(rig->server.requests[0].head, "v1,");
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM failed_attempts WHERE instr(answer, '%.44s')", signature);
    assert_int_equal(rig_number(rig, sql), 0);
    rig_free(rig);
}

static void of_an_answer_only_what_was_asked_for_is_kept(void **state)
{
    (void)state;
    for (int64_t keep = 0; keep <= 7; keep += 7) {
        struct rig *rig = rig_new(echo_the_first_two, NULL);
        rig->settings.webhook.keep_answer_bytes = keep;
        rig->settings.webhook.max_attempts = 1;
        rig_emit(rig, "a", "{}");
        rig_start(rig);
        rig_deliver(rig);
        assert_int_equal(rig_number(rig, "SELECT coalesce(length(CAST(answer AS BLOB)), 0) FROM failed_attempts"),
                         keep);
        rig_free(rig);
    }
}

/* ---- Our own trouble --------------------------------------------------------------------------------------------------- */

static int interrupt(void *arg)
{
    (void)arg;
    return 1;
}

static void a_database_that_cannot_be_read_now_is_tried_again_later(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    rig_emit(rig, "a", "{}");
    rig_start(rig);
    sqlite3_progress_handler(rig->db, 1, interrupt, NULL);
    int64_t before_us = clock_monotonic_us();
    assert_int_equal(sink_webhook.open(rig->sink, &rig->cursor), SINK_LATER);
    assert_non_null(strstr(rig->reason, "failed_deliveries: interrupted"));
    int64_t first_us = sink_webhook.due(rig->sink) - before_us;
    assert_in_range(first_us, 500000, 10000000);
    assert_int_equal(sink_webhook.open(rig->sink, &rig->cursor), SINK_LATER);
    assert_in_range(sink_webhook.due(rig->sink) - before_us, first_us + 500000, 20000000);

    sqlite3_progress_handler(rig->db, 0, NULL, NULL);
    assert_int_equal(sink_webhook.open(rig->sink, &rig->cursor), SINK_OK);
    rig_deliver(rig);
    assert_int_equal(rig_times(rig, 1), 1);
    rig_free(rig);
}

static void a_database_that_will_never_be_readable_stops_it(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    rig_start(rig);
    rig_sql(rig, "DROP TABLE failed_deliveries");
    assert_int_equal(sink_webhook.open(rig->sink, &rig->cursor), SINK_BROKEN);
    assert_non_null(strstr(rig->reason, "failed_deliveries"));
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transient_failure_is_tried_again_under_the_same_id),
        cmocka_unit_test(a_poison_key_holds_up_only_itself),
        cmocka_unit_test(skipping_the_dead_lets_their_key_go_on),
        cmocka_unit_test(redirects_and_refusals_are_dead_at_once_and_never_followed),
        cmocka_unit_test(a_receiver_that_misbehaves_gets_it_again_and_holds_up_nobody),
        cmocka_unit_test(three_poison_keys_hold_up_nobody_else),
        cmocka_unit_test(a_closed_port_burns_no_attempts),
        cmocka_unit_test(an_outage_ages_nothing),
        cmocka_unit_test(an_outage_burns_nothing),
        cmocka_unit_test(while_it_is_down_nothing_is_read_and_once_gives_up),
        cmocka_unit_test(retry_after_holds_the_whole_endpoint),
        cmocka_unit_test(gone_stops_the_endpoint_and_keeps_what_is_owed),
        cmocka_unit_test(a_kill_forgets_neither_attempts_nor_order),
        cmocka_unit_test(a_kill_repeats_only_what_was_in_flight),
        cmocka_unit_test(finishing_waits_for_what_is_in_flight_and_begins_nothing),
        cmocka_unit_test(what_is_answered_2xx_is_on_the_trail_and_nothing_else),
        cmocka_unit_test(a_key_goes_on_without_its_dead_letter_once_that_is_recorded),
        cmocka_unit_test(each_attempt_is_on_record_without_what_is_secret),
        cmocka_unit_test(of_an_answer_only_what_was_asked_for_is_kept),
        cmocka_unit_test(a_database_that_cannot_be_read_now_is_tried_again_later),
        cmocka_unit_test(a_database_that_will_never_be_readable_stops_it),
        cmocka_unit_test(once_delivers_what_was_put_before_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
