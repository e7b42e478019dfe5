/* webhook_receiver_test.c — every answer there is, on the wire, and every place where a receiver can get stuck. */
#include "webhook_rig.h"

/* ---- Statuses --------------------------------------------------------------------------------------------------------- */

static void answer_with(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)r;
    answer->status = *(const int *)arg;
}

/* With two attempts allowed: delivered and refused are asked once, failures twice. */
static void each_status_is_what_the_table_says(void **state)
{
    (void)state;
    enum class { DELIVERED, REFUSED, FAILED, GONE };
    static const struct {
        int status;
        enum class class;
    } cases[] = {
        {200, DELIVERED}, {201, DELIVERED}, {202, DELIVERED}, {203, DELIVERED}, {204, DELIVERED}, {206, DELIVERED},
        {226, DELIVERED}, {299, DELIVERED}, {300, REFUSED},   {301, REFUSED},   {302, REFUSED},   {303, REFUSED},
        {304, REFUSED},   {305, REFUSED},   {307, REFUSED},   {308, REFUSED},   {399, REFUSED},   {400, REFUSED},
        {401, REFUSED},   {402, REFUSED},   {403, REFUSED},   {404, REFUSED},   {405, REFUSED},   {406, REFUSED},
        {407, REFUSED},   {408, FAILED},    {409, REFUSED},   {410, GONE},      {411, REFUSED},   {413, REFUSED},
        {415, REFUSED},   {417, REFUSED},   {418, REFUSED},   {421, REFUSED},   {422, REFUSED},   {425, FAILED},
        {429, FAILED},    {451, REFUSED},   {499, REFUSED},   {500, FAILED},    {501, FAILED},    {502, FAILED},
        {503, FAILED},    {504, FAILED},    {511, FAILED},    {599, FAILED},    {600, FAILED},    {999, FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = cases[i].status;
        struct rig *rig = rig_new(answer_with, &status);
        rig->settings.webhook.max_attempts = 2;
        rig->settings.webhook.backoff_min_us = rig->settings.webhook.backoff_max_us = 1000;
        rig_emit(rig, "a", "{}");
        rig_start(rig);
        if (cases[i].class == GONE) {
            while (!rig->disabled) {
                rig_turn(rig);
                rig_wait(rig);
            }
        } else {
            rig_deliver(rig);
        }
        int64_t dead = rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'dead'");
        bool right = rig_times(rig, 1) == (cases[i].class == FAILED ? 2 : 1) &&
                     dead == (cases[i].class == REFUSED || cases[i].class == FAILED) &&
                     rig->disabled == (cases[i].class == GONE) &&
                     (!dead || rig_number(rig, "SELECT last_status FROM failed_deliveries") == status);
        if (!right)
            fail_msg("%d: asked %d times, %lld dead", status, rig_times(rig, 1), (long long)dead);
        rig_free(rig);
    }
}

/* ---- Stuck ------------------------------------------------------------------------------------------------------------ */

static void misbehave(void *arg, const struct server_request *r, struct server_answer *answer)
{
    if (strcmp(r->key, "victim") == 0)
        answer->way = *(const enum server_way *)arg;
}

static void an_answer_that_stops_or_never_stops_holds_up_its_key_alone(void **state)
{
    (void)state;
    static const struct {
        enum server_way way;
        bool slow, delivered;
    } cases[] = {{ANSWER_STALL, true, false},  {ANSWER_HANG, true, false},     {ANSWER_TRICKLE, true, false},
                 {ANSWER_RESET, false, false}, {ANSWER_HEADERS, false, false}, {ANSWER_BULKY, false, false},
                 {ANSWER_CHUNKS, false, true}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum server_way way = cases[i].way;
        struct rig *rig = rig_new(misbehave, &way);
        rig->settings.webhook.timeout_us = cases[i].slow ? 800000 : 6000000;
        rig->settings.webhook.max_attempts = 1;
        int64_t begun = clock_monotonic_us();
        rig_emit(rig, "victim", "{}");
        for (int k = 0; k < 5; k++)
            rig_emit(rig, "a", "{}");
        rig_start(rig);
        rig_deliver(rig);
        int64_t ended = clock_monotonic_us(), last = 0;
        for (int k = 0; k < rig->server.request_count; k++)
            if (strcmp(rig->server.requests[k].key, "a") == 0)
                last = rig->server.requests[k].at_us;
        assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), !cases[i].delivered);
        if (ended - begun > 8000000)
            fail_msg("way %d took %lld ms", way, (long long)(ended - begun) / 1000);
        if (cases[i].slow && ended - last < 100000)
            fail_msg("way %d: the others waited for it", way);
        rig_kill(rig);
        server_stop(&rig->server);
        assert_true(rig->server.flooded < 32 << 20);
        rig_free(rig);
    }
}

/* One that is no HTTP server at all. */
struct listener {
    int socket, port;
    enum { NEVER_ACCEPTS, RESETS_THE_UPLOAD, SPEAKS_PLAINLY } manner;
    pthread_t thread;
};

static void *listener_main(void *arg)
{
    struct listener *l = arg;
    static const char words[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    char some[1000];

    for (int socket; (socket = accept(l->socket, NULL, NULL)) >= 0; close(socket)) {
        if (l->manner == RESETS_THE_UPLOAD) {
            recv(socket, some, sizeof some, 0);
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        } else {
            send(socket, words, strlen(words), MSG_NOSIGNAL);
        }
    }
    return NULL;
}

static void listener_start(struct listener *l)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    l->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(l->socket, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(l->socket, 8), 0);
    assert_int_equal(getsockname(l->socket, (struct sockaddr *)&address, &size), 0);
    l->port = ntohs(address.sin_port);
    if (l->manner != NEVER_ACCEPTS)
        assert_int_equal(pthread_create(&l->thread, NULL, listener_main, l), 0);
}

static void listener_stop(struct listener *l)
{
    shutdown(l->socket, SHUT_RDWR);
    if (l->manner != NEVER_ACCEPTS)
        pthread_join(l->thread, NULL);
    close(l->socket);
}

static void a_connection_that_leads_nowhere_ends_in_time(void **state)
{
    (void)state;
    static const struct {
        const char *label, *scheme;
        int manner;
        int64_t least_us;
    } cases[] = {
        {"never accepted", "http", NEVER_ACCEPTS, 300000},
        {"silent where TLS begins", "https", NEVER_ACCEPTS, 300000},
        {"plain where TLS is wanted", "https", SPEAKS_PLAINLY, 0},
        {"reset in the upload", "http", RESETS_THE_UPLOAD, 0},
    };
    char *payload = malloc((1 << 20) + 1);

    memset(payload, 'x', 1 << 20);
    payload[0] = payload[(1 << 20) - 1] = '"';
    payload[1 << 20] = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listener listener = {.manner = cases[i].manner};
        struct rig *rig = rig_new(NULL, NULL);
        listener_start(&listener);
        snprintf(rig->url, sizeof rig->url, "%s://127.0.0.1:%d/", cases[i].scheme, listener.port);
        rig->settings.webhook.timeout_us = 600000;
        rig->settings.webhook.connect_timeout_us = 300000;
        rig->settings.webhook.max_attempts = 1;
        rig_emit(rig, "a", payload);
        rig_start(rig);
        int64_t begun = clock_monotonic_us();
        rig_deliver(rig);
        int64_t took = clock_monotonic_us() - begun;
        if (took < cases[i].least_us || took > 8000000)
            fail_msg("%s: %lld ms", cases[i].label, (long long)took / 1000);
        if (rig_number(rig, "SELECT count(*) FROM failed_deliveries WHERE state = 'dead' AND last_error <> '' AND"
                            " coalesce(last_status, 0) = 0") != 1)
            fail_msg("%s: is no failure", cases[i].label);
        rig_free(rig);
        listener_stop(&listener);
    }
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_is_what_the_table_says),
        cmocka_unit_test(an_answer_that_stops_or_never_stops_holds_up_its_key_alone),
        cmocka_unit_test(a_connection_that_leads_nowhere_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
