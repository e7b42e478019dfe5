/* ctl_table_test.c — what outboxctl shows on a terminal: aligned whatever the alphabet, and never an escape sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/table.c"
#include "ctl/text.c"

static const struct text_column columns[] = {{"NAME", false}, {"COUNT", true}, {"WORDS", false}};

static int set_up(void **state)
{
    struct text_table *t = malloc(sizeof *t);
    if (!t)
        return -1;
    table_init(t, columns, 3);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    table_fini(*state);
    free(*state);
    return 0;
}

static void add_row(struct text_table *t, const char *name, int64_t count, const char *words)
{
    table_text(t, name);
    table_int(t, count);
    table_text(t, words);
}

static void check_rendered(const struct text_table *t, bool colour, const char *expected)
{
    struct buffer out = {0};
    assert_true(table_render(t, &out, colour));
    assert_string_equal(buffer_text(&out), expected);
    buffer_free(&out);
}

static void check_escaped(const char *text, size_t size, const char *expected)
{
    struct buffer out = {0};
    text_escape(&out, text, size);
    assert_string_equal(buffer_text(&out), expected);
    buffer_free(&out);
}

static void check_appended(void (*append)(struct buffer *, int64_t), int64_t value, const char *expected)
{
    struct buffer out = {0};
    append(&out, value);
    assert_string_equal(buffer_text(&out), expected);
    buffer_free(&out);
}

static void no_rows_are_the_titles_alone(void **state)
{
    check_rendered(*state, false, "NAME  COUNT  WORDS\n");
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    add_row(*state, "webhook", 5, "is up");
    add_row(*state, "b", 1234567, "");
    check_rendered(*state, false,
                   "NAME       COUNT  WORDS\n"
                   "webhook        5  is up\n"
                   "b        1234567  -\n");
}

static void wide_and_combining_characters_keep_the_columns(void **state)
{
    add_row(*state, "日本", 1, "two columns each");
    add_row(*state, "cafe\xcc\x81", 2, "an accent of no width");
    add_row(*state, "Zoë", 3, "two bytes, one column");
    check_rendered(*state, false,
                   "NAME  COUNT  WORDS\n"
                   "日本      1  two columns each\n"
                   "cafe\xcc\x81      2  an accent of no width\n"
                   "Zoë       3  two bytes, one column\n");
}

static void a_cell_cannot_break_its_line_or_reach_the_terminal(void **state)
{
    add_row(*state, "a\nb", 1, "\033[31mred");
    check_rendered(*state, false,
                   "NAME  COUNT  WORDS\n"
                   "a\\nb      1  \\x1b[31mred\n");
}

static void only_titles_are_coloured_and_only_on_request(void **state)
{
    add_row(*state, "a", 1, "b");
    check_rendered(*state, true,
                   "\033[1mNAME  COUNT  WORDS\033[0m\n"
                   "a         1  b\n");
}

static void a_row_begun_is_left_out(void **state)
{
    add_row(*state, "a", 1, "b");
    table_text(*state, "half");
    check_rendered(*state, false,
                   "NAME  COUNT  WORDS\n"
                   "a         1  b\n");
}

static void what_disturbs_a_terminal_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"plain, Zoë, 日本, \xf0\x9f\x98\x80", "plain, Zoë, 日本, \xf0\x9f\x98\x80"},
        {"tab\tcr\rnl\n", "tab\\tcr\\rnl\\n"},
        {"\x01\x1b\x7f", "\\x01\\x1b\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\u009b31m"},                                   /* a C1 control sequence introducer */
        {"\xe2\x80\xa8|\xe2\x80\xa9", "\\u2028|\\u2029"}, /* line and paragraph separators */
        {"\xe2\x80\xae"
         "evil",
         "\\u202eevil"}, /* right to left from here on */
        {"\xef\xbb\xbf"
         "bom",
         "\\ufeffbom"},
        {"cut \xe2\x82", "cut \\xe2\\x82"},
        {"\xff\xc0\x80", "\\xff\\xc0\\x80"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_escaped(cases[i].text, strlen(cases[i].text), cases[i].shown);
    check_escaped("a\0b", 3, "a\\x00b");
}

static void widths_are_columns_and_not_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int width;
    } cases[] = {{"", 0}, {"abc", 3}, {"Zoë", 3}, {"e\xcc\x81", 1}, {"日本", 4}, {"ab日", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(text_width(cases[i].text, strlen(cases[i].text)), cases[i].width);
}

static void durations_show_their_two_largest_units(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *shown;
    } cases[] = {{0, "0s"},      {59, "59s"},     {60, "1m"},         {200, "3m 20s"},
                 {3600, "1h"},   {3660, "1h 1m"}, {86399, "23h 59m"}, {100800, "1d 4h"},
                 {604800, "7d"}, {-5, "0s"},      {86400 + 59, "1d"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_appended(text_append_duration, cases[i].seconds * 1000000 + 999999 * (cases[i].seconds > 0),
                       cases[i].shown);
}

static void sizes_change_their_unit_at_1024(void **state)
{
    (void)state;
    static const struct {
        int64_t bytes;
        const char *shown;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"},
                 {1048575, "1.0 MiB"},
                 {1048576, "1.0 MiB"},
                 {INT64_C(3) << 30, "3.0 GiB"},
                 {INT64_C(5000) << 40, "5000.0 TiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_appended(text_append_bytes, cases[i].bytes, cases[i].shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_rows_are_the_titles_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(columns_are_as_wide_as_their_widest_cell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wide_and_combining_characters_keep_the_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cell_cannot_break_its_line_or_reach_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_titles_are_coloured_and_only_on_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_begun_is_left_out, set_up, tear_down),
        cmocka_unit_test(what_disturbs_a_terminal_is_escaped),
        cmocka_unit_test(widths_are_columns_and_not_bytes),
        cmocka_unit_test(durations_show_their_two_largest_units),
        cmocka_unit_test(sizes_change_their_unit_at_1024),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
