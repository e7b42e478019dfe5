/* settings_webhook_test.c — URLs, headers and secrets: what is refused, and that no message shows a secret. */
#include "settings_rig.h"

static const char SECRET[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", BARE[] = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
static const unsigned char SECRET_BEGINS[] = {0x31, 0xf2, 0x90, 0xf6}, BARE_BEGINS[] = {0x0b, 0x61, 0x55, 0xb0};

static void a_url_is_shown_as_scheme_and_host(void **state)
{
    static const struct {
        const char *url, *shown, *kept;
    } cases[] = {
        {"https://h.example", "https://h.example", "https://h.example/"},
        {"https://user:canary@h.example:8443/canary?t=canary#c", "https://h.example:8443", NULL},
        {"HTTPS://H.example/x", "https://H.example", NULL},
        {"http://[::1]:8080/x", "http://[::1]:8080", NULL},
        {"http://2130706433/x", "http://127.0.0.1", "http://127.0.0.1/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[256];
        snprintf(words, sizeof words, "--webhook|%s", cases[i].url);
        const struct sink_settings *s = rig_sink(*state, words);
        assert_string_equal(s->webhook.url_shown, cases[i].shown);
        if (cases[i].kept)
            assert_string_equal(s->webhook.url, cases[i].kept);
    }
}

static void what_is_no_web_address_is_refused(void **state)
{
    static const struct {
        const char *url, *expected;
    } cases[] = {
        {"canary.example/x", "--webhook: not a URL: "},
        {"https://", "not a URL"},
        {"https://?canary", "not a URL"},
        {"https:///canary", "not a URL"},
        {"https:/canary", "not a URL"},
        {"https:canary", "not a URL"},
        {"https://h.example:99999/canary", "not a URL"},
        {"https://h ost/canary", "not a URL"},
        {"https://h.example/canary\r\nX: y", "not a URL"},
        {"https://h%1bx.example/canary", "not a URL"},
        {"https://h%7fx.example/canary", "a control byte in the host's name"},
        {"ftp://h.example/canary", "only http:// and https://"},
        {"file:///etc/canary", "No such file"}, /* file:PATH, of ///etc/canary */
        {"gopher://canary/", "only http:// and https://"},
        {"javascript:canary", "not a URL"},
        {"//canary", "not a URL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[256];
        snprintf(words, sizeof words, "--webhook|%s", cases[i].url);
        rig_refused(*state, words, cases[i].expected, strncmp(cases[i].url, "file:", 5) ? "canary" : NULL);
    }
}

static void plain_http_stays_inside(void **state)
{
    static const struct {
        const char *host;
        bool inside;
    } cases[] = {
        {"localhost", true},      {"receiver:8080", true},   {"localhost.", true},     {"a.localhost", true},
        {"host.internal", true},  {"printer.LOCAL", true},   {"x.home.arpa", true},    {"x.test", true},
        {"127.0.0.1", true},      {"127.255.255.254", true}, {"10.0.0.1", true},       {"172.16.0.1", true},
        {"172.31.255.255", true}, {"192.168.1.1", true},     {"169.254.1.1", true},    {"100.64.0.1", true},
        {"[::1]", true},          {"[fd00::1]", true},       {"[fe80::1]", true},      {"[::ffff:10.0.0.1]", true},
        {"0x7f000001", true},     {"h.example", false},      {"example.com", false},   {"8.8.8.8", false},
        {"172.32.0.1", false},    {"172.15.0.1", false},     {"100.128.0.1", false},   {"192.169.0.1", false},
        {"11.0.0.1", false},      {"128.0.0.1", false},      {"[2001:db8::1]", false}, {"[::ffff:8.8.8.8]", false},
        {"[fec0::1]", false},     {"xlocalhost.com", false}, {"local.example", false}, {"134744072", false},
        {"0.0.0.0", false},       {"notlocal.net", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[256];
        snprintf(words, sizeof words, "--webhook|http://u:canary@%s/canary", cases[i].host);
        if (cases[i].inside)
            rig_sink(*state, words);
        else
            rig_refused(*state, words, "is plain http to a public address", "canary");
        snprintf(words, sizeof words, "--webhook|http://%s/|--allow-http", cases[i].host);
        rig_sink(*state, words);
        snprintf(words, sizeof words, "--webhook|https://%s/", cases[i].host);
        rig_sink(*state, words);
    }
}

static void a_header_that_is_none_or_not_the_operators_is_refused(void **state)
{
    static const struct {
        const char *line, *expected;
    } cases[] = {
        {"canary", "not a header"},
        {": canary", "not a header"},
        {"X Y: canary", "not a header"},
        {"X\xc3\xa9: canary", "not a header"},
        {"X:", "header X has no value"},
        {"X: \t", "header X has no value"},
        {"X: canary\r\nY: z", "header X has a line break"},
        {"X: canary\nY: z", "header X has a line break"},
        {"X: canary\x01", "header X has a line break or another control byte"},
        {"X: canary\x7f", "another control byte"},
        {"Host: canary", "header Host is set by the relay itself"},
        {"content-length: 3", "header content-length is set by"},
        {"Transfer-Encoding: chunked", "is set by the relay"},
        {"Connection: close", "is set by the relay"},
        {"TE: trailers", "is set by the relay"},
        {"Webhook-Id: canary", "is set by the relay"},
        {"webhook-signature: canary", "is set by the relay"},
        {"Idempotency-Key: canary", "is set by the relay"},
        {"Content-Type: text/plain", "is set by the relay"},
        {"ce-id: canary", "is set by the relay"},
        {"file:nowhere", "nowhere: No such file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[256];
        snprintf(words, sizeof words, "--webhook|https://h/|--webhook-header|%s", cases[i].line);
        rig_refused(*state, words, cases[i].expected, "canary");
    }
    const struct sink_settings *s = rig_sink(*state,
                                             "--webhook|https://h/|--webhook-header|Test: a|--webhook-header|cer:b");
    assert_string_equal(s->webhook.headers[0], "Test: a"); /* begins like TE, and is another */
    assert_string_equal(s->webhook.headers[1], "cer: b");
}

static void headers_and_urls_come_from_private_files(void **state)
{
    rig_text("headers", 0600, "Authorization: Bearer canary\r\n\n  \nX-B: 2\n");
    rig_refused(*state, "--webhook|https://h/|--webhook-header|file:headers", "not a header",
                "canary"); /* blanks only */
    rig_text("headers", 0600, "Authorization: Bearer canary\r\n\nX-B: 2\n");
    rig_text("url", 0400, "https://h.example/canary\n");
    const struct sink_settings *s = rig_sink(*state, "--webhook|file:url|--webhook-header|file:headers");
    assert_string_equal(s->webhook.url, "https://h.example/canary");
    assert_string_equal(s->webhook.url_shown, "https://h.example");
    assert_string_equal(s->webhook.headers[0], "Authorization: Bearer canary");
    assert_string_equal(s->webhook.headers[1], "X-B: 2");
    rig_text("url2", 0600, "https://h.example/canary\nhttps://h.example/canary\n");
    rig_refused(*state, "--webhook|file:url2", "holds more than one URL", "canary");
    rig_text("url3", 0644, "https://h.example/canary\n");
    rig_refused(*state, "--webhook|file:url3", "others can read url3 (mode 0644); chmod 600 it", "canary");
}

static void a_secret_is_base64_with_or_without_its_prefix(void **state)
{
    char text[256];
    snprintf(text, sizeof text, "%s\n  %s  \n", SECRET, BARE);
    rig_text("secret", 0600, text);
    const struct sink_settings *s = rig_sink(*state, "--webhook|https://h/|--webhook-secret-file|secret");
    assert_int_equal(s->webhook.secret_count, 2); /* the newest first, as they stand in the file */
    assert_memory_equal(s->webhook.secrets[0].key, SECRET_BEGINS, 4);
    assert_memory_equal(s->webhook.secrets[1].key, BARE_BEGINS, 4);
    assert_int_equal(s->webhook.secrets[0].size_bytes, 24);
}

static void a_bad_secret_file_is_refused_unquoted(void **state)
{
    static const struct {
        const char *text, *expected;
        mode_t mode;
    } cases[] = {
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "others can read secret (mode 0640); chmod 600 it", 0640},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "others can read secret (mode 0604)", 0604},
        {"", "holds no secret", 0600},
        {" \n\n", "holds no secret", 0600},
        {"whsec_canary", "secret 1 is not the base64 of 24 to 64 bytes", 0600},
        {"whsec_", "secret 1 is not", 0600},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2Lacanary!!", "secret 1 is not", 0600},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\ncanary\n", "secret 2 is not", 0600},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
         "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
         "more than 3 secrets", 0600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_text("secret", cases[i].mode, cases[i].text);
        rig_refused(*state, "--webhook|https://h/|--webhook-secret-file|secret", cases[i].expected, "canary");
        assert_null(strstr(((struct settings_rig *)*state)->message, "MfKQ"));
    }
    rig_refused(*state, "--webhook|https://h/|--webhook-secret-file|none", "--webhook-secret-file: none: No such file",
                NULL);
    rig_refused(*state, "--webhook|https://h/|--webhook-secret-file|.", "is not a regular file", NULL);
    assert_int_equal(symlink("secret", "link"), 0);
    rig_refused(*state, "--webhook|https://h/|--webhook-secret-file|link", "a symbolic link", NULL);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    rig_refused(*state, "--webhook|https://h/|--webhook-secret-file|pipe", "is not a regular file", NULL);
    char large[20000];
    memset(large, 'A', sizeof large);
    rig_write("large", 0600, large, sizeof large);
    rig_refused(*state, "--webhook|https://h/|--webhook-secret-file|large", "not a file of secrets", NULL);
}

static void somebody_elses_secret_file_is_refused(void **state)
{
    rig_text("secret", 0600, SECRET);
    if (chown("secret", 65534, (gid_t)-1) != 0)
        skip(); /* only root can give a file away */
    rig_refused(*state, "--webhook|https://h/|--webhook-secret-file|secret", "belongs to another user", NULL);
}

static void the_environments_secrets_stand_between_flag_and_file(void **state)
{
    struct settings_rig *rig = *state;
    char text[256];
    rig_text("secret", 0600, BARE);
    rig_text("relay.conf", 0644, "sink a { webhook = 'https://h/' secret-file = secret }\n");
    snprintf(text, sizeof text, "%s %s %s", SECRET, BARE, BARE);
    setenv("OUTBOX_WEBHOOK_SECRET", text, 1);
    const struct sink_settings *s = rig_sink(rig, "--config|relay.conf");
    assert_int_equal(s->webhook.secret_count, 3);
    assert_memory_equal(s->webhook.secrets[0].key, SECRET_BEGINS, 4);
    s = rig_sink(rig, "--config|relay.conf|--webhook-secret-file|file:secret");
    assert_int_equal(s->webhook.secret_count, 1);
    assert_memory_equal(s->webhook.secrets[0].key, BARE_BEGINS, 4);
    rig_sink(rig, "--stdout"); /* no webhook, no matter */
    rig_text("relay.conf", 0644, "sink a { webhook = 'https://h/' }\nsink b { webhook = 'https://i/' }\n");
    rig_refused(rig, "--config|relay.conf", "$OUTBOX_WEBHOOK_SECRET: would fit 2 sinks", "MfKQ");
    setenv("OUTBOX_WEBHOOK_SECRET", "", 1); /* a mistake that would send unsigned */
    rig_refused(rig, "--webhook|https://h/", "$OUTBOX_WEBHOOK_SECRET: holds no secret", NULL);
    setenv("OUTBOX_WEBHOOK_SECRET", "canary", 1);
    rig_refused(rig, "--webhook|https://h/", "$OUTBOX_WEBHOOK_SECRET: secret 1 is not", "canary");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_url_is_shown_as_scheme_and_host, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_web_address_is_refused, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(plain_http_stays_inside, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_header_that_is_none_or_not_the_operators_is_refused, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(headers_and_urls_come_from_private_files, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_secret_is_base64_with_or_without_its_prefix, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_bad_secret_file_is_refused_unquoted, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(somebody_elses_secret_file_is_refused, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_environments_secrets_stand_between_flag_and_file, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
