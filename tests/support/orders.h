/* orders.h — two domain tables, orders and items, and that nothing has come of a call. */
#ifndef TESTS_ORDERS_H
#define TESTS_ORDERS_H

#include "fixture.h"

static inline int orders_setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state,
                    "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, note TEXT NOT NULL DEFAULT '-',"
                    " revision INTEGER NOT NULL DEFAULT 1);"
                    "CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, revision INTEGER NOT NULL DEFAULT 1)");
    return rc;
}

static inline void assert_nothing_written(struct fixture *f)
{
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM change_log"), 0);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM outbox"), 0);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM orders"), 0);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM items"), 0);
}

#endif
