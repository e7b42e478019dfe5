/* json_plain_test.c — which byte ends a plain run, at each place of each short text, and what is copied of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json_plain.h"

enum { TEXT_MAX = 41, OVERRUN = 8 };

static bool is_plain(unsigned byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* A text of its own memory, so that a read past it is found by the sanitizers. */
static void check(const unsigned char *bytes, size_t size, size_t expected)
{
    unsigned char *text = malloc(size ? size : 1);
    char copy[TEXT_MAX + OVERRUN];
    memcpy(text, bytes, size);
    assert_int_equal(json_plain_run(text, text + size), expected);
    assert_int_equal(json_plain_copy(copy, text, text + size), expected);
    assert_memory_equal(copy, text, expected);
    free(text);
}

static void the_first_byte_that_is_not_plain_ends_it(void **state)
{
    (void)state;
    unsigned char text[TEXT_MAX];
    for (size_t size = 0; size <= TEXT_MAX; size++)
        for (size_t at = 0; at < size; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(text, 'x', sizeof text);
                text[at] = (unsigned char)byte;
                check(text, size, is_plain(byte) ? size : at);
            }
}

static void nothing_behind_the_first_counts(void **state)
{
    (void)state;
    static const unsigned char OTHERS[] = {0x00, 0x1f, '"', '\\', 0x80, 0xff, '!', '#', '[', ']', 0x7f};
    unsigned char text[TEXT_MAX];
    for (size_t at = 0; at + 1 < TEXT_MAX; at++)
        for (size_t i = 0; i < sizeof OTHERS; i++) {
            memset(text, 'x', sizeof text);
            text[at] = '"';
            text[at + 1] = OTHERS[i];
            check(text, sizeof text, at);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_byte_that_is_not_plain_ends_it),
        cmocka_unit_test(nothing_behind_the_first_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
