/* mod_memory_test.c — SQLite's n-th allocation fails, for every n: loading and calling end with an error or with success,
 * the connection closes, and nothing of it leaks (under the sanitizers and valgrind).
 */
#include "extension.h"

static sqlite3_mem_methods real;
static long until_failure; /* 0: none fails any more; -1: never */

static void *failing_malloc(int size)
{
    return until_failure > 0 && --until_failure == 0 ? NULL : real.xMalloc(size);
}

static void *failing_realloc(void *memory, int size)
{
    return until_failure > 0 && --until_failure == 0 ? NULL : real.xRealloc(memory, size);
}

static void count_allocations(void)
{
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real), SQLITE_OK);
    sqlite3_mem_methods failing = real;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
}

static const char *const calls[] = {
    "SELECT outbox_init()",
    "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, revision INTEGER NOT NULL DEFAULT 1)",
    "SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":1}')",
    "BEGIN; SELECT outbox_upsert('t', '{\"id\":\"a\",\"n\":2}', 1); COMMIT",
    "SELECT outbox_emit('x', x'00', '{}', '{\"a\":\"b\"}')",
    "SELECT outbox_get('t', 'a')",
    "SELECT * FROM outbox_history('t', 'a')",
    "SELECT outbox_upsert('t', '{\"id\":\"a\"}', 7)",
    "SELECT outbox_delete('t', 'a')",
};

/* Row and event agree whatever failed; an error leaves neither. */
static void assert_whole(struct host *h)
{
    const char *said = host_say(h, "SELECT (SELECT max(seq) FROM change_log) IS (SELECT max(seq) FROM outbox)"
                                   "  AND (SELECT count(*) FROM t) = (SELECT count(*) FILTER (WHERE op = 'insert')"
                                   "       - count(*) FILTER (WHERE op = 'delete') FROM change_log)");
    assert_true(!strcmp(said, "1") || strstr(said, "no such table"));
}

/* True where the failure was met. */
static int run_with_failure(struct host *h, long n)
{
    char *error = NULL;
    until_failure = n;
    if (sqlite3_open(":memory:", &h->db) == SQLITE_OK) {
        sqlite3_enable_load_extension(h->db, 1);
        int rc = sqlite3_load_extension(h->db, h->extension, NULL, &error);
        if (rc != SQLITE_OK) /* what is there of it by halves, the second attempt completes */
            rc = sqlite3_load_extension(h->db, h->extension, NULL, NULL);
        if (rc == SQLITE_OK)
            for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
                host_say(h, calls[i]);
        sqlite3_free(error);
    }
    int met = until_failure == 0;
    until_failure = -1;
    if (h->db && !sqlite3_get_autocommit(h->db))
        host_say(h, "ROLLBACK");
    if (h->db)
        assert_whole(h);
    assert_int_equal(sqlite3_close(h->db), SQLITE_OK);
    return met;
}

static void an_allocation_that_fails_does_no_harm(void **state)
{
    struct host h = {0};
    const char *build = getenv("BUILD");
    snprintf(h.extension, sizeof h.extension, "%s/mod_outbox", build ? build : "build");
    (void)state;
    long n = 1, step = 1;
    while (run_with_failure(&h, n)) {
        n += step;
        if (n % 200 == 0)
            step++; /* the first ones, of loading, each */
    }
    assert_true(n > 500);
    assert_int_equal(sqlite3_memory_used(), 0);
}

int main(void)
{
    count_allocations();
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_allocation_that_fails_does_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
