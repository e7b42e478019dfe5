/* webhook_connection_test.c — connections over several requests: idle, closed by the receiver, and their descriptors used
 * again. */
#include "webhook_rig.h"

enum { PAUSE_MS = 100, WAITS_MAX = 10, EVENTS = 100 };

static void emit_many(struct rig *rig, int count)
{
    rig_sql(rig,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
            " INSERT INTO outbox_events(topic, key, payload) SELECT 'orders', 'k' || i, '{}' FROM n",
            count);
}

/* Whether the sink, with nothing to do, comes to rest: one of its waits lasts as long as it may. */
static bool comes_to_rest(struct rig *rig)
{
    for (int i = 0; i < WAITS_MAX; i++) {
        int64_t began_us = clock_monotonic_us();
        sink_webhook.wait(rig->sink, -1, PAUSE_MS);
        if (clock_monotonic_us() - began_us >= (PAUSE_MS - 10) * 1000)
            return true;
        assert_int_equal(sink_webhook.push(rig->sink), SINK_OK);
    }
    return false;
}

static void an_idle_connection_that_its_receiver_closes_keeps_nobody_awake(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);
    int port = rig->server.port;

    emit_many(rig, 8);
    rig_start(rig);
    rig_deliver(rig);
    assert_true(comes_to_rest(rig));
    server_stop(&rig->server);
    assert_true(comes_to_rest(rig));
    server_free(&rig->server);
    assert_true(server_start(&rig->server, port, NULL, NULL));
    rig_emit(rig, "late", "{}");
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 1); /* over a new one, at the first attempt */
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_free(rig);
}

static void close_each(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg, (void)r;
    strcpy(answer->extra, "Connection: close\r\n");
}

/* Each new connection has a descriptor that was another's a moment ago. */
static void a_receiver_that_closes_after_each_answer_is_sent_every_event_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new(close_each, NULL);

    rig->settings.webhook.timeout_us = 2 * RIG_DEADLINE_S * 1000000LL; /* so that a forgotten one is not delivered */
    emit_many(rig, EVENTS);
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), EVENTS);
    assert_int_equal(rig->server.connection_count, EVENTS);
    rig_free(rig);
}

static void readable(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void a_wake_ends_a_wait_though_nothing_is_in_flight(void **state)
{
    (void)state;
    struct rig *rig = rig_new(NULL, NULL);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    rig_start(rig);
    rig_deliver(rig);
    int64_t began_us = clock_monotonic_us();
    readable(ends[1]);
    sink_webhook.wait(rig->sink, ends[0], RIG_DEADLINE_S * 1000);
    assert_in_range(clock_monotonic_us() - began_us, 0, (RIG_DEADLINE_S - 1) * 1000000LL);
    rig_free(rig);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_that_its_receiver_closes_keeps_nobody_awake),
        cmocka_unit_test(a_receiver_that_closes_after_each_answer_is_sent_every_event_once),
        cmocka_unit_test(a_wake_ends_a_wait_though_nothing_is_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
