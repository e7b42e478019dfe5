/* encode_test.c — an event in its two forms, byte for byte, and what bad rows become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encode.h"
#include "json_scan.h"

#define SOURCE "9f86d081884c7d65"
#define TIME   "2026-11-21T05:21:00.123456Z"

static struct buffer out;

static int empty_buffer(void **state)
{
    (void)state;
    buffer_clear(&out);
    return 0;
}

static int free_buffer(void **state)
{
    (void)state;
    buffer_free(&out);
    return 0;
}

static struct source_row with_sizes(struct source_row row)
{
    outbox_event *e = &row.event;

    e->topic_size = e->topic ? strlen(e->topic) : 0;
    e->table_size = e->table ? strlen(e->table) : 0;
    e->key_size = e->key ? strlen(e->key) : 0;
    e->ordering_key_size = e->ordering_key ? strlen(e->ordering_key) : 0;
    e->before_size = e->before ? strlen(e->before) : 0;
    e->headers_size = e->headers ? strlen(e->headers) : 0;
    if (!e->payload_is_blob)
        e->payload_size = e->payload ? strlen(e->payload) : 0;
    return row;
}

static struct source_row an_update(void)
{
    return with_sizes((struct source_row){
        .event = {.seq = 42,
                  .prev = 41,
                  .revision = 3,
                  .time_us = 1795238460123456,
                  .op = "update",
                  .topic = "orders",
                  .table = "orders",
                  .key = "o-1",
                  .ordering_key = "cust-9",
                  .payload = "{\"id\":\"o-1\",\"total\":42.5,\"revision\":3}",
                  .before = "{\"id\":\"o-1\",\"total\":40.0,\"revision\":2}",
                  .headers = "{\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}"}});
}

static struct source_row an_emit(const char *key, const char *payload)
{
    return with_sizes((struct source_row){
        .event = {
            .seq = 7, .time_us = 1795238460123456, .op = "emit", .topic = "mail", .key = key, .payload = payload}});
}

static const struct encode_options JSONL = {.source = SOURCE, .with_prev = true, .prev = 41};
static const struct encode_options WEBHOOK = {.source = SOURCE, .without_before = true};

typedef void encoder(struct buffer *, const struct source_row *, const struct encode_options *, const char **);

/* Appends to what is there, is one JSON value on one line. */
static void assert_encoded(encoder *encode, struct source_row row, const struct encode_options *options,
                           const char *expected, const char *expected_error)
{
    const char *error = "untouched";

    buffer_clear(&out);
    buffer_append_text(&out, "before\n");
    encode(&out, &row, options, &error);
    const char *text = buffer_text(&out);
    assert_memory_equal(text, "before\n", 7);
    assert_string_equal(text + 7, expected);
    if (expected_error)
        assert_string_equal(error, expected_error);
    else
        assert_null(error);
    assert_true(json_check_event(out.data + 7, out.size - 7, NULL));
    assert_null(memchr(out.data + 7, '\n', out.size - 7));
}

/* ---- native ------------------------------------------------------------------------------------------------------- */

static void native_has_its_keys_in_the_documented_order(void **state)
{
    (void)state;
    assert_encoded(encode_native, an_update(), &JSONL,
                   "{\"seq\":42,\"prev\":41,\"id\":\"" SOURCE
                   "-42\",\"topic\":\"orders\",\"table\":\"orders\",\"key\":\"o-1\","
                   "\"ordering_key\":\"cust-9\",\"op\":\"update\",\"revision\":3,\"time\":\"" TIME "\","
                   "\"payload\":{\"id\":\"o-1\",\"total\":42.5,\"revision\":3},"
                   "\"before\":{\"id\":\"o-1\",\"total\":40.0,\"revision\":2},"
                   "\"headers\":{\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}}",
                   NULL);
}

static void what_is_null_is_absent(void **state)
{
    (void)state;
    assert_encoded(encode_native, an_emit(NULL, NULL), &WEBHOOK,
                   "{\"seq\":7,\"id\":\"" SOURCE "-7\",\"topic\":\"mail\",\"op\":\"emit\",\"time\":\"" TIME "\"}",
                   NULL);
}

static void a_webhook_gets_neither_before_nor_prev(void **state)
{
    (void)state;
    struct source_row row = an_update();
    row.event.headers = NULL;
    assert_encoded(encode_native, row, &WEBHOOK,
                   "{\"seq\":42,\"id\":\"" SOURCE "-42\",\"topic\":\"orders\",\"table\":\"orders\",\"key\":\"o-1\","
                   "\"ordering_key\":\"cust-9\",\"op\":\"update\",\"revision\":3,\"time\":\"" TIME "\","
                   "\"payload\":{\"id\":\"o-1\",\"total\":42.5,\"revision\":3}}",
                   NULL);
}

/* Plain SQL can store any, and so can a library of another make. */
static void any_seq_is_written_as_it_is(void **state)
{
    static const struct {
        int64_t seq;
        const char *digits;
    } cases[] = {{0, "0"},
                 {-1, "-1"},
                 {-42, "-42"},
                 {INT64_MIN, "-9223372036854775808"},
                 {10, "10"},
                 {1000000000000000000, "1000000000000000000"},
                 {INT64_MAX, "9223372036854775807"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source_row row = an_emit(NULL, NULL);
        char expected[200];
        row.event.seq = cases[i].seq;
        snprintf(expected, sizeof expected,
                 "{\"seq\":%s,\"id\":\"" SOURCE "-%s\",\"topic\":\"mail\",\"op\":\"emit\",\"time\":\"" TIME "\"}",
                 cases[i].digits, cases[i].digits);
        assert_encoded(encode_native, row, &WEBHOOK, expected, NULL);
    }
}

static void a_blob_travels_as_base64(void **state)
{
    (void)state;
    struct source_row row = an_emit("k", NULL);
    row.event.payload = "\0\xFF\xFE";
    row.event.payload_size = 3;
    row.event.payload_is_blob = 1;
    assert_encoded(encode_native, row, &WEBHOOK,
                   "{\"seq\":7,\"id\":\"" SOURCE
                   "-7\",\"topic\":\"mail\",\"key\":\"k\",\"op\":\"emit\",\"time\":\"" TIME
                   "\",\"payload_base64\":\"AP/+\"}",
                   NULL);
    assert_encoded(
        encode_cloudevent, row, &WEBHOOK,
        "{\"specversion\":\"1.0\",\"id\":\"" SOURCE "-7\",\"source\":\"urn:outbox:" SOURCE
        "\",\"type\":\"mail\",\"subject\":\"k\",\"time\":\"" TIME
        "\",\"data_base64\":\"AP/+\",\"sequence\":\"00000000000000000007\",\"partitionkey\":\"mail/k\",\"op\":\"emit\"}",
        NULL);
}

static void a_line_break_in_a_payload_does_not_break_the_line(void **state)
{
    (void)state;
    assert_encoded(encode_native, an_emit(NULL, "{\n\"a\":\r\n1}"), &WEBHOOK,
                   "{\"seq\":7,\"id\":\"" SOURCE "-7\",\"topic\":\"mail\",\"op\":\"emit\",\"time\":\"" TIME
                   "\",\"payload\":{ \"a\":  1}}",
                   NULL);
}

static void text_is_repaired_wherever_it_stands(void **state)
{
    (void)state;
    struct source_row row = an_emit("a\xFF\"\n", NULL);
    row.event.topic = "t\xC2\x85";
    row.event.topic_size = 3;
    assert_encoded(encode_native, row, &WEBHOOK,
                   "{\"seq\":7,\"id\":\"" SOURCE
                   "-7\",\"topic\":\"t\\u0085\",\"key\":\"a\xEF\xBF\xBD\\\"\\n\",\"op\":\"emit\",\"time\":\"" TIME
                   "\"}",
                   NULL);
}

/* ---- What cannot be delivered ------------------------------------------------------------------------------------- */

#define HEAD                                                                                                           \
    "{\"seq\":42,\"prev\":41,\"id\":\"" SOURCE "-42\",\"topic\":\"orders\",\"table\":\"orders\",\"key\":\"o-1\","      \
    "\"ordering_key\":\"cust-9\",\"op\":\"update\",\"revision\":3,\"time\":\"" TIME "\","
#define HEADERS ",\"headers\":{\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}}"

static void bad_json_gives_an_error_in_place_of_payload_and_before(void **state)
{
    (void)state;
    struct source_row row = an_update();
    row.event.payload = "{\"a\":\"\xFF\"}";
    assert_encoded(encode_native, with_sizes(row), &JSONL,
                   HEAD "\"error\":\"payload is not JSON: malformed UTF-8 at byte 6\"" HEADERS, "malformed UTF-8");

    row = an_update();
    row.event.before = "{";
    assert_encoded(encode_native, with_sizes(row), &JSONL,
                   HEAD "\"error\":\"before is not JSON: unexpected end at byte 1\"" HEADERS, "unexpected end");

    row = an_update();
    row.event.headers = "x";
    assert_encoded(encode_native, with_sizes(row), &JSONL,
                   HEAD "\"error\":\"headers is not JSON: unexpected character at byte 0\"}", "unexpected character");
}

static void a_bad_before_that_is_left_out_harms_nobody(void **state)
{
    (void)state;
    struct source_row row = an_emit(NULL, "1");
    row.event.before = "{";
    assert_encoded(encode_native, with_sizes(row), &WEBHOOK,
                   "{\"seq\":7,\"id\":\"" SOURCE "-7\",\"topic\":\"mail\",\"op\":\"emit\",\"time\":\"" TIME
                   "\",\"payload\":1}",
                   NULL);
}

static void a_row_whose_filter_failed_says_so(void **state)
{
    (void)state;
    struct source_row row = an_update();
    row.error = "filter: malformed \"JSON\"";
    assert_encoded(encode_native, row, &JSONL, HEAD "\"error\":\"filter: malformed \\\"JSON\\\"\"" HEADERS,
                   "filter: malformed \"JSON\"");
}

static void the_deepest_payload_gives_a_line_that_can_be_checked(void **state)
{
    (void)state;
    char payload[2 * JSON_DEPTH_MAX + 1] = "";
    const char *error;

    memset(payload, '[', JSON_DEPTH_MAX);
    memset(payload + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    struct source_row row = an_emit(NULL, payload);
    encode_native(&out, &row, &WEBHOOK, &error);
    assert_null(error);
    assert_true(json_check_event(out.data, out.size, NULL));
}

/* ---- CloudEvents -------------------------------------------------------------------------------------------------- */

static void a_change_is_a_cloudevent(void **state)
{
    (void)state;
    assert_encoded(
        encode_cloudevent, an_update(), &JSONL,
        "{\"specversion\":\"1.0\",\"id\":\"" SOURCE "-42\",\"source\":\"urn:outbox:" SOURCE
        "\",\"type\":\"orders.update\",\"subject\":\"o-1\",\"time\":\"" TIME
        "\",\"datacontenttype\":\"application/json\",\"data\":{\"id\":\"o-1\",\"total\":42.5,\"revision\":3},"
        "\"sequence\":\"00000000000000000042\",\"prev\":\"00000000000000000041\",\"partitionkey\":\"cust-9\","
        "\"op\":\"update\",\"revision\":\"3\","
        "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}",
        NULL);
}

static void a_delete_has_no_data_and_no_content_type(void **state)
{
    (void)state;
    struct source_row row = an_update();
    row.event.op = "delete";
    row.event.payload = row.event.ordering_key = row.event.headers = NULL;
    row.event.seq = INT64_MAX;
    assert_encoded(
        encode_cloudevent, row, &WEBHOOK,
        "{\"specversion\":\"1.0\",\"id\":\"" SOURCE "-9223372036854775807\",\"source\":\"urn:outbox:" SOURCE
        "\",\"type\":\"orders.delete\",\"subject\":\"o-1\",\"time\":\"" TIME
        "\",\"sequence\":\"09223372036854775807\",\"partitionkey\":\"orders/o-1\",\"op\":\"delete\",\"revision\":\"3\"}",
        NULL);
}

static void empty_attributes_are_absent(void **state)
{
    (void)state;
    struct source_row row = an_emit("", "null");
    row.event.ordering_key = "";
    row.event.headers = "{\"traceparent\":\"\",\"x\":\"y\"}";
    assert_encoded(
        encode_cloudevent, with_sizes(row), &WEBHOOK,
        "{\"specversion\":\"1.0\",\"id\":\"" SOURCE "-7\",\"source\":\"urn:outbox:" SOURCE
        "\",\"type\":\"mail\",\"time\":\"" TIME
        "\",\"datacontenttype\":\"application/json\",\"data\":null,\"sequence\":\"00000000000000000007\",\"op\":\"emit\"}",
        NULL);
}

static void a_cloudevent_that_cannot_carry_its_data_says_why(void **state)
{
    (void)state;
    struct source_row row = an_emit("k", "{\"a\":NaN}");
    row.event.headers = "[";
    assert_encoded(
        encode_cloudevent, with_sizes(row), &WEBHOOK,
        "{\"specversion\":\"1.0\",\"id\":\"" SOURCE "-7\",\"source\":\"urn:outbox:" SOURCE
        "\",\"type\":\"mail\",\"subject\":\"k\",\"time\":\"" TIME
        "\",\"error\":\"headers is not JSON: unexpected end at byte 1\",\"sequence\":\"00000000000000000007\","
        "\"partitionkey\":\"mail/k\",\"op\":\"emit\"}",
        "unexpected end");
    row.event.headers = NULL;
    assert_encoded(
        encode_cloudevent, with_sizes(row), &WEBHOOK,
        "{\"specversion\":\"1.0\",\"id\":\"" SOURCE "-7\",\"source\":\"urn:outbox:" SOURCE
        "\",\"type\":\"mail\",\"subject\":\"k\",\"time\":\"" TIME
        "\",\"error\":\"payload is not JSON: unexpected character at byte 5\",\"sequence\":\"00000000000000000007\","
        "\"partitionkey\":\"mail/k\",\"op\":\"emit\"}",
        "unexpected character");
}

static void a_partition_key_names_what_order_is_kept_by(void **state)
{
    (void)state;
    static const struct {
        const char *topic, *table, *key, *ordering_key, *expected; /* NULL: unordered */
    } cases[] = {
        {"orders", "orders", "o-1", NULL, "orders/o-1"},
        {"shop", "orders", "o-1", NULL, "orders/o-1"},
        {"mail", NULL, "k", NULL, "mail/k"},
        {"mail", NULL, "", NULL, "mail/"},
        {"mail", NULL, NULL, NULL, NULL},
        {"mail", NULL, NULL, "c-9", "c-9"},
        {"orders", "orders", "o-1", "c-9", "c-9"},
        {"mail", NULL, "a\"\n\xFF", NULL, "mail/a\"\n\xFF"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source_row row = with_sizes((struct source_row){.event = {.topic = cases[i].topic,
                                                                         .table = cases[i].table,
                                                                         .key = cases[i].key,
                                                                         .ordering_key = cases[i].ordering_key}});
        buffer_clear(&out);
        assert_int_equal(encode_partition_key(&out, &row.event), cases[i].expected != NULL);
        assert_string_equal(buffer_text(&out), cases[i].expected ? cases[i].expected : "");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_buffer)
    const struct CMUnitTest tests[] = {
        TEST(native_has_its_keys_in_the_documented_order),
        TEST(what_is_null_is_absent),
        TEST(a_webhook_gets_neither_before_nor_prev),
        TEST(any_seq_is_written_as_it_is),
        TEST(a_blob_travels_as_base64),
        TEST(a_line_break_in_a_payload_does_not_break_the_line),
        TEST(text_is_repaired_wherever_it_stands),
        TEST(bad_json_gives_an_error_in_place_of_payload_and_before),
        TEST(a_bad_before_that_is_left_out_harms_nobody),
        TEST(a_row_whose_filter_failed_says_so),
        TEST(the_deepest_payload_gives_a_line_that_can_be_checked),
        TEST(a_change_is_a_cloudevent),
        TEST(a_delete_has_no_data_and_no_content_type),
        TEST(empty_attributes_are_absent),
        TEST(a_cloudevent_that_cannot_carry_its_data_says_why),
        TEST(a_partition_key_names_what_order_is_kept_by),
    };
    return cmocka_run_group_tests(tests, NULL, free_buffer);
}
