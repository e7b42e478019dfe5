/* lineage_test.c — which holes in seq were left on purpose. */
#include <stdbool.h>

#include "fixture.h"
#include "lineage.h"

#define A "{\"source\":\"aaaaaaaaaaaaaaaa\",\"last_seq\":41,\"next_seq\":100}"
#define B "{\"source\":\"bbbbbbbbbbbbbbbb\",\"last_seq\":99,\"next_seq\":200}"
#define C "{\"source\":\"cccccccccccccccc\",\"last_seq\":250,\"next_seq\":251}"

static const struct hole_case {
    const char *former;
    int64_t last, next;
    bool explained;
} holes[] = {
    {NULL, 41, 100, false},
    {"", 41, 100, false},
    {"[" A "]", 41, 100, true},
    {"[" A "]", 41, 60, true},        /* inside: nothing of it was ever given out */
    {"[" A "]", 40, 100, false},      /* 41 was given out */
    {"[" A "]", 41, 101, false},      /* 100 was given out */
    {"[" A "," B "]", 41, 200, true}, /* two in a row, no event between */
    {"[" A "," B "]", 41, 201, false},
    {"[" A "," B "," C "]", 250, 252, false},
    {"[{\"source\":\"x\",\"last_seq\":\"41\",\"next_seq\":100}]", 41, 100, false},
    {"[1," A "]", 41, 100, true},
    {"[{}," A "]", 41, 100, true},
    {"[{\"source\":7,\"last_seq\":41,\"next_seq\":100}]", 41, 100, false},
    {"[{\"source\":\"x\",\"last_seq\":-1,\"next_seq\":100}]", 41, 100, false},
    {"[{\"source\":\"x\",\"last_seq\":41,\"next_seq\":1e2}]", 41, 100, false},
    {"[{\"source\":\"x\",\"last_seq\":41,\"next_seq\":41}]", 41, 42, true}, /* no hole is needed */
    {"[{\"source\":\"x\",\"last_seq\":99999999999999999999,\"next_seq\":100}]", 41, 100, false},
    {"{", 41, 100, false},
    {A, 41, 100, false}, /* no array */
};

static void only_holes_left_on_purpose_are_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof holes / sizeof *holes; i++)
        if (lineage_explains(holes[i].former, holes[i].last, holes[i].next) != holes[i].explained)
            fail_msg("%s: %lld to %lld", holes[i].former, (long long)holes[i].last, (long long)holes[i].next);
}

static void former_sources_are_known(void **state)
{
    (void)state;
    assert_true(lineage_knows("[" A "," B "]", "bbbbbbbbbbbbbbbb"));
    assert_false(lineage_knows("[" A "]", "bbbbbbbbbbbbbbbb"));
    assert_true(lineage_knows("[1,{},{\"source\":\"bbbbbbbbbbbbbbbb\"}," A "]", "aaaaaaaaaaaaaaaa"));
    assert_false(
        lineage_knows("[{\"source\":\"bbbbbbbbbbbbbbbb\"}]", "bbbbbbbbbbbbbbbb")); /* that it ended is not said */
    assert_false(lineage_knows(NULL, "aaaaaaaaaaaaaaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_holes_left_on_purpose_are_explained),
                                       cmocka_unit_test(former_sources_are_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
