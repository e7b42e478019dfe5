/* settings_value_test.c — sizes, durations and counts: what is one, what is none, and that they read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "settings_value.h"

enum { NONE = -1 };

struct value_case {
    const char *text;
    int64_t value;
};

typedef bool read_value(const char *text, int64_t *out);

static void check(read_value *read, const struct value_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = 4711;
        bool good = read(cases[i].text, &value);
        if (good != (cases[i].value != NONE) || value != (good ? cases[i].value : 4711))
            fail_msg("'%s': %d, %lld", cases[i].text, good, (long long)value);
    }
}

static void a_number_is_digits_and_nothing_else(void **state)
{
    (void)state;
    static const struct value_case cases[] = {
        {"0", 0},
        {"1", 1},
        {"007", 7},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", NONE},
        {"", NONE},
        {"-1", NONE},
        {"+1", NONE},
        {" 1", NONE},
        {"1 ", NONE},
        {"1.5", NONE},
        {"0x10", NONE},
        {"1e3", NONE},
        {"ten", NONE},
        {"99999999999999999999999", NONE},
    };
    check(value_number, cases, sizeof cases / sizeof *cases);
}

static void a_size_counts_by_1024(void **state)
{
    (void)state;
    static const struct value_case cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"1K", 1024},
        {"64M", INT64_C(64) << 20},
        {"2G", INT64_C(2) << 30},
        {"1T", INT64_C(1) << 40},
        {"8388607T", INT64_C(8388607) << 40},
        {"8388608T", NONE}, /* 2^63 */
        {"64 M", NONE},
        {"64m", NONE},
        {"64MB", NONE},
        {"M", NONE},
        {"", NONE},
        {"-1M", NONE},
        {"1.5G", NONE},
        {"1s", NONE},
    };
    check(value_size, cases, sizeof cases / sizeof *cases);
}

static void a_duration_has_its_unit(void **state)
{
    (void)state;
    static const struct value_case cases[] = {
        {"0", 0},
        {"0s", 0},
        {"250us", 250},
        {"100ms", 100000},
        {"30s", 30000000},
        {"5m", 300000000},
        {"12h", INT64_C(43200000000)},
        {"7d", INT64_C(604800000000)},
        {"1w", INT64_C(604800000000)},
        {"15250284w", INT64_C(15250284) * 604800000000},
        {"15250285w", NONE},
        {"30", NONE},
        {"00", NONE},
        {"s", NONE},
        {"", NONE},
        {"1h30m", NONE},
        {"-5s", NONE},
        {"30 s", NONE},
        {"30S", NONE},
        {"1y", NONE},
    };
    check(value_duration, cases, sizeof cases / sizeof *cases);
}

static void a_pair_is_two_durations_the_shorter_first(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"1s,1h", true},     {"5s,5s", true}, {"1h,1s", false},
        {"1s", false},       {"1s,", false},  {",1s", false},
        {"1s, 1h", false},   {"", false},     {",", false},
        {"1s,2s,3s", false}, {"1,2", false},  {"1111111111111111111111111111111111111111s,1h", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t least = -1, most = -1;
        if (value_duration_pair(cases[i].text, &least, &most) != cases[i].good || (least == -1) == cases[i].good)
            fail_msg("'%s': %lld, %lld", cases[i].text, (long long)least, (long long)most);
    }
}

static void a_switch_has_six_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int value; /* NONE: not a switch */
    } cases[] = {{"true", 1}, {"yes", 1},  {"on", 1},   {"false", 0},   {"no", 0},     {"off", 0},
                 {"", NONE},  {"1", NONE}, {"0", NONE}, {"TRUE", NONE}, {"yes ", NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool on = cases[i].value == 0;
        bool good = value_switch(cases[i].text, &on);
        if (good != (cases[i].value != NONE) || (good && on != (cases[i].value == 1)))
            fail_msg("'%s': %d, %d", cases[i].text, good, on);
    }
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *size, *duration;
    } cases[] = {
        {0, "0", "0s"},
        {1, "1", "1us"},
        {1000, "1000", "1ms"},
        {1024, "1K", "1024us"},
        {1500000, "1500000", "1500ms"},
        {INT64_C(67108864), "64M", "67108864us"},
        {INT64_C(604800000000), "590625000K", "7d"},
        {INT64_MAX, "9223372036854775807", "9223372036854775807us"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[VALUE_TEXT_SIZE];
        int64_t back = -1;
        value_format_size(cases[i].value, text);
        assert_string_equal(text, cases[i].size);
        assert_true(value_size(text, &back) && back == cases[i].value);
        value_format_duration(cases[i].value, text);
        assert_string_equal(text, cases[i].duration);
        assert_true(value_duration(text, &back) && back == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_digits_and_nothing_else),
        cmocka_unit_test(a_size_counts_by_1024),
        cmocka_unit_test(a_duration_has_its_unit),
        cmocka_unit_test(a_pair_is_two_durations_the_shorter_first),
        cmocka_unit_test(a_switch_has_six_words),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
