/* webhook_batch_test.c — several events in one request: bodies, ids, order per key, and what a failure means for each. */
#include "webhook_rig.h"

#include <openssl/evp.h>

enum { KEYS = 10, SEQS_MAX = 2000 };

/* What the receiver makes of bodies: which seqs it accepted and in which order, and whether two requests with events of
 * one key were under way at once. Keys are k0 … k9; a body holds "seq":N and "key":"kN" per event. */
struct receiver {
    pthread_mutex_t lock;
    int under_way[KEYS], overlaps, disorders;
    int64_t last[KEYS];
    int accepted[SEQS_MAX];  /* by seq */
    int refused_seq, status; /* a body with this seq in it gets status */
    int failures;            /* the first so many requests get 503 */
    int most_events, delay_ms;
};

static int receiver_setup(void **state)
{
    struct receiver *r = calloc(1, sizeof *r);
    assert_non_null(r);
    pthread_mutex_init(&r->lock, NULL);
    *state = r;
    return 0;
}

static int receiver_teardown(void **state)
{
    struct receiver *r = *state;
    pthread_mutex_destroy(&r->lock);
    free(r);
    return 0;
}

/* The next event of a body; *at moves on. */
static bool next_event(const char **at, int64_t *seq, int *key)
{
    const char *found = strstr(*at, "\"seq\":"), *k = found ? strstr(found, "\"key\":\"k") : NULL;
    if (!k)
        return false;
    *seq = atoll(found + strlen("\"seq\":"));
    *key = atoi(k + strlen("\"key\":\"k"));
    *at = k;
    return true;
}

static void enter(struct receiver *r, const char *body, int by)
{
    bool mine[KEYS] = {false};
    int64_t seq;
    int key;

    while (next_event(&body, &seq, &key)) {
        if (mine[key])
            continue;
        mine[key] = true;
        r->overlaps += by > 0 && r->under_way[key] > 0;
        r->under_way[key] += by;
    }
}

static void accept_all(struct receiver *r, const char *body)
{
    int64_t seq;
    int64_t before = 0;
    int key, events = 0;

    for (; next_event(&body, &seq, &key); events++, before = seq) {
        r->disorders += seq < before;
        if (r->accepted[seq]++)
            continue; /* again, after a kill */
        r->disorders += seq < r->last[key];
        r->last[key] = seq;
    }
    if (events > r->most_events)
        r->most_events = events;
}

static bool holds(const char *body, int wanted)
{
    int64_t seq;
    int key;

    while (next_event(&body, &seq, &key))
        if (seq == wanted)
            return true;
    return false;
}

static void judge(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct receiver *r = arg;

    pthread_mutex_lock(&r->lock);
    enter(r, request->body, 1);
    pthread_mutex_unlock(&r->lock);
    if (r->delay_ms)
        poll(NULL, 0, r->delay_ms);
    pthread_mutex_lock(&r->lock);
    if (request->arrival <= r->failures)
        answer->status = 503;
    else if (r->refused_seq && holds(request->body, r->refused_seq))
        answer->status = r->status;
    else
        accept_all(r, request->body);
    enter(r, request->body, -1);
    pthread_mutex_unlock(&r->lock);
}

static struct rig *batch_rig(struct receiver *r, int batch_count)
{
    struct rig *rig = rig_new(judge, r);

    rig->settings.webhook.format = FORMAT_NATIVE;
    rig->settings.webhook.batch_count = batch_count;
    return rig;
}

static void emit_many(struct rig *rig, int count, int keys)
{
    rig_sql(rig,
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
            " INSERT INTO outbox_events(topic, key, payload, ordering_key)"
            " SELECT 'orders', 'k' || (i %% %d), '{}', 'k' || (i %% %d) FROM n",
            count - 1, keys, keys);
}

static void each_is_accepted_once(const struct receiver *r, int count, int but)
{
    for (int seq = 1; seq <= count; seq++)
        if (r->accepted[seq] != (seq != but))
            fail_msg("seq %d was accepted %d times", seq, r->accepted[seq]);
    assert_int_equal(r->overlaps, 0);
    assert_int_equal(r->disorders, 0);
}

static void header_is(const struct server_request *r, const char *name, const char *expected)
{
    char value[256];

    server_header(r->head, name, value, sizeof value);
    assert_string_equal(value, expected);
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

static void a_batch_is_an_array_with_an_id_of_its_own(void **state)
{
    struct rig *rig = batch_rig(*state, 10);
    unsigned char hash[EVP_MAX_MD_SIZE];
    char id[96];

    emit_many(rig, 3, 1);
    rig_start(rig);
    rig_deliver(rig);
    const struct server_request *r = &rig->server.requests[0];
    assert_int_equal(server_count(&rig->server), 1);
    assert_int_equal(EVP_Digest("1,2,3", 5, hash, NULL, EVP_sha256(), NULL), 1);
    int used = snprintf(id, sizeof id, "%s-1-3-", rig->source);
    for (int i = 0; i < 8; i++)
        used += snprintf(id + used, sizeof id - (size_t)used, "%02x", hash[i]);
    header_is(r, "webhook-id", id);
    header_is(r, "idempotency-key", id);
    header_is(r, "content-type", "application/json");
    assert_memory_equal(r->body, "[{\"seq\":1,\"id\":\"0123456789abcdef-1\"", 35);
    assert_non_null(strstr(r->body, "},{\"seq\":2,\"id\":\"0123456789abcdef-2\""));
    assert_int_equal(r->body[r->body_size - 1], ']');
    rig_free(rig);
}

static void cloudevents_go_in_their_batch_mode(void **state)
{
    struct rig *rig = batch_rig(*state, 10);

    rig->settings.webhook.format = FORMAT_CLOUDEVENTS;
    emit_many(rig, 2, 2);
    rig_start(rig);
    rig_deliver(rig);
    const struct server_request *r = &rig->server.requests[0];
    assert_int_equal(server_count(&rig->server), 1);
    header_is(r, "content-type", "application/cloudevents-batch+json; charset=utf-8");
    assert_memory_equal(r->body, "[{\"specversion\":\"1.0\"", 21);
    assert_non_null(strstr(r->body, "},{\"specversion\":\"1.0\""));
    rig_free(rig);
}

static void a_single_event_is_a_batch_too(void **state)
{
    struct rig *rig = batch_rig(*state, 10);

    emit_many(rig, 1, 1);
    rig_start(rig);
    rig_deliver(rig);
    assert_memory_equal(rig->server.requests[0].body, "[{\"seq\":1,", 10);
    assert_memory_equal(rig->server.requests[0].id, "0123456789abcdef-1-1-", 21);
    rig_free(rig);
}

static void a_batch_is_full_by_count_and_by_size(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 5);

    emit_many(rig, 7, 7);
    rig_sql(rig, "INSERT INTO outbox_events(topic, key, payload) SELECT 'orders', 'k9', json_quote(printf('%%.*c',"
                 " 700000, 'x')) FROM (VALUES (1), (2), (3))");
    rig->settings.webhook.concurrency = 1;
    rig_start(rig);
    rig_deliver(rig);
    each_is_accepted_once(r, 10, 0);
    assert_int_equal(r->most_events, 5);
    assert_int_equal(server_count(&rig->server), 3); /* 1-5, 6-9, 10: the second large one passed 1 MiB */
    rig_free(rig);
}

/* ---- Order ------------------------------------------------------------------------------------------------------------ */

static void batches_in_flight_never_share_a_key(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 7);

    r->delay_ms = 2;
    emit_many(rig, 1500, KEYS);
    rig_start(rig);
    rig_deliver(rig);
    each_is_accepted_once(r, 1500, 0);
    assert_int_equal(r->most_events, 7);
    assert_true(rig->server.most_under_way > 1);
    rig_free(rig);
}

/* ---- Failures --------------------------------------------------------------------------------------------------------- */

static void a_refused_batch_goes_one_by_one(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 10);

    r->refused_seq = 4;
    r->status = 422;
    emit_many(rig, 9, 9);
    rig->settings.webhook.concurrency = 1;
    rig_start(rig);
    rig_deliver(rig);
    each_is_accepted_once(r, 9, 4);
    assert_int_equal(server_count(&rig->server), 10);
    assert_int_equal(rig_number(rig, "SELECT seq FROM failed_deliveries WHERE state = 'dead' AND attempts = 1"), 4);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 1);
    rig_free(rig);
}

static void a_refused_events_key_waits_and_the_others_go_on(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 10);

    r->refused_seq = 3; /* of k0, as are 1, 5, 7, 9 */
    r->status = 400;
    emit_many(rig, 10, 2);
    rig_start(rig);
    rig_deliver(rig);
    for (int seq = 1; seq <= 10; seq++)
        assert_int_equal(r->accepted[seq], seq == 1 || seq % 2 == 0);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'waiting'"), 3);
    assert_int_equal(r->disorders + r->overlaps, 0);
    rig_free(rig);
}

static void a_poison_event_soon_fails_alone(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 10);

    r->refused_seq = 5;
    r->status = 500;
    rig->settings.webhook.max_attempts = 1; /* its companions must not die of it */
    emit_many(rig, 40, KEYS);
    rig_start(rig);
    rig_deliver(rig);
    for (int seq = 1; seq <= 40; seq++)
        assert_int_equal(r->accepted[seq], seq % KEYS != 5); /* the later ones of its key are parked */
    assert_int_equal(rig_number(rig, "SELECT seq FROM failed_deliveries WHERE state = 'dead'"), 5);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 4);
    assert_int_equal(r->disorders + r->overlaps, 0);
    rig_free(rig);
}

static void a_failed_batch_is_tried_again_in_order_over_a_kill(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 20);

    r->failures = 2;
    emit_many(rig, 200, KEYS);
    rig_start(rig);
    rig_until(rig, rig_all_settled, "all settled or aside");
    rig_kill(rig); /* what was in flight comes again */
    rig_start(rig);
    rig_deliver(rig);
    for (int seq = 1; seq <= 200; seq++)
        assert_true(r->accepted[seq] > 0);
    assert_int_equal(r->disorders, 0);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_free(rig);
}

/* An outage leaves a long lane of one key; it comes back in batches, not one by one. */
static void what_waited_behind_its_key_goes_in_batches_again(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 50);

    r->failures = 1;
    emit_many(rig, 200, 1);
    rig_start(rig);
    rig_deliver(rig);
    each_is_accepted_once(r, 200, 0);
    assert_int_equal(server_count(&rig->server), 5);
    rig_free(rig);
}

static void gone_owes_all_of_a_batch(void **state)
{
    struct receiver *r = *state;
    struct rig *rig = batch_rig(r, 10);

    r->refused_seq = 5;
    r->status = 410;
    emit_many(rig, 20, 1);
    rig->settings.webhook.concurrency = 1;
    rig_start(rig);
    for (int64_t deadline = clock_monotonic_us() + 10000000; !rig->disabled && clock_monotonic_us() < deadline;) {
        rig_turn(rig);
        rig_wait(rig);
    }
    assert_true(rig->disabled);
    assert_int_equal(rig->cursor.acked_seq, 0);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    r->refused_seq = 0;
    rig_kill(rig);
    rig_start(rig);
    rig_deliver(rig);
    each_is_accepted_once(r, 20, 0);
    rig_free(rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, receiver_setup, receiver_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_an_array_with_an_id_of_its_own),
        TEST(cloudevents_go_in_their_batch_mode),
        TEST(a_single_event_is_a_batch_too),
        TEST(a_batch_is_full_by_count_and_by_size),
        TEST(batches_in_flight_never_share_a_key),
        TEST(a_refused_batch_goes_one_by_one),
        TEST(a_refused_events_key_waits_and_the_others_go_on),
        TEST(a_poison_event_soon_fails_alone),
        TEST(a_failed_batch_is_tried_again_in_order_over_a_kill),
        TEST(what_waited_behind_its_key_goes_in_batches_again),
        TEST(gone_owes_all_of_a_batch),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
