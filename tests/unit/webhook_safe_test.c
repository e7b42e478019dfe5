/* webhook_safe_test.c — what no request ever has: anything of the environment, of an earlier answer, or a header that an
 * event made up. */
#include "webhook_rig.h"

#include <fcntl.h>
#include <sys/stat.h>

/* The names of a request's headers, in their order, with a space between them. */
static void names_of(const struct server_request *r, char *out, size_t size)
{
    size_t used = 0;

    out[0] = 0;
    for (const char *line = strstr(r->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        used += (size_t)snprintf(out + used, size - used, "%s%.*s", used ? " " : "", (int)strcspn(line + 2, ":\r\n"),
                                 line + 2);
}

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void tempt(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)r;
    snprintf(answer->extra, sizeof answer->extra,
             "Set-Cookie: canary=1; Path=/\r\nAlt-Svc: http/1.1=\":%d\"; ma=3600, h2=\":%d\"\r\n"
             "Strict-Transport-Security: max-age=3600\r\nWWW-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\n",
             *(const int *)arg, *(const int *)arg);
}

static void neither_home_nor_answers_add_to_a_request(void **state)
{
    (void)state;
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy",
                                        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
    struct server elsewhere;
    char first[512], next[512], netrc[128];
    assert_true(server_start(&elsewhere, 0, NULL, NULL));
    struct rig *rig = rig_new(tempt, &elsewhere.port);

    write_file(rig->directory, ".netrc",
               "machine 127.0.0.1 login canary password canary\n"
               "default login canary password canary\n");
    write_file(rig->directory, ".curlrc", "header = \"X-Canary: 1\"\nuser = canary:canary\n");
    snprintf(netrc, sizeof netrc, "%s/.netrc", rig->directory);
    setenv("HOME", rig->directory, 1);
    setenv("NETRC", netrc, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i], "http://canary:canary@127.0.0.1:1/", 1);
    for (int i = 0; i < 5; i++)
        rig_emit(rig, "a", "{}");
    rig_start(rig);
    rig_deliver(rig);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    unsetenv("NETRC");

    assert_int_equal(server_count(&rig->server), 5);
    names_of(&rig->server.requests[0], first, sizeof first);
    assert_string_equal(first,
                        "Host User-Agent webhook-id webhook-timestamp idempotency-key Content-Type Content-Length");
    for (int i = 0; i < 5; i++) {
        names_of(&rig->server.requests[i], next, sizeof next);
        assert_string_equal(next, first);
        const char *query = strstr(rig->server.requests[i].head, "canary"); /* the rig's URL has one */
        assert_null(strstr(query + 1, "canary"));
    }
    assert_int_equal(server_count(&elsewhere), 0);
    server_stop(&elsewhere);
    server_free(&elsewhere);
    rig_free(rig);
}

static void ask_for_a_password(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)r;
    answer->status = 401;
    snprintf(answer->extra, sizeof answer->extra, "WWW-Authenticate: %s\r\n", *(const char **)arg);
}

static void a_request_for_credentials_is_a_refusal(void **state)
{
    (void)state;
    static const char *const ways[] = {"Basic realm=\"x\"", "Negotiate", "NTLM", "Digest realm=\"x\", nonce=\"y\""};

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const char *way = ways[i];
        struct rig *rig = rig_new(ask_for_a_password, &way);
        rig_emit(rig, "a", "{}");
        rig_start(rig);
        rig_deliver(rig);
        assert_int_equal(server_count(&rig->server), 1);
        assert_null(strcasestr(rig->server.requests[0].head, "authorization"));
        assert_int_equal(rig_number(rig, "SELECT last_status FROM failed_deliveries WHERE state = 'dead'"), 401);
        rig_free(rig);
    }
}

/* What an event says of itself, with everything that could end a header, begin another or begin a request. */
static const char *const hostile[] = {"x\r\nEvil: 1",
                                      "x\nEvil: 1",
                                      "x\rEvil: 1",
                                      "x\r\n Evil: folded",
                                      "x\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
                                      "x\tEvil:\x01\x7f",
                                      "\xc4\x8d\xc4\x8a"
                                      "Evil: 1" /* U+010D U+010A: CR and LF where somebody cuts to bytes */};

static void no_event_adds_a_header_or_a_request(void **state)
{
    (void)state;
    static const struct {
        enum event_format format;
        const char *names;
    } cases[] = {
        {FORMAT_CLOUDEVENTS,
         "Host User-Agent webhook-id webhook-timestamp idempotency-key Content-Type Content-Length"},
        {FORMAT_NATIVE, "Host User-Agent webhook-id webhook-timestamp idempotency-key Content-Type Content-Length"},
        {FORMAT_PAYLOAD, "Host User-Agent webhook-id webhook-timestamp idempotency-key Content-Type Content-Length"},
        {FORMAT_CLOUDEVENTS_BINARY,
         "Host User-Agent webhook-id webhook-timestamp idempotency-key Content-Type ce-specversion"
         " ce-id ce-source ce-type ce-subject ce-time ce-sequence ce-partitionkey ce-op"
         " Content-Length"},
    };
    enum { COUNT = sizeof hostile / sizeof *hostile };
    char names[512];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = rig_new(NULL, NULL);
        rig->settings.webhook.format = cases[i].format;
        for (int k = 0; k < COUNT; k++)
            rig_sql(rig,
                    "INSERT INTO outbox_events(topic, key, payload, ordering_key, headers) VALUES (%Q, %Q,"
                    " '{}', %Q, json_object('traceparent', %Q, %Q, 'x'))",
                    hostile[k], hostile[k], hostile[k], hostile[k], hostile[k]);
        rig_start(rig);
        rig_deliver(rig);
        assert_int_equal(server_count(&rig->server), COUNT);
        for (int k = 0; k < COUNT; k++) {
            names_of(&rig->server.requests[k], names, sizeof names);
            assert_string_equal(names, cases[i].names);
        }
        rig_free(rig);
    }
}

static int lines_of(const struct server_request *r, const char *name)
{
    int count = 0;

    for (const char *line = strstr(r->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        count += strncasecmp(line + 2, name, strlen(name)) == 0 && line[2 + strlen(name)] == ':';
    return count;
}

/* Of the operator's, and of the events' as the operator has allowed: the first has all of them, the second none. */
static void a_header_that_is_given_takes_the_place_of_ours_and_of_curls(void **state)
{
    (void)state;
    static const char *const names[] = {"User-Agent", "Authorization", "Accept"};
    char lines[3][32] = {"user-agent: shop/1", "authorization: Bearer x", "accept: text/plain"};
    char words[3][32] = {"user-agent", "authorization", "accept"};
    char *given[] = {lines[0], lines[1], lines[2], NULL}, *named[] = {words[0], words[1], words[2], NULL};

    for (int of_events = 0; of_events < 2; of_events++) {
        struct rig *rig = rig_new(NULL, NULL);
        snprintf(rig->url, sizeof rig->url, "http://u:p@127.0.0.1:%d/", rig->server.port);
        rig->settings.webhook.concurrency = 1;
        rig->settings.webhook.headers = of_events ? NULL : given;
        rig->settings.webhook.event_headers = of_events ? named : NULL;
        rig_sql(rig, "INSERT INTO outbox_events(topic, key, payload, headers) VALUES ('t', 'k', '{}',"
                     " '{\"User-Agent\":\"shop/1\",\"Authorization\":\"Bearer x\",\"Accept\":\"text/plain\"}')");
        rig_emit(rig, "a", "{}");
        rig_start(rig);
        rig_deliver(rig);
        const struct server_request *first = &rig->server.requests[0];
        const char *ours = strstr(first->head, "outbox-relay"), *basic = strstr(first->head, "Basic");
        bool all_theirs = !ours && !basic;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            all_theirs &= lines_of(first, names[i]) == 1;
        if (!all_theirs)
            fail_msg("of %s: %s", of_events ? "the event" : "the operator", first->head);
        assert_int_equal(lines_of(&rig->server.requests[1], "User-Agent"), 1);
        assert_int_equal(lines_of(&rig->server.requests[1], "Authorization"), 1);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neither_home_nor_answers_add_to_a_request),
        cmocka_unit_test(a_request_for_credentials_is_a_refusal),
        cmocka_unit_test(no_event_adds_a_header_or_a_request),
        cmocka_unit_test(a_header_that_is_given_takes_the_place_of_ours_and_of_curls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
