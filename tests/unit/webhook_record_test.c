/* webhook_record_test.c — what the webhook sink has on record: each attempt, without what is secret; and a database that
 * its records cannot be read from.
 */
#include "sinks/kept_answer.h"
#include "webhook_rig.h"

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
        cmocka_unit_test(each_attempt_is_on_record_without_what_is_secret),
        cmocka_unit_test(of_an_answer_only_what_was_asked_for_is_kept),
        cmocka_unit_test(a_database_that_cannot_be_read_now_is_tried_again_later),
        cmocka_unit_test(a_database_that_will_never_be_readable_stops_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
