/* json_scan_test.c — what is JSON and what is not, and the copy that a line can carry. Taking it apart: json_walk_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* In an allocation of its very size, so that a checker sees a read past the end. */
static bool check_exactly(const char *text, size_t size, struct json_error *error)
{
    char *exact = malloc(size + !size);

    memcpy(exact, text, size);
    bool good = json_check(exact, size, error);
    free(exact);
    return good;
}

/* ---- The check ---------------------------------------------------------------------------------------------------- */

static void json_is_accepted(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "null",
        "true",
        " false\n",
        "0",
        "-0",
        "-0.5e+10",
        "1E400",
        "123456789012345678901234567890",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "[{}]",
        "[[],{}]",
        "{\"\":0}",
        "{\"a\":1,\"a\":2}",
        "{ \"a\" : [ 1 , 2.5 , \"x\" ] , \"b\" : null }",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
        "\"\\ud800\"",
        "\"\x7F\"",
        "\"\xEF\xBB\xBF\"",
        "\"\xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80\"",
        "\r\n\t [1,\r\n2]\r\n",
    };

    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        if (!check_exactly(TEXTS[i], strlen(TEXTS[i]), NULL))
            fail_msg("refused: %s", TEXTS[i]);
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
        const char *reason;
    } cases[] = {
        {"", 0, "unexpected end"},
        {"  ", 2, "unexpected end"},
        {"nul", 0, "unexpected character"},
        {"True", 0, "unexpected character"},
        {"nullx", 4, "more than one value"},
        {"1 2", 2, "more than one value"},
        {"01", 0, "a number begins with 0"},
        {"-01", 1, "a number begins with 0"},
        {"-", 1, "unexpected end"},
        {"-x", 1, "a number lacks a digit"},
        {"1.", 2, "unexpected end"},
        {"[1.]", 3, "a number lacks a digit"},
        {"[1e]", 3, "a number lacks a digit"},
        {"[1e+]", 4, "a number lacks a digit"},
        {".5", 0, "unexpected character"},
        {"+1", 0, "unexpected character"},
        {"NaN", 0, "unexpected character"},
        {"Infinity", 0, "unexpected character"},
        {"[", 1, "unexpected end"},
        {"[1", 2, "unexpected end"},
        {"[1,", 3, "unexpected end"},
        {"[1,]", 3, "unexpected character"},
        {"[,1]", 1, "unexpected character"},
        {"[1}", 2, "',' or ']' expected"},
        {"]", 0, "unexpected character"},
        {"{", 1, "unexpected end"},
        {"{]", 1, "a member's name must be a string"},
        {"{1:2}", 1, "a member's name must be a string"},
        {"{\"a\"}", 4, "':' expected"},
        {"{\"a\":}", 5, "unexpected character"},
        {"{\"a\":1,}", 7, "a member's name must be a string"},
        {"{\"a\":1]", 6, "',' or '}' expected"},
        {"{\"a\":1 \"b\":2}", 7, "',' or '}' expected"},
        {"[1] // comment", 4, "more than one value"},
        {"'a'", 0, "unexpected character"},
        {"\"a", 2, "unexpected end"},
        {"\"a\\", 3, "unexpected end"},
        {"\"\\x\"", 1, "unknown escape"},
        {"\"\\u12g4\"", 1, "\\u without four hex digits"},
        {"\"\\u12\"", 1, "\\u without four hex digits"},
        {"\"a\nb\"", 2, "control character in a string"},
        {"\"a\tb\"", 2, "control character in a string"},
        {"\"0123456789\xFF\"", 11, "malformed UTF-8"},
        {"\"\xED\xA0\x80\"", 1, "malformed UTF-8"},
        {"\"\xC3", 1, "malformed UTF-8"},
        {"\xEF\xBB\xBF{}", 0, "unexpected character"},
        {"[1,\x0B"
         "2]",
         3, "unexpected character"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_error error = {0};
        if (check_exactly(cases[i].text, strlen(cases[i].text), &error))
            fail_msg("accepted: %s", cases[i].text);
        assert_string_equal(error.reason, cases[i].reason);
        assert_int_equal(error.offset, cases[i].offset);
    }
}

static void a_nul_is_never_json(void **state)
{
    (void)state;
    assert_false(json_check("{}\0", 3, NULL));
    assert_false(json_check("\0{}", 3, NULL));
    assert_false(json_check("[\0]", 3, NULL));
    assert_false(json_check("\"a\0b\"", 5, NULL));
    assert_false(json_check("\"a\\\0\"", 5, NULL));
}

static void every_cut_of_a_document_is_refused(void **state)
{
    (void)state;
    static const char TEXT[] =
        "{\"a\":[1,-2.5e3,{\"b\":\"\\u00e9\\n\xC3\xA9 long enough for a word\"}],\"c\":true,\"d\":null}";

    assert_true(json_check(TEXT, sizeof TEXT - 1, NULL));
    for (size_t size = 0; size < sizeof TEXT - 1; size++)
        assert_false(check_exactly(TEXT, size, NULL));
}

static void nesting_ends_at_its_limit(void **state)
{
    (void)state;
    enum { HUGE_DEPTH = 1000000 };
    char *text = malloc(2 * HUGE_DEPTH);
    struct json_error error;

    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_true(json_check(text, 2 * JSON_DEPTH_MAX, NULL));
    memset(text, '[', JSON_DEPTH_MAX + 2);
    memset(text + JSON_DEPTH_MAX + 2, ']', JSON_DEPTH_MAX + 2);
    assert_false(json_check(text, 2 * JSON_DEPTH_MAX + 4, NULL));
    assert_true(json_check_event(text, 2 * JSON_DEPTH_MAX + 4, NULL)); /* a batch around an event around the deepest */
    memset(text, '[', HUGE_DEPTH);
    memset(text + HUGE_DEPTH, ']', HUGE_DEPTH);
    assert_false(json_check(text, 2 * HUGE_DEPTH, &error));
    assert_int_equal(error.offset, JSON_DEPTH_MAX);
    assert_string_equal(error.reason, "nested too deeply");
    assert_false(json_check_event(text, 2 * HUGE_DEPTH, NULL));
    free(text);
}

/* ---- The copy ----------------------------------------------------------------------------------------------------- */

static void the_copy_is_byte_for_byte_but_for_line_breaks(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"{\"n\":9007199254740993,\"r\":1.10,\"e\":1E5,\"s\":\"\\u0041\\/\"}",
         "{\"n\":9007199254740993,\"r\":1.10,\"e\":1E5,\"s\":\"\\u0041\\/\"}"},
        {"{\r\n  \"a\": 1,\n\t\"b\": 2\n}\n", "{    \"a\": 1, \t\"b\": 2 } "},
        {"\n\n[\n]\n\n", "  [ ]  "},
        {"\"a\xE2\x80\xA8"
         "b\xE2\x80\xA9"
         "c\xC2\x85"
         "d\xC2\x86\"",
         "\"a\\u2028b\\u2029c\\u0085d\xC2\x86\""},
        {"{\"\xE2\x80\xA8\":1}", "{\"\\u2028\":1}"},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        buffer_clear(&out);
        buffer_append_text(&out, "before ");
        assert_true(json_splice(&out, CASES[i][0], strlen(CASES[i][0]), NULL));
        assert_memory_equal(out.data, "before ", 7);
        assert_string_equal(buffer_text(&out) + 7, CASES[i][1]);
    }
}

static void a_refused_copy_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct json_error error;

    buffer_append_text(&out, "before");
    assert_false(json_splice(&out, "{\n\"a\":\n}", 8, &error));
    assert_int_equal(error.offset, 7);
    assert_string_equal(buffer_text(&out), "before");
    assert_true(buffer_ok(&out));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_buffer)
    const struct CMUnitTest tests[] = {
        TEST(json_is_accepted),
        TEST(what_is_not_json_is_refused_with_its_place),
        TEST(a_nul_is_never_json),
        TEST(every_cut_of_a_document_is_refused),
        TEST(nesting_ends_at_its_limit),
        TEST(the_copy_is_byte_for_byte_but_for_line_breaks),
        TEST(a_refused_copy_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, free_buffer);
}
