/* webhook_test.c — the webhook sink against a receiver that works: requests, formats, order, bounds. */
#include "webhook_rig.h"

#include "outbox_webhook.h"

static const char SECRETS[3][56] = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                                    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="};

static outbox_webhook_secret secrets[3];

static void use_secrets(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(outbox_webhook_secret_parse(SECRETS[i], &secrets[i]), OUTBOX_WEBHOOK_OK);
        rig->settings.webhook.secrets[i] = (struct webhook_secret){secrets[i].key, secrets[i].size};
    }
    rig->settings.webhook.secret_count = count;
}

static void header_is(const struct server_request *r, const char *name, const char *expected)
{
    char value[256];

    server_header(r->head, name, value, sizeof value);
    if (strcmp(value, expected) != 0)
        fail_msg("%s: '%s', not '%s'", name, value, expected);
}

static bool verifies(const struct server_request *r, const outbox_webhook_secret *secret)
{
    char timestamp[32], signatures[256];

    server_header(r->head, "webhook-timestamp", timestamp, sizeof timestamp);
    server_header(r->head, "webhook-signature", signatures, sizeof signatures);
    return outbox_webhook_verify(r->id, timestamp, signatures, r->body, r->body_size, secret, 1, time(NULL), 60) ==
           OUTBOX_WEBHOOK_OK;
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

static void every_request_has_its_headers_and_no_others(void **state)
{
    (void)state;
    char own[] = "X-Team: billing";
    char *headers[] = {own, NULL};
    struct rig *rig = rig_new(NULL, NULL);
    char expected[1024], host[64];

    rig->settings.webhook.headers = headers;
    rig_emit(rig, "a", "{\"x\":1}");
    rig_start(rig);
    rig_deliver(rig);
    const struct server_request *r = &rig->server.requests[0];
    server_header(r->head, "webhook-timestamp", host, sizeof host);
    snprintf(expected, sizeof expected,
             "POST /hook?token=canary HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: outbox-relay/%s\r\n"
             "webhook-id: 0123456789abcdef-1\r\nwebhook-timestamp: %s\r\nidempotency-key: 0123456789abcdef-1\r\n"
             "Content-Type: application/cloudevents+json; charset=utf-8\r\nX-Team: billing\r\nContent-Length: %zu\r\n",
             rig->server.port, OUTBOX_BUILD_VERSION, host, r->body_size);
    assert_string_equal(r->head, expected);
    assert_in_range(atoll(host), time(NULL) - 60, time(NULL) + 1);
    rig_free(rig);
}

/* An event with headers: the value of X-Note as JSON text. */
static void emit_noted(struct rig *rig, const char *key, const char *note)
{
    rig_sql(rig,
            "INSERT INTO outbox_events(topic, key, payload, headers) VALUES ('orders', %Q, '{}',"
            " '{\"x-tenant\":\"7\",\"X-Note\":' || %Q || ',\"X-Hidden\":\"canary\",\"Host\":\"canary\"}')",
            key, note);
}

static void an_events_own_headers_go_out_where_they_are_named(void **state)
{
    (void)state;
    char tenant[] = "X-Tenant", note[] = "x-note", missing[] = "X-Missing";
    char *names[] = {tenant, note, missing, NULL};
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.webhook.event_headers = names;
    rig->settings.webhook.concurrency = 1; /* so that requests are in the order of events */
    rig_emit(rig, "a", "{}");
    emit_noted(rig, "a", "\"caf\u00e9; a=\\\"b\\\"\"");
    emit_noted(rig, "a", "\"\"");
    emit_noted(rig, "a", "12");
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 4);
    for (int i = 0; i < 4; i++) {
        header_is(&rig->server.requests[i], "X-Tenant", i ? "7" : "");
        header_is(&rig->server.requests[i], "x-note", i == 1 ? "caf\xc3\xa9; a=\"b\"" : "");
        header_is(&rig->server.requests[i], "X-Missing", "");
        assert_null(strstr(rig->server.requests[i].head, "canary\r\n"));
    }
    rig_free(rig);
}

static void a_header_that_would_break_the_request_is_a_dead_letter(void **state)
{
    (void)state;
    static const char *const notes[] = {"\"a\\r\\nX-Evil: 1\"", "\"a\\nX-Evil: 1\"",  "\"a\\rX-Evil: 1\"",
                                        "\"a\\u0000X-Evil\"",   "\"a\\u007fX-Evil\"", "\"a\\r\\n X-Evil: folded\""};
    char note[] = "X-Note", *names[] = {note, NULL}, key[16];
    enum { COUNT = sizeof notes / sizeof *notes };
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.webhook.event_headers = names;
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "k%d", i);
        emit_noted(rig, key, notes[i]);
    }
    rig_emit(rig, "good", "{}");
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 1);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'dead' AND last_error ="
                                     " 'its header X-Note has a line break or another control byte in its value'"),
                     COUNT);
    rig_free(rig);
}

static void a_large_body_waits_for_no_100_continue(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);
    char *payload = malloc(1 << 20);

    memset(payload, 'x', 1 << 20);
    payload[0] = payload[(1 << 20) - 2] = '"';
    payload[(1 << 20) - 1] = 0;
    rig_emit(rig, "a", payload);
    free(payload);
    rig_start(rig);
    rig_deliver(rig);
    header_is(&rig->server.requests[0], "Expect", "");
    assert_true(rig->server.requests[0].body_size > (1 << 20) - 2);
    rig_free(rig);
}

static void the_bytes_sent_are_the_bytes_signed_with_each_secret(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    use_secrets(rig, 3);
    rig_emit(rig, "a", "{\"x\":1}");
    rig_start(rig);
    rig_deliver(rig);
    for (int i = 0; i < 3; i++)
        assert_true(verifies(&rig->server.requests[0], &secrets[i]));
    char signatures[256];
    server_header(rig->server.requests[0].head, "webhook-signature", signatures, sizeof signatures);
    assert_int_equal(strlen(signatures), 3 * 47 + 2);
    rig_free(rig);
}

static void fail_once(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (r->attempt == 1) {
        answer->status = 503;
        answer->delay_ms = 1100; /* so that the second attempt is in another second */
    }
}

static void each_attempt_is_signed_anew(void **state)
{
    (void)state;
    struct rig *rig = rig_new(fail_once, NULL);
    char first[32], second[32];

    use_secrets(rig, 1);
    rig_emit(rig, "a", "{}");
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 2);
    server_header(rig->server.requests[0].head, "webhook-timestamp", first, sizeof first);
    server_header(rig->server.requests[1].head, "webhook-timestamp", second, sizeof second);
    assert_true(atoll(second) > atoll(first));
    assert_string_equal(rig->server.requests[0].id, rig->server.requests[1].id);
    assert_true(verifies(&rig->server.requests[0], &secrets[0]) && verifies(&rig->server.requests[1], &secrets[0]));
    rig_free(rig);
}

static void the_environments_proxies_are_ignored(void **state)
{
    (void)state;
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"};
    struct rig *rig = rig_new(NULL, NULL);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i], "http://127.0.0.1:1/", 1);
    rig_emit(rig, "a", "1");
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig->server.requests[0].status, 200);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    rig_free(rig);
}

/* ---- Formats ---------------------------------------------------------------------------------------------------------- */

static void log_all_kinds(struct rig *rig)
{
    rig_sql(
        rig,
        "INSERT INTO change_log(topic, table_name, key, op, revision, payload, headers, created_at) VALUES"
        " ('orders', 'orders', 'Euro \xe2\x82\xac \xf0\x9f\x98\x80\"%%', 'update', 3, '{\"x\":\n1.10}',"
        "  '{\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\",\"a\":\"b\"}', 1795238460123456),"
        " ('orders', 'orders', 'k', 'delete', 4, NULL, '{\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\\r\\nEvil: 1\"}', 1795238460123456),"
        " ('blobs', NULL, NULL, 'emit', NULL, x'00ff', NULL, 1795238460123456)");
}

static void body_is(const struct server_request *r, const char *bytes, size_t size)
{
    assert_int_equal(r->body_size, size);
    assert_memory_equal(r->body, bytes, size);
}

static void payload_format_is_the_payload_alone(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.webhook.format = FORMAT_PAYLOAD;
    rig->settings.webhook.concurrency = 1;
    use_secrets(rig, 1);
    log_all_kinds(rig);
    rig_start(rig);
    rig_deliver(rig);
    const struct server_request *r = rig->server.requests;
    body_is(&r[0], "{\"x\": 1.10}", 11);
    header_is(&r[0], "content-type", "application/json");
    header_is(&r[0], "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    body_is(&r[1], "", 0);
    header_is(&r[1], "content-type", "");
    header_is(&r[1], "content-length", "0");
    header_is(&r[1], "traceparent", "");
    header_is(&r[1], "evil", "");
    body_is(&r[2], "\0\xff", 2);
    header_is(&r[2], "content-type", "application/octet-stream");
    for (int i = 0; i < 3; i++)
        assert_true(verifies(&r[i], &secrets[0]));
    rig_free(rig);
}

static void binary_cloudevents_say_it_in_headers(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.webhook.format = FORMAT_CLOUDEVENTS_BINARY;
    rig->settings.webhook.concurrency = 1;
    log_all_kinds(rig);
    rig_start(rig);
    rig_deliver(rig);
    const struct server_request *r = rig->server.requests;
    header_is(&r[0], "ce-specversion", "1.0");
    header_is(&r[0], "ce-id", "0123456789abcdef-1");
    header_is(&r[0], "ce-source", "urn:outbox:0123456789abcdef");
    header_is(&r[0], "ce-type", "orders.update");
    header_is(&r[0], "ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80%22%25");
    header_is(&r[0], "ce-partitionkey", "orders/Euro%20%E2%82%AC%20%F0%9F%98%80%22%25");
    header_is(&r[0], "ce-time", "2026-11-21T05:21:00.123456Z");
    header_is(&r[0], "ce-sequence", "00000000000000000001");
    header_is(&r[0], "ce-op", "update");
    header_is(&r[0], "ce-revision", "3");
    header_is(&r[0], "ce-datacontenttype", "");
    header_is(&r[0], "content-type", "application/json");
    body_is(&r[0], "{\"x\": 1.10}", 11);
    header_is(&r[2], "ce-type", "blobs");
    header_is(&r[2], "ce-subject", "");
    header_is(&r[2], "ce-partitionkey", "");
    body_is(&r[2], "\0\xff", 2);
    rig_free(rig);
}

static void native_format_is_the_event(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.webhook.format = FORMAT_NATIVE;
    rig_emit(rig, "a", "{\"x\":1}");
    rig_start(rig);
    rig_deliver(rig);
    header_is(&rig->server.requests[0], "content-type", "application/json");
    assert_non_null(strstr(rig->server.requests[0].body, "\"id\":\"0123456789abcdef-1\",\"topic\":\"orders\""));
    assert_null(strstr(rig->server.requests[0].body, "\"prev\""));
    rig_free(rig);
}

static void what_cannot_be_encoded_is_dead_without_a_request(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    rig_emit(rig, "a", "{not json");
    rig_emit(rig, "b", "1");
    rig_emit(rig, "a", "2");
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 1);
    assert_int_equal(
        rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE seq = 1 AND state = 'dead' AND last_error <> ''"),
        1);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE seq = 3 AND state = 'waiting'"), 1);
    rig_free(rig);
}

/* ---- Order and concurrency -------------------------------------------------------------------------------------------- */

static void dawdle(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    answer->delay_ms = (int)((unsigned)r->arrival * 2654435761u >> 28);
}

static void many_in_flight_never_two_of_a_key(void **state)
{
    (void)state;
    struct rig *rig = rig_new(dawdle, NULL);
    char key[16];

    rig->settings.webhook.concurrency = 16;
    for (int i = 0; i < 400; i++) {
        snprintf(key, sizeof key, "k%d", i * 7 % 23);
        rig_emit(rig, key, "{}");
    }
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 400);
    rig_check_order(rig);
    assert_in_range(rig->server.most_under_way, 8, 16);
    assert_in_range(rig->server.connection_count, 1, 16); /* kept alive */
    rig_free(rig);
}

static void an_answer_in_the_same_moment_is_not_waited_for(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);

    rig->settings.webhook.concurrency = 1;
    for (int i = 0; i < 300; i++)
        rig_emit(rig, NULL, "{}");
    rig_start(rig);
    int64_t begun = clock_monotonic_us();
    rig->longest_wait_ms = 9000;
    rig_deliver(rig);
    if (clock_monotonic_us() - begun > 8000000) /* a stall lasts as long as the wait may */
        fail_msg("300 events took %lld ms", (long long)(clock_monotonic_us() - begun) / 1000);
    rig_free(rig);
}

static void no_more_go_out_than_the_rate_allows(void **state)
{
    (void)state;
    static const struct {
        int batch, rate, events;
        int64_t least_us;
    } cases[] = {{1, 20, 7, 300000}, {10, 50, 30, 400000}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = rig_new(NULL, NULL);
        rig->settings.webhook.batch_count = cases[i].batch;
        rig->settings.rate = cases[i].rate;
        for (int k = 0; k < cases[i].events; k++)
            rig_emit(rig, NULL, "{}");
        int64_t begun = clock_monotonic_us();
        rig->longest_wait_ms = 9000; /* it is due() that wakes it */
        rig_start(rig);
        rig_deliver(rig);
        int64_t took = clock_monotonic_us() - begun;
        assert_int_equal(server_count(&rig->server), cases[i].events / cases[i].batch);
        if (took < cases[i].least_us || took > 8000000)
            fail_msg("%d events at %d/s took %lld ms", cases[i].events, cases[i].rate, (long long)took / 1000);
        rig_free(rig);
    }
}

static bool one_under_way(struct rig *rig)
{
    return server_count(&rig->server) > 0;
}

static void hang(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    (void)r;
    answer->way = ANSWER_HANG;
}

static void memory_is_bounded_while_the_receiver_hangs(void **state)
{
    (void)state;
    struct rig *rig = rig_new(hang, NULL);

    rig_sql(rig, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                 " INSERT INTO outbox_events(topic, key, payload) SELECT 'orders', 'k' || i, '{}' FROM n");
    rig_start(rig);
    rig_until(rig, one_under_way, "a request");
    for (int i = 0; i < 20; i++)
        rig_read(rig);
    assert_int_equal(sink_webhook.room(rig->sink), 0);
    assert_int_equal(rig->read_seq, 1000);
    rig_free(rig);
}

static void memory_is_bounded_in_bytes_too(void **state)
{
    (void)state;
    enum { SIZE = 1000000 };
    struct rig *rig = rig_new(hang, NULL);
    char *payload = malloc(SIZE);
    int64_t seq = 0;

    memset(payload, '1', SIZE);
    rig_start(rig);
    while (sink_webhook.room(rig->sink) > 0 && seq < 1000) {
        struct source_row row = {.event = {.seq = ++seq, .op = "emit", .topic = "t", .topic_size = 1}};
        row.event.payload = payload;
        row.event.payload_size = SIZE;
        assert_int_equal(sink_webhook.put(rig->sink, &row), SINK_OK);
    }
    assert_in_range(seq, 16, 17); /* 16 MiB, and the event that passes it */
    free(payload);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_has_its_headers_and_no_others),
        cmocka_unit_test(an_events_own_headers_go_out_where_they_are_named),
        cmocka_unit_test(a_header_that_would_break_the_request_is_a_dead_letter),
        cmocka_unit_test(a_large_body_waits_for_no_100_continue),
        cmocka_unit_test(the_bytes_sent_are_the_bytes_signed_with_each_secret),
        cmocka_unit_test(each_attempt_is_signed_anew),
        cmocka_unit_test(the_environments_proxies_are_ignored),
        cmocka_unit_test(payload_format_is_the_payload_alone),
        cmocka_unit_test(binary_cloudevents_say_it_in_headers),
        cmocka_unit_test(native_format_is_the_event),
        cmocka_unit_test(what_cannot_be_encoded_is_dead_without_a_request),
        cmocka_unit_test(many_in_flight_never_two_of_a_key),
        cmocka_unit_test(an_answer_in_the_same_moment_is_not_waited_for),
        cmocka_unit_test(no_more_go_out_than_the_rate_allows),
        cmocka_unit_test(memory_is_bounded_while_the_receiver_hangs),
        cmocka_unit_test(memory_is_bounded_in_bytes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
