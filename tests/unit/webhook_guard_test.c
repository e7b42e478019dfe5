/* webhook_guard_test.c — --public-only against a receiver on this host: no spelling of its address gets there. */
#include "webhook_rig.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_spelling_of_loopback_is_connected_to),
        cmocka_unit_test(an_exception_is_connected_to),
        cmocka_unit_test(a_connection_is_judged_again_when_it_is_used_again),
        cmocka_unit_test(plain_http_does_not_leave_by_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
