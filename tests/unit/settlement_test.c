/* settlement_test.c — settlements between two commits: the newest cursor wins, no change is lost or turned round. */
#include <stdbool.h>

#include "relay_fixture.h"
#include "settlement.h"

/* Adds a settlement with one change to seq, or with none where seq is 0. */
static void add(struct settlement_batch *b, int64_t acked_seq, const char *position, int64_t seq, bool disable)
{
    struct failed_change *change = seq ? calloc(1, sizeof *change) : NULL;
    if (change)
        *change = (struct failed_change){.seq = seq, .state = FAILED_RETRY, .key = strdup("k")};
    const struct settlement s = {
        .acked_seq = acked_seq, .position = position, .changes = change, .change_count = seq != 0, .disable = disable};
    assert_true(settlement_add(b, &s));
}

/* "ACKED POSITION SEQ,SEQ," */
static const char *shown(const struct settlement_batch *b)
{
    static char text[256];
    int n = snprintf(text, sizeof text, "%lld %s ", (long long)b->acked_seq, b->position ? b->position : "-");
    for (int i = 0; i < b->change_count; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%lld,", (long long)b->changes[i].seq);
    return text;
}

static void the_newest_cursor_wins(void **state)
{
    (void)state;
    struct settlement_batch b = {0};
    add(&b, 1, "one", 0, false);
    add(&b, 2, "two", 0, true);
    assert_string_equal(shown(&b), "2 two ");
    add(&b, 3, NULL, 0, false);
    assert_string_equal(shown(&b), "3 - ");
    assert_true(b.disable); /* said once is said */
    settlement_clear(&b);
    assert_false(b.any);
}

static void changes_are_kept_in_order(void **state)
{
    (void)state;
    struct settlement_batch b = {0};
    for (int64_t seq = 1; seq <= 40; seq++) /* past the first reserve */
        add(&b, seq, NULL, seq, false);
    assert_int_equal(b.change_count, 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(b.changes[i].seq, i + 1);
    settlement_clear(&b);
}

static void what_could_not_be_written_goes_back_in_front(void **state)
{
    (void)state;
    struct settlement_batch older = {0}, b = {0};
    add(&older, 2, "two", 1, true);
    add(&older, 2, "two", 2, false);
    add(&b, 4, "four", 3, false); /* posted while the transaction failed */
    assert_true(settlement_put_back(&b, &older));
    assert_string_equal(shown(&b), "4 four 1,2,3,");
    assert_true(b.disable);
    assert_false(older.any);
    settlement_clear(&b);
}

static void with_nothing_new_it_is_as_before(void **state)
{
    (void)state;
    struct settlement_batch older = {0}, b = {0};
    add(&older, 2, "two", 1, false);
    assert_true(settlement_put_back(&b, &older));
    assert_string_equal(shown(&b), "2 two 1,");
    assert_true(b.any);
    settlement_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_cursor_wins),
        cmocka_unit_test(changes_are_kept_in_order),
        cmocka_unit_test(what_could_not_be_written_goes_back_in_front),
        cmocka_unit_test(with_nothing_new_it_is_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
