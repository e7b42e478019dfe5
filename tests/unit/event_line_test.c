/* event_line_test.c — a line of a stream, native or a CloudEvent, as an event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event_line.h"

#define ID "9f86d081884c7d65"

static void assert_text(const char *text, size_t size, const char *expected)
{
    assert_non_null(text);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text, expected, size);
}

/* From memory of exactly its size, so that a read beyond it is seen. */
static bool parse(struct event_line *line, char **text, const char *from)
{
    size_t size = strlen(from);
    free(*text);
    *text = malloc(size + !size);
    assert_non_null(*text);
    memcpy(*text, from, size);
    return event_line_parse(line, *text, size);
}

static void a_native_line_gives_everything(void **state)
{
    (void)state;
    struct event_line line = {0};
    char *text = NULL;
    const outbox_event *e = &line.event;
    assert_true(parse(
        &line, &text,
        "{\"seq\":42,\"prev\":40,\"id\":\"" ID
        "-42\",\"topic\":\"sales\",\"table\":\"or\\\"ders\",\"key\":\"o-\\u00fc\\n\","
        "\"ordering_key\":\"cust-9\",\"op\":\"update\",\"revision\":3,\"time\":\"2026-11-21T05:21:00.123456Z\","
        "\"payload\":{\"id\":\"o\\u2028\",\"total\":0.10000000000000001,\"n\":9007199254740993},\"before\":{\"id\":[1,{}]},"
        "\"headers\":{\"h\":\"v\"}}"));
    assert_int_equal(e->seq, 42);
    assert_int_equal(e->prev, 40);
    assert_int_equal(e->revision, 3);
    assert_int_equal(e->time_us, 1795238460123456);
    assert_string_equal(e->id, ID "-42");
    assert_string_equal(line.source, ID);
    assert_string_equal(e->op, "update");
    assert_text(e->topic, e->topic_size, "sales");
    assert_text(e->table, e->table_size, "or\"ders");
    assert_text(e->key, e->key_size, "o-\xc3\xbc\n");
    assert_text(e->ordering_key, e->ordering_key_size, "cust-9");
    assert_text(e->payload, e->payload_size,
                "{\"id\":\"o\\u2028\",\"total\":0.10000000000000001,\"n\":9007199254740993}"); /* byte for byte */
    assert_false(e->payload_is_blob);
    assert_text(e->before, e->before_size, "{\"id\":[1,{}]}");
    assert_text(e->headers, e->headers_size, "{\"h\":\"v\"}");
    assert_null(e->error);
    event_line_free(&line);
    free(text);
}

static void what_a_line_lacks_is_null(void **state)
{
    (void)state;
    struct event_line line = {0};
    char *text = NULL;
    const outbox_event *e = &line.event;
    assert_true(parse(&line, &text, "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\",\"op\":\"delete\",\"key\":\"\"}"));
    assert_null(e->payload);
    assert_null(e->before);
    assert_null(e->headers);
    assert_null(e->topic);
    assert_null(e->table);
    assert_null(e->ordering_key);
    assert_text(e->key, e->key_size, "");
    assert_int_equal(e->revision, 0);
    event_line_free(&line);
    free(text);
}

static void payloads_of_every_kind_come_back(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        const void *bytes;
        size_t size;
        int is_blob;
    } cases[] = {
        {"\"payload\":null", "null", 4, 0},
        {"\"payload\":\"a\\tb\"", "\"a\\tb\"", 6, 0},
        {"\"payload\":[1, 2]", "[1, 2]", 6, 0},
        {"\"payload\":-0.5e3", "-0.5e3", 6, 0},
        {"\"payload\":\"\"", "\"\"", 2, 0},
        {"\"payload_base64\":\"AAH/\"", "\0\1\xff", 3, 1},
        {"\"payload_base64\":\"\\/\\/8=\"", "\xff\xff", 2, 1},
        {"\"payload_base64\":\"\"", "", 0, 1},
        {"\"data_base64\":\"AAH/\"", "\0\1\xff", 3, 1},
        {"\"data\":{}", "{}", 2, 0},
    };
    struct event_line line = {0};
    char *text = NULL, all[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strcpy(all, "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\",");
        strcat(strcat(all, cases[i].member), "}");
        if (!parse(&line, &text, all))
            fail_msg("%s", all);
        assert_non_null(line.event.payload);
        assert_int_equal(line.event.payload_size, cases[i].size);
        assert_memory_equal(line.event.payload, cases[i].bytes, cases[i].size);
        assert_int_equal(line.event.payload_is_blob, cases[i].is_blob);
    }
    event_line_free(&line);
    free(text);
}

/* Base64 by some writers has its '/' as "\/": it is held twice, with the escapes gone and as bytes, at whatever size. */
static void escaped_base64_leaves_the_other_texts_where_they_are(void **state)
{
    (void)state;
    struct event_line line = {0};
    char *text = NULL, from[2048];
    for (int size = 4; size <= 1200; size += 4) {
        snprintf(from, sizeof from,
                 "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\",\"topic\":\"a\\/b\",\"op\":\"emit\","
                 "\"payload_base64\":\"\\/%0*d\"}",
                 size - 1, 0);
        event_line_free(&line);
        assert_true(parse(&line, &text, from));
        assert_string_equal(line.event.id, ID "-1");
        assert_string_equal(line.event.op, "emit");
        assert_text(line.event.topic, line.event.topic_size, "a/b");
        assert_int_equal(line.event.payload_size, size / 4 * 3);
    }
    event_line_free(&line);
    free(text);
}

static void an_error_stands_in_place_of_payload_and_before(void **state)
{
    (void)state;
    struct event_line line = {0};
    char *text = NULL;
    assert_true(parse(&line, &text,
                      "{\"seq\":7,\"prev\":6,\"id\":\"" ID "-7\",\"op\":\"update\",\"error\":\"payload is not JSON: "
                      "unexpected end at byte 3\",\"headers\":{}}"));
    assert_string_equal(line.event.error, "payload is not JSON: unexpected end at byte 3");
    assert_null(line.event.payload);
    assert_null(line.event.before);
    event_line_free(&line);
    free(text);
}

static void a_cloudevent_gives_what_it_has(void **state)
{
    (void)state;
    struct event_line line = {0};
    char *text = NULL;
    const outbox_event *e = &line.event;
    assert_true(parse(
        &line, &text,
        "{\"specversion\":\"1.0\",\"id\":\"" ID "-42\",\"source\":\"urn:outbox:" ID "\",\"type\":\"my.orders.update\","
        "\"subject\":\"o-1\",\"time\":\"2026-11-21T05:21:00.123456Z\",\"datacontenttype\":\"application/json\","
        "\"data\":{\"id\":1},\"sequence\":\"00000000000000000042\",\"prev\":\"00000000000000000041\","
        "\"partitionkey\":\"orders/o-1\",\"op\":\"update\",\"revision\":\"3\",\"traceparent\":\"00-a-b-01\"}"));
    assert_int_equal(e->seq, 42);
    assert_int_equal(e->prev, 41);
    assert_int_equal(e->revision, 3);
    assert_text(e->topic, e->topic_size, "my.orders");
    assert_text(e->key, e->key_size, "o-1");
    assert_text(e->ordering_key, e->ordering_key_size, "orders/o-1");
    assert_text(e->payload, e->payload_size, "{\"id\":1}");
    assert_text(e->headers, e->headers_size, "{\"traceparent\":\"00-a-b-01\"}");
    assert_null(e->table);
    assert_true(parse(&line, &text,
                      "{\"specversion\":\"1.0\",\"id\":\"" ID "-1\",\"type\":\"some.emit\",\"op\":\"emit\","
                      "\"sequence\":\"00000000000000000001\",\"prev\":\"00000000000000000000\"}"));
    assert_text(e->topic, e->topic_size, "some.emit"); /* an emit's type is its topic, all of it */
    event_line_free(&line);
    free(text);
}

static void what_is_no_event_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "{}",
        "[]",
        "1",
        "{\"seq\":1,\"prev\":0}",
        "{\"prev\":0,\"id\":\"" ID "-1\"}",
        "{\"seq\":1,\"id\":\"" ID "-1\"}",
        "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-2\"}",
        "{\"seq\":1,\"prev\":0,\"id\":\"" ID "1\"}",
        "{\"seq\":1,\"prev\":0,\"id\":\"xf86d081884c7d65-1\"}",
        "{\"seq\":1,\"prev\":0,\"id\":17}",
        "{\"seq\":1,\"prev\":1,\"id\":\"" ID "-1\"}",
        "{\"seq\":1,\"prev\":-1,\"id\":\"" ID "-1\"}",
        "{\"seq\":1.0,\"prev\":0,\"id\":\"" ID "-1\"}",
        "{\"seq\":9223372036854775808,\"prev\":0,\"id\":\"" ID "-9223372036854775808\"}",
        "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\"",
        "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\"}}",
        "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\",\"key\":\"\xff\"}",
        "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\",\"payload_base64\":\"=\"}",
        "{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\",\"payload_base64\":1}",
        "{\"seq\":1,\"pr{\"seq\":1,\"prev\":0,\"id\":\"" ID "-1\"}",
    };
    struct event_line line = {0};
    char *text = NULL;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (parse(&line, &text, lines[i]))
            fail_msg("taken for an event: %s", lines[i]);
    assert_false(event_line_parse(&line, "\0\0\0\0", 4));
    event_line_free(&line);
    free(text);
}

static void only_a_whole_event_is_a_line(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}", true},
        {"{\"seq\":2,\"prev\":0,\"id\":\"9f86d081884c7d65-2\",\"payload\":{\"seq\":9,\"prev\":8}}", true},
        {"{\"id\":\"9f86d081884c7d65-2\",\"sequence\":\"00000000000000000002\",\"prev\":\"00000000000000000000\"}",
         true},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-3\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d6-2\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-\"}", false},
        {"{\"seq\":2,\"prev\":1}", false},
        {"{\"seq\":2,\"id\":\"9f86d081884c7d65-2\"}", false},
        {"{\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}", false},
        {"{\"seq\":99999999999999999999,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}", false},
        {"{\"seq\":-2,\"prev\":1,\"id\":\"9f86d081884c7d65--2\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}}", false},
        {"[2]", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct event_place line;
        if (event_line_place(&line, cases[i].text, strlen(cases[i].text)) != cases[i].good)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_native_line_gives_everything),
        cmocka_unit_test(what_a_line_lacks_is_null),
        cmocka_unit_test(payloads_of_every_kind_come_back),
        cmocka_unit_test(escaped_base64_leaves_the_other_texts_where_they_are),
        cmocka_unit_test(an_error_stands_in_place_of_payload_and_before),
        cmocka_unit_test(a_cloudevent_gives_what_it_has),
        cmocka_unit_test(what_is_no_event_is_refused),
        cmocka_unit_test(only_a_whole_event_is_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
