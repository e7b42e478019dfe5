/* json_write_test.c — whatever goes in, one valid JSON value on one line comes out, and reads back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "json_scan.h"
#include "json_write.h"

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

static void assert_written(const char *expected)
{
    assert_string_equal(buffer_text(&out), expected);
    buffer_clear(&out);
}

static void integers_are_written_to_the_last_digit(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {9, "9"},
                 {-10, "-10"},
                 {100, "100"},
                 {12345, "12345"},
                 {9007199254740993, "9007199254740993"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_write_int(&out, cases[i].value);
        assert_written(cases[i].text);
    }
}

static void reals_have_the_shortest_form_and_stay_reals(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {42.5, "42.5"},
        {-19.99, "-19.99"},
        {0.05, "0.05"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {100, "100.0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {123456789.1234, "123456789.1234"},
        {999999999999999, "999999999999999.0"},
        {1e15, "1e+15"},
        {9007199254740993.0, "9007199254740992.0"},
        {5e-324, "4.94065645841247e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {INFINITY, "9e999"},
        {-INFINITY, "-9e999"},
        {NAN, "null"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_write_real(&out, cases[i].value);
        assert_written(cases[i].text);
    }
}

static double written_and_read(double value)
{
    struct json_value v;
    double back = NAN;

    buffer_clear(&out);
    json_write_real(&out, value);
    assert_true(json_check(out.data, out.size, NULL));
    assert_true(json_value_of(out.data, out.size, &v));
    assert_int_equal(v.type, JSON_REAL);
    assert_true(json_double(&v, &back));
    return back;
}

static void any_real_reads_back_bit_for_bit(void **state)
{
    (void)state;
    uint64_t bits = 88172645463325252u;

    for (int i = 0; i < 20000; i++) {
        double value, back;
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value))
            continue;
        back = written_and_read(value);
        assert_memory_equal(&back, &value, sizeof value);
        value = (double)(int64_t)(bits >> 30) / 1000; /* the kind that people store */
        back = written_and_read(value);
        assert_memory_equal(&back, &value, sizeof value);
    }
}

/* A locale with a decimal comma, made for this test where the machine has the sources of one. */
static void another_locale_changes_nothing(void **state)
{
    (void)state;
    char folder[] = "/tmp/outbox-locale-XXXXXX", command[200];

    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE >/dev/null 2>&1", folder);
    setenv("LOCPATH", folder, 1);
    bool made = system(command) == 0 && setlocale(LC_ALL, "de_DE") != NULL;
    double half = made ? strtod("0,5", NULL) : 0, back = made ? written_and_read(2.0 / 3) : 0;
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    if (!made)
        skip();
    assert_true(half == 0.5);
    assert_true(back == 2.0 / 3);
}

static void text_escapes_what_json_and_lines_cannot_hold(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80", 9, "\"\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\""},
        {"x\xE2\x80\xA8y\xE2\x80\xA9z\xC2\x85.", 12, "\"x\\u2028y\\u2029z\\u0085.\""},
        {"\xE2\x80\xA7\xE2\x80\xAA\xC2\x84", 8, "\"\xE2\x80\xA7\xE2\x80\xAA\xC2\x84\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_write_text(&out, cases[i].text, cases[i].size);
        assert_written(cases[i].json);
    }
}

static void malformed_utf8_becomes_one_u_fffd_per_bad_part(void **state)
{
    (void)state;
#define BAD "\xEF\xBF\xBD"
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"\xFF", "\"" BAD "\""},
        {"a\x80z", "\"a" BAD "z\""},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\""},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\""},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "\"" BAD BAD BAD BAD BAD "A" BAD BAD "B\""},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\"" BAD BAD BAD BAD "A\""},
        {"cut short \xF0\x9F\x98", "\"cut short " BAD "\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_write_text(&out, cases[i].text, strlen(cases[i].text));
        assert_written(cases[i].json);
    }
}

/* Each byte at each place of each length: the eight-at-a-time loop has no place where it looks away, and the exact
 * allocation lets a checker see a read past the end. */
static void every_byte_at_every_place_reads_back(void **state)
{
    (void)state;
    struct buffer back = {0};

    for (size_t size = 1; size <= 26; size++)
        for (size_t at = 0; at < size; at++) {
            char *text = malloc(size);
            for (int byte = 0; byte < 0x80; byte++) {
                struct json_value v;
                memset(text, 'x', size);
                text[at] = (char)byte;
                buffer_clear(&out);
                buffer_clear(&back);
                json_write_text(&out, text, size);
                assert_true(json_check(out.data, out.size, NULL));
                assert_true(json_value_of(out.data, out.size, &v));
                json_unescape(&back, &v);
                assert_int_equal(back.size, size);
                assert_memory_equal(back.data, text, size);
            }
            text[at] = '\xFF';
            buffer_clear(&out);
            json_write_text(&out, text, size);
            assert_int_equal(out.size, size + 4);
            assert_memory_equal(out.data + 1 + at, BAD, 3);
            free(text);
        }
    buffer_free(&back);
}

static void a_text_of_escapes_only_grows_the_buffer(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    char *text = malloc(SIZE);

    memset(text, 1, SIZE);
    json_write_text(&out, text, SIZE);
    assert_int_equal(out.size, 6 * SIZE + 2);
    memset(text, '\xFF', SIZE);
    buffer_clear(&out);
    json_write_text(&out, text, SIZE);
    assert_int_equal(out.size, 3 * SIZE + 2);
    assert_true(json_check(out.data, out.size, NULL));
    free(text);
}

static void a_buffer_about_to_be_full_has_room_for_the_last_escape(void **state)
{
    (void)state;
    for (size_t room = 1; room < 64; room++)
        for (size_t size = 1; size < 20; size++) {
            struct buffer b = {0};
            char text[20];
            memset(text, 'x', sizeof text);
            text[size - 1] = 1;
            buffer_reserve(&b, 1);
            while (b.size + room < b.capacity)
                buffer_append_byte(&b, '-');
            size_t before = b.size;
            json_write_text(&b, text, size);
            assert_int_equal(b.size, before + size + 7);
            assert_memory_equal(b.data + b.size - 7, "\\u0001\"", 7);
            buffer_free(&b);
        }
}

static void blobs_are_padded_base64(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        json_write_base64(&out, CASES[i][0], strlen(CASES[i][0]));
        assert_written(CASES[i][1]);
    }
    json_write_blob(&out, "\x00\xFF\xFE\xFB", 4);
    assert_written("{\"$base64\":\"AP/++w==\"}");
    json_write_blob(&out, NULL, 0);
    assert_written("{\"$base64\":\"\"}");
}

static void a_failed_buffer_stays_failed_until_it_is_cleared(void **state)
{
    (void)state;
    buffer_append_text(&out, "kept");
    assert_null(buffer_reserve(&out, SIZE_MAX));
    assert_false(buffer_ok(&out));
    json_write_int(&out, 5);
    json_write_text(&out, "text", 4);
    json_write_blob(&out, "blob", 4);
    assert_int_equal(out.size, 4);
    assert_null(buffer_text(&out));
    buffer_clear(&out);
    json_write_int(&out, 5);
    assert_written("5");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_buffer)
    const struct CMUnitTest tests[] = {
        TEST(integers_are_written_to_the_last_digit),
        TEST(reals_have_the_shortest_form_and_stay_reals),
        TEST(any_real_reads_back_bit_for_bit),
        TEST(another_locale_changes_nothing),
        TEST(text_escapes_what_json_and_lines_cannot_hold),
        TEST(malformed_utf8_becomes_one_u_fffd_per_bad_part),
        TEST(every_byte_at_every_place_reads_back),
        TEST(a_text_of_escapes_only_grows_the_buffer),
        TEST(a_buffer_about_to_be_full_has_room_for_the_last_escape),
        TEST(blobs_are_padded_base64),
        TEST(a_failed_buffer_stays_failed_until_it_is_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, free_buffer);
}
