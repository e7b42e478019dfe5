/* interrupt_test.c — an application's progress handler stops a write wherever SQLite asks it: all of it is there, and the
 * call says so, or nothing is.
 */
#include "fixture.h"

static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state, "CREATE TABLE t(id TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)");
    return rc;
}

/* Interrupts once, where SQLite asks for the n-th time from now. */
static int interrupt_one(void *at)
{
    return --*(int *)at == 0;
}

static int put(struct fixture *f, int64_t id)
{
    outbox_value row[] = {outbox_int("id", id)};
    return outbox_upsert(f->ob, "t", row, 1, 0, NULL, NULL);
}

static int put_in_a_transaction(struct fixture *f, int64_t id)
{
    int code = outbox_begin(f->ob);
    if (code != OUTBOX_OK)
        return code;
    code = put(f, id);
    int ended = code == OUTBOX_OK ? outbox_commit(f->ob) : outbox_rollback(f->ob);
    return code == OUTBOX_OK ? ended : code;
}

static void assert_all_or_nothing(struct fixture *f, int (*write)(struct fixture *, int64_t))
{
    sqlite3 *db = outbox_db(f->ob);
    int64_t written = 1;
    int at, step = 0;
    /* The table is known from here on: looking it up takes more steps than all of a write. */
    assert_ok(f, write(f, 0));
    do {
        at = ++step;
        sqlite3_progress_handler(db, 1, interrupt_one, &at);
        int code = write(f, step);
        sqlite3_progress_handler(db, 0, NULL, NULL);
        written += code == OUTBOX_OK;
        if (code != OUTBOX_OK && code != OUTBOX_ABORTED)
            assert_int_equal(code, OUTBOX_INTERRUPTED);
        assert_true(sqlite3_get_autocommit(db));
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM t"), written);
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), written);
    } while (at <= 0);
    assert_true(step > 5);
}

static void an_interrupted_write_is_whole_or_not_there(void **state)
{
    assert_all_or_nothing(*state, put);
}

static void an_interrupted_transaction_is_whole_or_not_there(void **state)
{
    assert_all_or_nothing(*state, put_in_a_transaction);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_interrupted_write_is_whole_or_not_there, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_interrupted_transaction_is_whole_or_not_there, setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
