/* webhook_guard_test.c — --public-only against a receiver on this host: no spelling of its address gets there. */
#include "webhook_rig.h"

#include "false_network.h"

static void point_at(struct rig *rig, const char *host)
{
    snprintf(rig->url, sizeof rig->url, "http://%s:%d/hook", host, rig->server.port);
}

static struct rig *guarded_rig(const char *host)
{
    struct rig *rig = rig_new(NULL, NULL);

    point_at(rig, host);
    rig->settings.webhook.public_only = true;
    rig->settings.webhook.allow_http = true; /* so that it is the other rule which refuses */
    rig->settings.webhook.max_attempts = 1;
    rig_emit(rig, "a", "{}");
    return rig;
}

static void no_spelling_of_loopback_is_connected_to(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool resolves; /* else it need not even be a host for curl; what counts is that nothing arrives */
    } cases[] = {
        {"127.0.0.1", true},
        {"2130706433", true},
        {"0x7f000001", true},
        {"0177.0.0.1", true},
        {"127.1", true},
        {"localhost", true},
        {"user:password@127.0.0.1", true},
        {"8.8.8.8@127.0.0.1", true},
        {"%31%32%37.0.0.1", true},
        {"0.0.0.0", true},
        {"[::ffff:127.0.0.1]", true},
        {"[::ffff:7f00:1]", true},
        {"127.0.0.1.", false},
        {"localhost.", false},
        {"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1", false}, /* full-width digits */
        {"127\xe3\x80\x82"
         "0\xe3\x80\x82"
         "0\xe3\x80\x82"
         "1",
         false}, /* ideographic full stops */
        {"[::127.0.0.1]", false},
        {"[64:ff9b::127.0.0.1]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = guarded_rig(cases[i].host);
        rig_start(rig);
        rig_deliver(rig);
        if (rig->server.connection_count != 0)
            fail_msg("%s was connected to", cases[i].host);
        if (rig_number(rig, "SELECT last_error GLOB 'not connected to *: it is no public address*' FROM"
                            " failed_deliveries WHERE state = 'dead' AND last_status = 0") < cases[i].resolves)
            fail_msg("%s was not refused for its address", cases[i].host);
        rig_free(rig);
    }
}

static void an_exception_is_connected_to(void **state)
{
    (void)state;
    struct address_block loopback;
    struct rig *rig = guarded_rig("localhost");

    assert_true(address_block_parse("127.0.0.0/8", &loopback));
    rig->settings.webhook.allowed = &loopback;
    rig->settings.webhook.allowed_count = 1;
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig_times(rig, 1), 1);
    assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
    rig_free(rig);
}

static void a_connection_is_judged_again_when_it_is_used_again(void **state)
{
    (void)state;
    struct rig *rig = guarded_rig("127.0.0.1");

    rig->settings.webhook.public_only = false;
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 1);
    rig->settings.webhook.public_only = true; /* the connection is open, and is kept alive */
    rig_emit(rig, "a", "{}");
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 1);
    assert_int_equal(rig->server.connection_count, 1);
    assert_int_equal(rig_number(rig, "SELECT last_error GLOB 'not connected to 127.0.0.1: *' FROM failed_deliveries"),
                     1);
    rig_free(rig);
}

static void plain_http_does_not_leave_by_a_name(void **state)
{
    (void)state;
    struct rig *rig = guarded_rig("0.0.0.0"); /* connects to this host, and is not on the list of insides */

    rig->settings.webhook.public_only = false;
    rig->settings.webhook.allow_http = false;
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(server_count(&rig->server), 0);
    assert_int_equal(rig_number(rig, "SELECT last_error GLOB '*plain http needs allow-http' FROM failed_deliveries"),
                     1);
    rig_free(rig);
}

/* ---- Every address that is not public, in every way to say it --------------------------------------------------------- */

static const char *const not_public[] = {
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff02::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:808:808::1",
    "2001::1",
    "2001:0:4136:e378::1",
    "2001:db8::1",
    "100::1",
    "3fff::1",
    "5f00::1",
};

enum { NOT_PUBLIC = sizeof not_public / sizeof *not_public };

/* One event to the host, in a life of the sink of its own: nobody is connected to, and the dead letter says why. */
static void assert_refused(struct rig *rig, const char *host, bool said)
{
    rig_kill(rig);
    point_at(rig, host);
    false_network.connect_count = 0;
    rig_emit(rig, NULL, "{}");
    rig_start(rig);
    rig_deliver(rig);
    if (false_network.connect_count != 0)
        fail_msg("%s led to %s", host, false_network.connected[0]);
    if (said &&
        rig_number(rig, "SELECT last_error GLOB 'not connected to *: it is no public address*' AND state = 'dead'"
                        " FROM failed_deliveries ORDER BY seq DESC LIMIT 1") != 1)
        fail_msg("%s was not refused for its address", host);
}

static void no_spelling_of_a_literal_is_connected_to(void **state)
{
    (void)state;
    struct rig *rig = guarded_rig("127.0.0.1");
    char host[64];

    false_network_reset(NULL, NULL);
    rig_start(rig);
    for (int i = 0; i < NOT_PUBLIC; i++) {
        struct sockaddr_storage address;
        struct sockaddr_in v4;
        assert_true(address_parse(not_public[i], &address));
        if (address.ss_family == AF_INET6) {
            snprintf(host, sizeof host, "[%s]", not_public[i]);
            assert_refused(rig, host, true);
            continue;
        }
        memcpy(&v4, &address, sizeof v4);
        uint32_t n = ntohl(v4.sin_addr.s_addr);
        assert_refused(rig, not_public[i], true);
        snprintf(host, sizeof host, "%u", n);
        assert_refused(rig, host, true);
        snprintf(host, sizeof host, "0x%08X", n);
        assert_refused(rig, host, true);
        snprintf(host, sizeof host, "0%o.0x%x.%u", n >> 24, n >> 16 & 0xff, n & 0xffff);
        assert_refused(rig, host, true);
        snprintf(host, sizeof host, "0%o.%u", n >> 24, n & 0xffffff);
        assert_refused(rig, host, true);
        snprintf(host, sizeof host, "%s.", not_public[i]); /* a name, where a resolver knows it */
        assert_refused(rig, host, false);
        snprintf(host, sizeof host, "[::ffff:%s]", not_public[i]);
        assert_refused(rig, host, true);
    }
    rig_free(rig);
}

static void a_name_that_resolves_to_it_is_refused(void **state)
{
    (void)state;
    struct rig *rig = guarded_rig("victim.example");

    false_network_reset("127.0.0.1", NULL);
    rig_start(rig);
    for (int i = 0; i < NOT_PUBLIC; i++) {
        false_network_reset(not_public[i], NULL);
        assert_refused(rig, "victim.example", true);
        assert_true(false_network.asked > 0);
    }
    rig_free(rig);
}

static void of_a_names_addresses_only_the_public_are_tried(void **state)
{
    (void)state;
    static const char *const answers[][2] = {{"127.0.0.1", "8.8.8.8"},
                                             {"8.8.8.8", "127.0.0.1"},
                                             {"::1", "8.8.8.8"},
                                             {"8.8.8.8", "10.0.0.1"},
                                             {"169.254.169.254", "8.8.8.8"}};

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct rig *rig = guarded_rig("mixed.example");
        false_network_reset(answers[i][0], answers[i][1]);
        rig_start(rig);
        rig_deliver(rig);
        assert_int_equal(rig_times(rig, 1), 1);
        assert_int_equal(rig_number(rig, "SELECT count(*) FROM failed_deliveries"), 0);
        assert_int_equal(false_network.connect_count, 1);
        assert_string_equal(false_network.connected[0], "8.8.8.8");
        rig_free(rig);
    }
}

static void close_after(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg, (void)r;
    strcpy(answer->extra, "Connection: close\r\n");
}

static void a_name_that_changes_its_mind_is_judged_anew(void **state)
{
    (void)state;
    struct rig *rig = guarded_rig("rebind.example");

    rig->server.script = close_after;
    false_network_reset("8.8.8.8", NULL);
    rig_start(rig);
    rig_deliver(rig);
    assert_int_equal(rig_times(rig, 1), 1);
    for (int i = 0; i < 3; i++) { /* inside once it is trusted, and back again */
        false_network_reset("127.0.0.1", NULL);
        assert_refused(rig, "rebind.example", true);
        false_network_reset("8.8.8.8", NULL);
        rig_kill(rig);
        rig_emit(rig, NULL, "{}");
        rig_start(rig);
        rig_deliver(rig);
        assert_int_equal(server_count(&rig->server), i + 2);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_spelling_of_loopback_is_connected_to),
        cmocka_unit_test(no_spelling_of_a_literal_is_connected_to),
        cmocka_unit_test(a_name_that_resolves_to_it_is_refused),
        cmocka_unit_test(of_a_names_addresses_only_the_public_are_tried),
        cmocka_unit_test(a_name_that_changes_its_mind_is_judged_anew),
        cmocka_unit_test(an_exception_is_connected_to),
        cmocka_unit_test(a_connection_is_judged_again_when_it_is_used_again),
        cmocka_unit_test(plain_http_does_not_leave_by_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
