/* upsert_row_test.c — what a row may be: keys and values of every kind come back as they were, and what is none is refused
 * in words, with nothing written.
 */
#include <stdbool.h>

#include "orders.h"

static const struct key_case {
    const char *label, *create, *row, *key, *image;
} key_cases[] = {
    {"text", "id TEXT PRIMARY KEY", "\"id\":\"é\"", "é", "\"id\":\"é\""},
    {"integer that is no alias", "id INT PRIMARY KEY", "\"id\":7", "7", "\"id\":7"},
    {"alias", "id INTEGER PRIMARY KEY", "\"id\":-9223372036854775808", "-9223372036854775808",
     "\"id\":-9223372036854775808"},
    {"blob", "id BLOB PRIMARY KEY", "\"id\":{\"$base64\":\"AP8=\"}", "{\"$base64\":\"AP8=\"}",
     "\"id\":{\"$base64\":\"AP8=\"}"},
    {"real", "id REAL PRIMARY KEY", "\"id\":1.5", "1.5", "\"id\":1.5"},
    {"text given as integer", "id TEXT PRIMARY KEY", "\"id\":7", "7", "\"id\":\"7\""},
    {"integer given as text", "id INTEGER PRIMARY KEY", "\"id\":\"7\"", "7", "\"id\":7"},
    {"untyped text that looks like a number", "id PRIMARY KEY", "\"id\":\"7\"", "7", "\"id\":\"7\""},
    {"untyped integer", "id PRIMARY KEY", "\"id\":7", "7", "\"id\":7"},
    {"uuid type", "id UUID PRIMARY KEY", "\"id\":\"a-1\"", "a-1", "\"id\":\"a-1\""},
    {"composite", "a TEXT, b INT, PRIMARY KEY(b, a)", "\"a\":\"x\",\"b\":1", "[1,\"x\"]", "\"a\":\"x\",\"b\":1"},
    {"composite without rowid", "a TEXT, b BLOB, PRIMARY KEY(a, b)", "\"a\":\"\",\"b\":{\"$base64\":\"\"}",
     "[\"\",{\"$base64\":\"\"}]", "\"a\":\"\",\"b\":{\"$base64\":\"\"}"},
    {"odd names", "\"group \"\"by\"\" é\" TEXT PRIMARY KEY", "\"group \\\"by\\\" é\":\"k\"", "k",
     "\"group \\\"by\\\" é\":\"k\""},
};

static void keys_of_every_kind(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof key_cases / sizeof *key_cases; i++) {
        const struct key_case *c = &key_cases[i];
        char sql[512], row[512], image[512];
        const char *got = NULL;
        int64_t revision = 0;
        bool composite = strstr(c->create, "KEY(") != NULL; /* its columns come last: PRIMARY KEY(…) ends the list */
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS \"the table\"; CREATE TABLE \"the table\"(%s, %s)%s",
                 composite ? "v INT, revision INTEGER NOT NULL DEFAULT 1" : c->create,
                 composite ? c->create : "v INT, revision INTEGER NOT NULL DEFAULT 1",
                 strstr(c->label, "without rowid") ? " WITHOUT ROWID" : "");
        fixture_sql(f, sql);
        fixture_sql(f, "DELETE FROM outbox; DELETE FROM change_log"); /* the last case's delete of the same key */
        snprintf(row, sizeof row, "{%s,\"v\":%zu}", c->row, i);
        print_message("# %s\n", c->label);
        assert_ok(f, outbox_upsert_json(f->ob, "The Table", row, -1, 0, NULL, &revision));
        assert_string_equal(outbox_last_key(f->ob), c->key);
        assert_ok(f, outbox_get(f->ob, "the table", c->key, &got, &revision));
        if (composite)
            snprintf(image, sizeof image, "{\"v\":%zu,\"revision\":1,%s}", i, c->image);
        else
            snprintf(image, sizeof image, "{%s,\"v\":%zu,\"revision\":1}", c->image, i);
        assert_string_equal(got, image);
        assert_ok(f, outbox_upsert_json(f->ob, "the table", row, -1, 1, NULL, &revision));
        assert_int_equal(revision, 2);
        assert_ok(f, outbox_delete(f->ob, "the table", c->key, 2, NULL));
        assert_ok(f, outbox_upsert_json(f->ob, "the table", row, -1, 0, NULL, &revision));
        assert_int_equal(revision, 4);
        assert_string_equal(fixture_log(f, "op"), "insert update delete insert");
        assert_int_equal(fixture_int(f, "SELECT count(DISTINCT key) FROM change_log WHERE table_name = 'the table'"),
                         1);
    }
}

static const struct bad_case {
    const char *label;
    int code;
    const char *table, *row;
    int64_t expected;
    const char *words; /* the message holds them */
} bad_cases[] = {
    {"unknown table", OUTBOX_INVALID, "nope", "{\"id\":\"a\"}", 0, "no such table: nope"},
    {"unknown column", OUTBOX_INVALID, "orders", "{\"id\":\"a\",\"nope\":1}", 0, "no column nope"},
    {"missing key", OUTBOX_INVALID, "orders", "{\"total\":1}", 0, "key column id: missing"},
    {"null key", OUTBOX_INVALID, "orders", "{\"id\":null}", 0, "key column id: missing"},
    {"array", OUTBOX_INVALID, "orders", "[1]", 0, "not an object"},
    {"no JSON", OUTBOX_INVALID, "orders", "{\"id\":", 0, "not JSON"},
    {"two values", OUTBOX_INVALID, "orders", "{\"id\":\"a\"} {}", 0, "not JSON"},
    {"duplicate key", OUTBOX_INVALID, "orders", "{\"id\":\"a\",\"total\":1,\"TOTAL\":2}", 0, "given twice"},
    {"malformed UTF-8", OUTBOX_INVALID, "orders", "{\"id\":\"a\xff\"}", 0, "UTF-8"},
    {"key with a NUL", OUTBOX_INVALID, "orders", "{\"id\":\"a\\u0000b\"}", 0, "NUL"},
    {"integer beyond 64 bits", OUTBOX_INVALID, "orders", "{\"id\":\"a\",\"total\":9223372036854775808}", 0, "64 bits"},
    {"number that overflows", OUTBOX_INVALID, "orders", "{\"id\":\"a\",\"total\":1e999}", 0, "overflows"},
    {"empty object", OUTBOX_INVALID, "orders", "{}", 0, "empty"},
    {"bad base64", OUTBOX_INVALID, "orders", "{\"id\":\"a\",\"note\":{\"$base64\":\"A\"}}", 0, "base64"},
    {"revision below any", OUTBOX_INVALID, "orders", "{\"id\":\"a\"}", -2, "OUTBOX_ANY_REVISION"},
    {"not null", OUTBOX_CONSTRAINT, "orders", "{\"id\":\"a\",\"note\":null}", 0,
     "NOT NULL constraint failed: orders.note"},
    {"our own table", OUTBOX_INVALID, "outbox_meta", "{\"name\":\"a\"}", 0, "own table"},
    {"a view", OUTBOX_INVALID, "v", "{\"id\":\"a\"}", 0, "is a view"},
    {"no primary key", OUTBOX_INVALID, "heap", "{\"id\":\"a\"}", 0, "no PRIMARY KEY"},
    {"no revision column", OUTBOX_INVALID, "bare", "{\"id\":\"a\"}", 0,
     "ADD COLUMN revision INTEGER NOT NULL DEFAULT 1"},
    {"text for an integer key", OUTBOX_INVALID, "items", "{\"id\":\"x\"}", 0, "integers are kept"},
    {"sqlite's own", OUTBOX_INVALID, "sqlite_schema", "{\"id\":\"x\"}", 0, "no such table"},
};

static void bad_input_is_refused_in_words(void **state)
{
    struct fixture *f = *state;
    fixture_sql(
        f,
        "CREATE VIEW v AS SELECT 1 AS id; CREATE TABLE heap(id TEXT, revision INT); CREATE TABLE bare(id TEXT PRIMARY KEY)");
    for (size_t i = 0; i < sizeof bad_cases / sizeof *bad_cases; i++) {
        const struct bad_case *c = &bad_cases[i];
        for (int joined = 0; joined < 2; joined++) {
            if (joined)
                assert_ok(f, outbox_begin(f->ob));
            int code = outbox_upsert_json(f->ob, c->table, c->row, -1, c->expected, NULL, NULL);
            if (code != c->code || !strstr(outbox_errmsg(f->ob), c->words))
                fail_msg("%s: got %d \"%s\"", c->label, code, outbox_errmsg(f->ob));
            if (joined)
                assert_ok(f, outbox_commit(f->ob));
        }
    }
    assert_nothing_written(f);
}

static void an_embedded_nul_is_not_json(void **state)
{
    struct fixture *f = *state;
    static const char row[] = "{\"id\":\"a\"}\0x";
    assert_code(f, OUTBOX_INVALID, outbox_upsert_json(f->ob, "orders", row, sizeof row - 1, 0, NULL, NULL));
    assert_nothing_written(f);
}

static void malformed_text_is_refused_where_it_stands(void **state)
{
    struct fixture *f = *state;
    outbox_value row[] = {outbox_text("id", "a"), outbox_text("note", "caf\xe9")};
    assert_code(f, OUTBOX_INVALID, outbox_upsert(f->ob, "orders", row, 2, 0, NULL, NULL));
    assert_string_equal(outbox_errmsg(f->ob), "column note: malformed UTF-8 at byte 3");
    row[0] = outbox_text("id", "\xc0\x80");
    assert_code(f, OUTBOX_INVALID, outbox_upsert(f->ob, "orders", row, 1, 0, NULL, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_get(f->ob, "orders", "\xff", NULL, NULL));
    assert_nothing_written(f);
}

static void null_arguments_are_misuse(void **state)
{
    struct fixture *f = *state;
    outbox_value v = outbox_text("id", "a");
    assert_int_equal(outbox_upsert(NULL, "orders", &v, 1, 0, NULL, NULL), OUTBOX_MISUSE);
    assert_code(f, OUTBOX_MISUSE, outbox_upsert(f->ob, NULL, &v, 1, 0, NULL, NULL));
    assert_code(f, OUTBOX_MISUSE, outbox_upsert(f->ob, "orders", NULL, 1, 0, NULL, NULL));
    assert_code(f, OUTBOX_MISUSE, outbox_upsert_json(f->ob, "orders", NULL, 0, 0, NULL, NULL));
    assert_code(f, OUTBOX_MISUSE, outbox_delete(f->ob, "orders", NULL, 1, NULL));
    assert_code(f, OUTBOX_MISUSE, outbox_get(f->ob, NULL, "a", NULL, NULL));
    assert_code(f, OUTBOX_MISUSE, outbox_emit(f->ob, NULL, NULL, "{}", -1, NULL, NULL));
    assert_nothing_written(f);
}

static void a_revision_that_is_none_is_named_with_its_mend(void **state)
{
    struct fixture *f = *state;
    fixture_sql(
        f,
        "CREATE TABLE loose(id TEXT PRIMARY KEY, revision INTEGER); INSERT INTO loose VALUES ('a', NULL), ('b', 0), ('c', 9223372036854775807)");
    assert_code(f, OUTBOX_INVALID,
                outbox_upsert_json(f->ob, "loose", "{\"id\":\"a\"}", -1, OUTBOX_ANY_REVISION, NULL, NULL));
    assert_non_null(strstr(outbox_errmsg(f->ob), "UPDATE \"loose\" SET revision = 1 WHERE"));
    assert_code(f, OUTBOX_INVALID, outbox_upsert_json(f->ob, "loose", "{\"id\":\"b\"}", -1, 0, NULL, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_upsert_json(f->ob, "loose", "{\"id\":\"c\"}", -1, INT64_MAX, NULL, NULL));
    assert_non_null(strstr(outbox_errmsg(f->ob), "end of its range"));
    assert_code(f, OUTBOX_INVALID, outbox_delete(f->ob, "loose", "c", INT64_MAX, NULL));
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM loose"), 3);
    assert_nothing_written(f);
}

static void every_value_survives(void **state)
{
    struct fixture *f = *state;
    const char *row, *again;
    char kept[1024];
    fixture_sql(
        f,
        "CREATE TABLE every(id TEXT PRIMARY KEY, a, b, c, d, e, g AS (a || 'x'), h AS (a) STORED, revision INTEGER NOT NULL DEFAULT 1)");
    outbox_value values[] = {
        outbox_text("id", "k"),        outbox_int("a", INT64_MIN), outbox_real("b", 0.1 + 0.2),
        outbox_blob("c", "\0\xff", 2), outbox_null("d"),           outbox_text_n("e", "a\0\xe2\x80\xa8\n\"", 7)};
    assert_ok(f, outbox_upsert(f->ob, "every", values, 6, 0, NULL, NULL));
    assert_ok(f, outbox_get(f->ob, "every", "k", &row, NULL));
    assert_string_equal(
        row,
        "{\"id\":\"k\",\"a\":-9223372036854775808,\"b\":0.30000000000000004,\"c\":{\"$base64\":\"AP8=\"},\"d\":null,"
        "\"e\":\"a\\u0000\\u2028\\n\\\"\",\"g\":\"-9223372036854775808x\",\"h\":-9223372036854775808,\"revision\":1}");
    snprintf(kept, sizeof kept, "%s", row);
    /* What was read can be written back: the same values, byte for byte. */
    fixture_sql(f, "UPDATE every SET a = 1, b = 2, c = 3, d = 4, e = 5");
    assert_ok(f, outbox_upsert_json(f->ob, "every", kept, -1, 1, NULL, NULL));
    assert_ok(f, outbox_get(f->ob, "every", "k", &again, NULL));
    *strstr(kept, "\"revision\":1") = '\0';
    assert_memory_equal(again, kept, strlen(kept));
}

static void infinities_survive(void **state)
{
    struct fixture *f = *state;
    const char *row;
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"a\",\"total\":-9e999}", -1, 0, NULL, NULL));
    assert_ok(f, outbox_get(f->ob, "orders", "a", &row, NULL));
    assert_non_null(strstr(row, "\"total\":-9e999"));
    assert_int_equal(fixture_int(f, "SELECT total = -9e999 FROM orders"), 1);
}

static void json_values_map_to_columns(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE j(id TEXT PRIMARY KEY, t, f, n, o, a, r, revision INTEGER NOT NULL DEFAULT 1)");
    assert_ok(
        f,
        outbox_upsert_json(
            f->ob, "j",
            "{\"id\":\"a\",\"t\":true,\"f\":false,\"n\":null,\"o\":{\"x\": 1.10},\"a\":[1, 2],\"r\":1e2,\"revision\":99}",
            -1, 0, NULL, NULL));
    assert_string_equal(
        fixture_text(
            f, "SELECT t||'|'||f||'|'||ifnull(n,'-')||'|'||o||'|'||a||'|'||r||'|'||typeof(r)||'|'||revision FROM j"),
        "1|0|-|{\"x\": 1.10}|[1, 2]|100.0|real|1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, orders_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(keys_of_every_kind),          TEST(bad_input_is_refused_in_words),
        TEST(an_embedded_nul_is_not_json), TEST(malformed_text_is_refused_where_it_stands),
        TEST(null_arguments_are_misuse),   TEST(a_revision_that_is_none_is_named_with_its_mend),
        TEST(every_value_survives),        TEST(infinities_survive),
        TEST(json_values_map_to_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
