/* ctl_suggest_test.c — a slip of the keyboard is understood, and nothing is suggested for anything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/suggest.c"

static const char *const names[] = {"init", "status", "set", "upsert", "get", "delete", "events", "consumers"};

static void check(const char *word, const char *expected)
{
    const char *near = suggest_name(word, names, sizeof names / sizeof *names);
    if (!expected)
        assert_null(near);
    else
        assert_string_equal(near, expected);
}

static void one_or_two_slips_find_the_name(void **state)
{
    (void)state;
    check("staus", "status");      /* a letter missing */
    check("sttauz", "status");     /* two swapped, and another */
    check("upserts", "upsert");    /* one too many */
    check("iniy", "init");         /* another */
    check("consmer", "consumers"); /* two missing */
}

static void a_beginning_finds_the_name(void **state)
{
    (void)state;
    check("del", "delete");
    check("cons", "consumers");
}

static void a_word_of_its_own_finds_nothing(void **state)
{
    (void)state;
    check("frobnicate", NULL);
    check("put", NULL); /* two letters of get: too few are left */
    check("", NULL);
    check("a-word-that-is-longer-than-any-name-could-ever-be", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_or_two_slips_find_the_name),
        cmocka_unit_test(a_beginning_finds_the_name),
        cmocka_unit_test(a_word_of_its_own_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
