/* json_walk_test.c — checked JSON taken apart, and what its values mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "json_scan.h"

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

/* ---- The walk ----------------------------------------------------------------------------------------------------- */

static void a_walk_visits_the_members_in_order(void **state)
{
    (void)state;
    static const char TEXT[] =
        " { \"a\" : 1 , \"b\\n\":[1,\"]\",{\"x\":\"}\"}],\"c\":{\"\\\"\":[]} , \"d\":\"t\\\\\",\"e\":-1.5,\"f\":null,\"g\":true ,\"h\":false} ";
    static const struct {
        const char *name, *value;
        enum json_type type;
        bool escaped;
    } expected[] = {
        {"a", "1", JSON_INTEGER, false},
        {"b\\n", "[1,\"]\",{\"x\":\"}\"}]", JSON_ARRAY, false},
        {"c", "{\"\\\"\":[]}", JSON_OBJECT, false},
        {"d", "t\\\\", JSON_STRING, true},
        {"e", "-1.5", JSON_REAL, false},
        {"f", "null", JSON_NULL, false},
        {"g", "true", JSON_TRUE, false},
        {"h", "false", JSON_FALSE, false},
    };
    struct json_walk walk;
    struct json_value name, value;

    assert_true(json_check(TEXT, sizeof TEXT - 1, NULL));
    assert_true(json_walk_begin(&walk, TEXT, sizeof TEXT - 1));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_true(json_walk_member(&walk, &name, &value));
        assert_int_equal(name.type, JSON_STRING);
        assert_int_equal(name.size, strlen(expected[i].name));
        assert_memory_equal(name.text, expected[i].name, name.size);
        assert_int_equal(value.type, expected[i].type);
        assert_int_equal(value.size, strlen(expected[i].value));
        assert_memory_equal(value.text, expected[i].value, value.size);
        assert_int_equal(value.escaped, expected[i].escaped);
    }
    assert_false(json_walk_member(&walk, &name, &value));
    assert_false(json_walk_member(&walk, &name, &value));
}

static void a_walk_visits_the_elements_in_order(void **state)
{
    (void)state;
    struct json_walk walk;
    struct json_value value;

    assert_true(json_walk_begin(&walk, "[ 1 ,\"a\",[2,3],{} ]", 19));
    while (json_walk_element(&walk, &value)) {
        buffer_append(&out, value.text, value.size);
        buffer_append_byte(&out, '|');
    }
    assert_string_equal(buffer_text(&out), "1|a|[2,3]|{}|");
    assert_true(json_walk_begin(&walk, "[]", 2));
    assert_false(json_walk_element(&walk, &value));
    assert_false(json_walk_begin(&walk, "\"text\"", 6));
    assert_false(json_walk_begin(&walk, "", 0));
}

/* ---- What values mean --------------------------------------------------------------------------------------------- */

static struct json_value value_of(const char *text)
{
    struct json_value v;

    assert_true(json_check(text, strlen(text), NULL));
    assert_true(json_value_of(text, strlen(text), &v));
    return v;
}

static void escapes_become_the_text_they_stand_for(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u4E2d\\uD83D\\uDE00!\"", "A\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80!"},
        {"\"\\uDBFF\\uDFFF\"", "\xF4\x8F\xBF\xBF"},
        {"\"\\ud83d\"", "\xEF\xBF\xBD"},
        {"\"\\ude00\\ud83d\"", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\"\\ud83dx\\ud83d\\n\\ud83d\\u0041\"", "\xEF\xBF\xBDx\xEF\xBF\xBD\n\xEF\xBF\xBD"
                                                 "A"},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct json_value v = value_of(CASES[i][0]);
        buffer_clear(&out);
        json_unescape(&out, &v);
        assert_string_equal(buffer_text(&out), CASES[i][1]);
    }
    struct json_value nul = value_of("\"a\\u0000b\"");
    buffer_clear(&out);
    json_unescape(&out, &nul);
    assert_int_equal(out.size, 3);
    assert_memory_equal(out.data, "a\0b", 3);
}

static void integers_stop_at_64_bits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        int64_t value;
    } cases[] = {{"0", true, 0},
                 {"-0", true, 0},
                 {"42", true, 42},
                 {"9223372036854775807", true, INT64_MAX},
                 {"-9223372036854775808", true, INT64_MIN},
                 {"9223372036854775808", false, 0},
                 {"-9223372036854775809", false, 0},
                 {"99999999999999999999999", false, 0},
                 {"1.0", false, 0},
                 {"1e3", false, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_value v = value_of(cases[i].text);
        int64_t value = 77;
        assert_int_equal(json_int64(&v, &value), cases[i].fits);
        assert_int_equal(value, cases[i].fits ? cases[i].value : 77);
    }
}

static void reals_overflow_but_for_our_own_infinity(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        double value;
    } cases[] = {{"1.5", true, 1.5},
                 {"-0.0", true, -0.0},
                 {"1e-400", true, 0},
                 {"1.7976931348623157e308", true, 1.7976931348623157e308},
                 {"9007199254740993", true, 9007199254740992.0},
                 {"9e999", true, INFINITY},
                 {"-9e999", true, -INFINITY},
                 {"1e999", false, 0},
                 {"9E999", false, 0},
                 {"9e9999", false, 0},
                 {"-1e400", false, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_value v = value_of(cases[i].text);
        double value = 77, expected = cases[i].fits ? cases[i].value : 77;
        assert_int_equal(json_double(&v, &value), cases[i].fits);
        assert_memory_equal(&value, &expected, sizeof value);
    }
}

static void a_number_longer_than_any_buffer_is_read(void **state)
{
    (void)state;
    char text[400];
    double value;

    memset(text, '0', sizeof text);
    memcpy(text, "0.", 2);
    text[301] = '1';
    struct json_value v;
    assert_true(json_value_of(text, sizeof text, &v));
    assert_true(json_double(&v, &value));
    assert_true(value == 1e-300);
}

static void a_blob_object_gives_its_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum json_blob result;
        const char *bytes;
    } cases[] = {
        {"{\"$base64\":\"\"}", JSON_BLOB_OK, ""},
        {"{\"$base64\":\"Zg==\"}", JSON_BLOB_OK, "f"},
        {"{\"$base64\":\"Zm8=\"}", JSON_BLOB_OK, "fo"},
        {"{ \"$base64\" : \"Zm9vYmFy\" }", JSON_BLOB_OK, "foobar"},
        {"{\"\\u0024base64\":\"Pz8\\/\"}", JSON_BLOB_OK, "??\x3F"},
        {"{\"$base64\":\"Zg=\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":\"Zg\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":\"Zh==\"}", JSON_BLOB_BAD, ""}, /* a stray bit */
        {"{\"$base64\":\"Zm9=\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":\"Zm9v\\n\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":\"Z m=\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":\"====\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":\"Zg==Zg==\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":\"Zm-_\"}", JSON_BLOB_BAD, ""},
        {"{\"$base64\":5}", JSON_BLOB_BAD, ""},
        {"{}", JSON_BLOB_NOT, ""},
        {"{\"base64\":\"Zg==\"}", JSON_BLOB_NOT, ""},
        {"{\"$base64\":\"Zg==\",\"x\":1}", JSON_BLOB_NOT, ""},
        {"[\"$base64\"]", JSON_BLOB_NOT, ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_value v = value_of(cases[i].json);
        buffer_clear(&out);
        if (json_blob_decode(&v, &out) != cases[i].result)
            fail_msg("%s", cases[i].json);
        assert_string_equal(buffer_text(&out), cases[i].bytes);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_buffer)
    const struct CMUnitTest tests[] = {
        TEST(a_walk_visits_the_members_in_order),      TEST(a_walk_visits_the_elements_in_order),
        TEST(escapes_become_the_text_they_stand_for),  TEST(integers_stop_at_64_bits),
        TEST(reals_overflow_but_for_our_own_infinity), TEST(a_number_longer_than_any_buffer_is_read),
        TEST(a_blob_object_gives_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, free_buffer);
}
