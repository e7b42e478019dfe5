/* utf8_test.c — what is UTF-8, at the edges of its table, and how long what is not is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "utf8.h"

static const unsigned char *bytes(const char *text)
{
    return (const unsigned char *)text;
}

static void every_code_point_but_the_surrogates_is_well_formed(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 0x110000; code++) {
        unsigned char p[4] = {0};
        int n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        static const unsigned char LEAD[] = {0, 0, 0xC0, 0xE0, 0xF0};
        unsigned rest = code;
        for (int i = n - 1; i > 0; i--, rest >>= 6)
            p[i] = (unsigned char)(0x80 | (rest & 0x3F));
        p[0] = (unsigned char)(LEAD[n] | rest);

        bool good = (code < 0xD800 || code > 0xDFFF) && code <= 0x10FFFF;
        assert_int_equal(utf8_sequence(p, p + n), good ? n : 0);
        if (n > 1)
            assert_int_equal(utf8_sequence(p, p + n - 1), 0);
    }
}

static void overlong_forms_are_malformed(void **state)
{
    (void)state;
    static const char *const FORMS[] = {"\xC0\x80",     "\xC1\xBF",         "\xE0\x80\x80",
                                        "\xE0\x9F\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF"};

    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
        assert_int_equal(utf8_sequence(bytes(FORMS[i]), bytes(FORMS[i]) + strlen(FORMS[i])), 0);
}

/* The examples of the Unicode Standard, section 3.9, and their like. */
static void the_bad_part_is_the_longest_beginning(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int length;
    } cases[] = {
        {"\x80", 1},         {"\xBF\x80", 1},         {"\xC0\xAF", 1},
        {"\xC2", 1},         {"\xC2\x41", 1},         {"\xE0\x80\xAF", 1},
        {"\xE1\x80", 2},     {"\xE1\x80\x41", 2},     {"\xED\xA0\x80", 1},
        {"\xF0\x80\x80", 1}, {"\xF1\x80\x80\x41", 3}, {"\xF1\x80\xE1", 2},
        {"\xF4\x91\x92", 1}, {"\xF5\x80\x80", 1},     {"\xFF", 1},
        {"\xF0\x9F\x98", 3},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const unsigned char *p = bytes(cases[i].text), *end = p + strlen(cases[i].text);
        assert_int_equal(utf8_sequence(p, end), 0);
        assert_int_equal(utf8_bad_part(p, end), cases[i].length);
    }
}

static void the_first_bad_byte_is_found_wherever_it_stands(void **state)
{
    (void)state;
    char text[40];

    for (size_t size = 1; size <= sizeof text; size++)
        for (size_t at = 0; at < size; at++) {
            char *exact = malloc(size); /* so that a checker sees a read past the end */
            memset(exact, 'a', size);
            size_t offset = 99;
            assert_true(utf8_valid(exact, size, &offset));
            assert_int_equal(offset, 99);
            exact[at] = '\xFF';
            assert_false(utf8_valid(exact, size, &offset));
            assert_int_equal(offset, at);
            assert_false(utf8_valid(exact, size, NULL));
            free(exact);
        }
    assert_true(utf8_valid("", 0, NULL));
    assert_true(utf8_valid("a\0b", 3, NULL)); /* a NUL is a character like another here */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_but_the_surrogates_is_well_formed),
        cmocka_unit_test(overlong_forms_are_malformed),
        cmocka_unit_test(the_bad_part_is_the_longest_beginning),
        cmocka_unit_test(the_first_bad_byte_is_found_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
