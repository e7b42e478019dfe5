/* capture_key_test.c — a REAL in the key of a captured table: its event has the key that the row has. */
#include <math.h>

#include "fixture.h"
#include "json_write.h"

static int setup(void **state)
{
    int rc = fixture_setup(state);
    struct fixture *f = *state;
    if (rc == 0) {
        fixture_sql(f,
                    "CREATE TABLE readings(at REAL PRIMARY KEY, n, revision INTEGER NOT NULL DEFAULT 1);"
                    "CREATE TABLE pairs(dev TEXT, at, n, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(dev, at))");
        assert_ok(f, outbox_capture(f->ob, "readings", NULL));
        assert_ok(f, outbox_capture(f->ob, "pairs", NULL));
    }
    return rc;
}

static double drawn(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

static double whole(double below, uint64_t *seed)
{
    return (double)(int64_t)(below * drawn(seed));
}

static double shifted(double x, int decimals)
{
    for (; decimals > 0; decimals--)
        x *= 10;
    for (; decimals < 0; decimals++)
        x /= 10;
    return x;
}

/* What a sensor, a clock or a sum gives: from 1e-4 to 9e15, with many digits. */
static double reading(int i, uint64_t *seed)
{
    switch (i % 8) {
    case 0: return 1.7e9 + 1e8 * drawn(seed);
    case 1: return shifted(1 + 9 * drawn(seed), (int)whole(19, seed) - 4);
    case 2: return -shifted(drawn(seed), (int)whole(4, seed));
    case 3: return whole(1e6, seed) / 1e6 + whole(1e9, seed);
    case 4: return (9007199254740992.0 + whole(4503599627370496.0, seed) * 2) / (double)(16LL << (int)whole(50, seed));
    case 5: return whole(1e7, seed) / 1e5 * (1 + 2.3e-16);
    case 6: return 0.1 * whole(100, seed) + 0.1 * whole(100, seed) + 0.7;
    default: return shifted(whole(1e9, seed) / 1e9, (int)whole(5, seed));
    }
}

static sqlite3_stmt *insert(struct fixture *f, const char *sql)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(outbox_db(f->ob), sql, -1, &st, NULL), SQLITE_OK);
    return st;
}

static void every_real_has_the_key_that_the_library_gives_it(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 20260101;
    struct buffer text = {0};
    sqlite3_stmt *st = insert(f, "INSERT OR IGNORE INTO readings(at) VALUES (?1)");
    fixture_sql(f, "BEGIN");
    for (int i = 0; i < 4000; i++) {
        double x = reading(i, &seed);
        sqlite3_bind_double(st, 1, x);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE);
        sqlite3_reset(st);
        if (!sqlite3_changes(outbox_db(f->ob)))
            continue;
        buffer_clear(&text);
        json_write_real(&text, x);
        assert_string_equal(fixture_text(f, "SELECT key FROM change_log ORDER BY seq DESC LIMIT 1"),
                            buffer_text(&text));
    }
    fixture_sql(f, "COMMIT");
    sqlite3_finalize(st);
    buffer_free(&text);
}

static const struct one {
    double at;
    const char *key;
} ones[] = {
    {0.1 + 0.2, "0.30000000000000004"},
    {0.3, "0.3"},
    {0.5, "0.5"},
    {-42.5, "-42.5"},
    {7, "7.0"},
    {0.1 + 0.7, "0.7999999999999999"},
    {1.23456789e-4, "0.000123456789"},
    {1700000000.1234567, "1700000000.1234567"},
    {1125899906842624.25, "1125899906842624.2"},
    {1125899906842624.75, "1125899906842624.8"},
    {999999999999999.9, "999999999999999.9"},
    {1e300, "1e+300"},
    {1e-9, "1e-09"},
    {1.5e-9, "1.5e-09"},
    {INFINITY, "9e999"},
};

static void the_key_of_the_event_finds_the_row(void **state)
{
    struct fixture *f = *state;
    sqlite3_stmt *st = insert(f, "INSERT INTO pairs(dev, at) VALUES ('d', ?1)");
    sqlite3_stmt *alone = insert(f, "INSERT INTO readings(at) VALUES (?1)");
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) {
        char key[64];
        const char *row;
        int64_t revision;
        sqlite3_bind_double(st, 1, ones[i].at);
        sqlite3_bind_double(alone, 1, ones[i].at);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE);
        assert_int_equal(sqlite3_step(alone), SQLITE_DONE);
        sqlite3_reset(st);
        sqlite3_reset(alone);
        assert_string_equal(fixture_text(f, "SELECT key FROM change_log ORDER BY seq DESC LIMIT 1"), ones[i].key);
        snprintf(key, sizeof key, "[\"d\",%s]", ones[i].key);
        assert_string_equal(fixture_text(f, "SELECT key FROM change_log ORDER BY seq DESC LIMIT 1, 1"), key);
        assert_ok(f, outbox_get(f->ob, "readings", ones[i].key, &row, &revision));
        assert_ok(f, outbox_get(f->ob, "pairs", key, &row, &revision));
    }
    sqlite3_finalize(st);
    sqlite3_finalize(alone);
}

static void the_library_finds_the_event_of_its_own_write(void **state)
{
    struct fixture *f = *state;
    outbox_value row[] = {outbox_real("at", 0.1 + 0.2)};
    outbox_write_options options = {
        .size = sizeof options, .topic = "shop", .ordering_key = "k", .headers = "{\"a\":\"b\"}"};
    assert_ok(f, outbox_upsert(f->ob, "readings", row, 1, 0, &options, NULL));
    assert_int_equal(outbox_last_seq(f->ob), 1);
    assert_string_equal(fixture_text(f, "SELECT topic || ordering_key || headers FROM change_log"),
                        "shopk{\"a\":\"b\"}");
    assert_ok(f, outbox_delete(f->ob, "readings", "0.30000000000000004", 1, NULL));
    assert_int_equal(outbox_last_seq(f->ob), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(every_real_has_the_key_that_the_library_gives_it),
        T(the_key_of_the_event_finds_the_row),
        T(the_library_finds_the_event_of_its_own_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
