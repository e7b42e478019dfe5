/* ctl_history_test.c — how far back change_log goes without a hole, as seek and replay need it. */
#include <stdbool.h>

#include "fixture.h"

#include "ctl/history.c"
#include "ctl/query.c"

/* What is in change_log, and where the way back from `upto` ends. Asked from each seq in `from`. */
static const struct history_case {
    const char *label, *seqs, *former;
    int64_t from, upto, first;
} cases[] = {
    {"all of it", "[1,2,3,4,5]", NULL, 1, 5, 1},
    {"a part of it", "[1,2,3,4,5]", NULL, 3, 5, 3},
    {"behind the end", "[1,2,3,4,5]", NULL, 6, 5, 6},
    {"the oldest are gone", "[3,4,5]", NULL, 1, 5, 3},
    {"a hole in the middle", "[1,2,4,5]", NULL, 1, 5, 4},
    {"the last of two holes counts", "[1,3,5,6]", NULL, 1, 6, 5},
    {"a hole before the range does not", "[1,3,4,5]", NULL, 3, 5, 3},
    {"nor does one behind it", "[1,2,3,5]", NULL, 1, 3, 1},
    {"the end is gone", "[1,2,3]", NULL, 1, 5, 6},
    {"nothing is there", "[]", NULL, 1, 5, 6},
    {"nothing was ever", "[]", NULL, 1, 0, 1},
    {"it begins in a hole", "[1,2,5,6]", NULL, 3, 6, 5},
    {"skipped on record", "[1,2,10,11]", "[{\"source\":\"a\",\"last_seq\":2,\"next_seq\":10}]", 1, 11, 1},
    {"from within what was skipped", "[1,2,10,11]", "[{\"source\":\"a\",\"last_seq\":2,\"next_seq\":10}]", 5, 11, 5},
    {"to within it", "[1,2]", "[{\"source\":\"a\",\"last_seq\":2,\"next_seq\":10}]", 1, 9, 1},
    {"skipped, and one more is gone", "[1,10,11]", "[{\"source\":\"a\",\"last_seq\":2,\"next_seq\":10}]", 1, 11, 10},
};

static void the_way_back_ends_at_the_last_hole(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = outbox_db(f->ob);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct history_case *c = &cases[i];
        int64_t first = -1;
        fixture_sql(f, "DELETE FROM change_log");
        assert_int_equal(
            query_run(db, NULL, "UPDATE outbox_meta SET value = ?1 WHERE name = 'former_sources'", "t", c->former),
            SQLITE_OK);
        assert_int_equal(
            query_run(db, NULL, "INSERT INTO change_log(seq) SELECT value FROM json_each(?1)", "t", c->seqs),
            SQLITE_OK);
        assert_int_equal(history_unbroken(db, c->from, c->upto, &first), SQLITE_OK);
        if (first != c->first)
            fail_msg("%s: %lld, not %lld", c->label, (long long)first, (long long)c->first);
    }
}

static void a_query_reports_what_went_wrong(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = outbox_db(f->ob);
    const char *none = NULL;
    int64_t value = 7;
    assert_int_equal(query_int(db, &value, "SELECT nothing", ""), SQLITE_ERROR);
    assert_int_equal(query_run(db, &value, "INSERT INTO outbox_meta(name) VALUES (?1)", "t", "source"),
                     SQLITE_CONSTRAINT_PRIMARYKEY);
    assert_int_equal(value, 7);
    assert_int_equal(query_int(db, &value, "SELECT ?1 WHERE ?2 IS NULL", "it", INT64_MIN, none), SQLITE_OK);
    assert_true(value == INT64_MIN);
    assert_int_equal(query_int(db, &value, "SELECT 1 WHERE 0", ""), SQLITE_OK);
    assert_int_equal(value, 0);
    assert_int_equal(
        query_run(db, &value, "UPDATE outbox_meta SET value = value WHERE name IN (?1, ?2)", "tt", "history", "retain"),
        SQLITE_OK);
    assert_int_equal(value, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_way_back_ends_at_the_last_hole, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_query_reports_what_went_wrong, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
