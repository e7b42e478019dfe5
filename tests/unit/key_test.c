/* key_test.c — primary keys of every declared type: one key is one key, whatever form it is given in, and what SQLite would
 * turn into another is refused in words.
 */
#include <math.h>

#include "fixture.h"

/* A table of one key column. */
static void create(struct fixture *f, const char *key_column, const char *options)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "DROP TABLE IF EXISTS t; CREATE TABLE t(id %s PRIMARY KEY, n INT, revision INTEGER NOT NULL DEFAULT 1)%s;"
             "DELETE FROM outbox; DELETE FROM change_log",
             key_column, options);
    fixture_sql(f, sql);
}

static int upsert(struct fixture *f, const char *id, int64_t expected, int64_t *revision)
{
    char row[128];
    snprintf(row, sizeof row, "{\"id\":%s,\"n\":%lld}", id, (long long)expected);
    return outbox_upsert_json(f->ob, "t", row, -1, expected, NULL, revision);
}

static const struct life_case {
    const char *declared, *options, *given, *key, *stored;
} lives[] = {
    {"DECIMAL", "", "5.0", "5", "integer5"},
    {"DECIMAL", "", "\"7\"", "7", "integer7"},
    {"DECIMAL", "", "1.5", "1.5", "real1.5"},
    {"DECIMAL", "", "\"abc\"", "abc", "textabc"},
    {"DECIMAL", "", "\"+\"", "+", "text+"},
    {"DECIMAL", "", "\"1_000\"", "1_000", "text1_000"},
    {"INT", "", "-3.0", "-3", "integer-3"},
    {"DOUBLE", "", "5", "5.0", "real5.0"},
    {"FLOAT", "", "0.1", "0.1", "real0.1"},
    {"CLOB", "", "-3", "-3", "text-3"},
    {"VARCHAR(9)", "", "\"05\"", "05", "text05"},
    {"BLOB", "", "\"05\"", "05", "text05"},
    {"ANY", "STRICT", "\"05\"", "05", "text05"},
    {"ANY", "STRICT", "5.0", "5.0", "real5.0"},
    /* Outside a STRICT table ANY is a type like any other: numeric. */
    {"ANY", "", "5.0", "5", "integer5"},
    {"ANY", "", "\"7\"", "7", "integer7"},
};

/* The revision goes on from the delete only where both are of the very same key. */
static void a_key_is_the_same_over_its_life(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        const struct life_case *c = &lives[i];
        int64_t revision = 0;
        print_message("# %s %s: %s\n", c->declared, c->options, c->given);
        create(f, c->declared, c->options);
        assert_ok(f, upsert(f, c->given, 0, &revision));
        assert_string_equal(outbox_last_key(f->ob), c->key);
        assert_string_equal(fixture_text(f, "SELECT typeof(id) || id FROM t"), c->stored);
        assert_ok(f, upsert(f, c->given, 1, &revision));
        assert_ok(f, outbox_delete(f->ob, "t", c->key, 2, NULL));
        assert_ok(f, upsert(f, c->given, 0, &revision));
        assert_int_equal(revision, 4);
        assert_string_equal(fixture_log(f, "op"), "insert update delete insert");
        assert_int_equal(fixture_int(f, "SELECT count(DISTINCT key) FROM change_log"), 1);
    }
}

static const struct refused_case {
    const char *declared, *given, *words;
} refused[] = {
    {"DECIMAL", "\"1e3\"", "key column id: text that SQLite would store as a number"},
    {"DECIMAL", "\" 5\"", "key column id: text that SQLite would store as a number"},
    {"DECIMAL", "\"007\"", "key column id: text that SQLite would store as a number"},
    {"DECIMAL", "\"e5\"", "key column id: text that SQLite would store as a number"}, /* it would not: said too often */
    {"ANY", "\"05\"", "key column id: text that SQLite would store as a number"},
    {"REAL", "\"1.5\"", "key column id: text given where numbers are kept"},
    {"INT", "\"007\"", "key column id: text given where integers are kept"},
    {"INT", "\"-\"", "key column id: text given where integers are kept"},
    {"INT", "\"\"", "key column id: text given where integers are kept"},
    {"INT", "\"9223372036854775808\"", "key column id: text given where integers are kept"},
    {"INT", "\"-1234567890123456789012\"", "key column id: text given where integers are kept"},
    {"INT", "1.5", "key column id: a fraction given where integers are kept"},
    {"INT", "9223372036854775808.0", "key column id: a fraction given where integers are kept"},
    {"INT", "-1e300", "key column id: a fraction given where integers are kept"},
    {"TEXT", "1.5", "key column id: a fraction given where text is kept"},
    {"TEXT", "\"a\\u0000b\"", "key column id: a key cannot hold a NUL"},
    {"DECIMAL", "null", "key column id: missing"},
};

static void what_would_become_another_key_is_refused_in_words(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct refused_case *c = &refused[i];
        create(f, c->declared, "");
        int code = upsert(f, c->given, 0, NULL);
        if (code != OUTBOX_INVALID || !strstr(outbox_errmsg(f->ob), c->words))
            fail_msg("%s %s: %s \"%s\"", c->declared, c->given, outbox_strerror(code), outbox_errmsg(f->ob));
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM t"), 0);
    }
}

static void no_number_is_no_key(void **state)
{
    struct fixture *f = *state;
    outbox_value row[] = {outbox_real("id", NAN)};
    create(f, "REAL", "");
    assert_code(f, OUTBOX_INVALID, outbox_upsert(f->ob, "t", row, 1, 0, NULL, NULL));
    assert_non_null(strstr(outbox_errmsg(f->ob), "key column id: not a number"));
}

static const struct asked_case {
    const char *declared, *stored, *asked;
    int code;
} asked[] = {
    {"REAL", "1.5", "1.50", OUTBOX_OK},
    {"REAL", "1.5", "15e-1", OUTBOX_OK},
    {"REAL", "9e999", "9e999", OUTBOX_OK},
    {"REAL", "1.5", "1e999", OUTBOX_NOT_FOUND},
    {"REAL", "1.5", "abc", OUTBOX_NOT_FOUND},
    {"REAL", "1.5", "[1.5]", OUTBOX_NOT_FOUND},
    {"REAL", "5", "5", OUTBOX_OK},
    {"REAL", "x'6162'", "{\"$base64\":\"YWI=\"}", OUTBOX_OK},
    {"DECIMAL", "5", "5", OUTBOX_OK},
    {"DECIMAL", "1.5", "1.5", OUTBOX_OK},
    {"DECIMAL", "'abc'", "abc", OUTBOX_OK},
    {"INT", "5", "5", OUTBOX_OK},
    {"INT", "5", "five", OUTBOX_NOT_FOUND},
    {"INT", "5", "5.0", OUTBOX_NOT_FOUND},
    {"", "5", "5", OUTBOX_OK},
    {"", "1.5", "1.5", OUTBOX_OK},
    {"", "'1.5'", "1.5", OUTBOX_OK},
    {"", "x'6162'", "{\"$base64\":\"YWI=\"}", OUTBOX_OK},
    {"", "'{\"$base64\":\"YWI=\"}'", "{\"$base64\":\"YWI=\"}", OUTBOX_OK},
    {"", "x'6162'", "{\"$base64\":\"YWI\"", OUTBOX_NOT_FOUND},
    {"", "x'6162'", "{\"base64\":\"YWI=\"}", OUTBOX_NOT_FOUND},
    {"", "x'6162'", "{}", OUTBOX_NOT_FOUND},
    {"", "x'6162'", "{\"$base46\":\"YWI=\"}", OUTBOX_NOT_FOUND},
    {"", "5", "05", OUTBOX_NOT_FOUND},
    {"", "5", "", OUTBOX_NOT_FOUND},
    {"TEXT", "'5'", "5", OUTBOX_OK},
    {"TEXT", "'5'", "05", OUTBOX_NOT_FOUND},
    {"TEXT", "'5'", "\xff", OUTBOX_INVALID},
};

/* As the commands and functions are given it: text, which the column decides the meaning of. */
static void text_finds_the_key_that_it_can_mean(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const struct asked_case *c = &asked[i];
        char sql[128];
        const char *row;
        create(f, c->declared, "");
        snprintf(sql, sizeof sql, "INSERT INTO t(id) VALUES (%s)", c->stored);
        fixture_sql(f, sql);
        int code = outbox_get(f->ob, "t", c->asked, &row, NULL);
        if (code != c->code)
            fail_msg("%s %s as %s: %s", c->declared, c->stored, c->asked, outbox_strerror(code));
    }
}

static const struct composite_case {
    const char *asked;
    int code;
    const char *words;
} composites[] = {
    {"[\"a\",1,1.5]", OUTBOX_OK, ""},
    {" [ \"\\u0061\" , 1 , 15e-1 ] ", OUTBOX_OK, ""},
    {"[\"a\",\"1\",1.5]", OUTBOX_OK, ""},
    {"[\"a\",2,1.5]", OUTBOX_NOT_FOUND, ""},
    {"[\"a\",{\"$base64\":\"YQ==\"},1.5]", OUTBOX_NOT_FOUND, ""},
    {"a", OUTBOX_INVALID, "a primary key of 3 columns: give them as a JSON array"},
    {"", OUTBOX_INVALID, "a primary key of 3 columns: give them as a JSON array"},
    {"{\"a\":1}", OUTBOX_INVALID, "a primary key of 3 columns: give them as a JSON array"},
    {"[\"a\",1", OUTBOX_INVALID, "a primary key of 3 columns: give them as a JSON array"},
    {"[]", OUTBOX_INVALID, "a primary key of 3 columns; 0 were given"},
    {"[\"a\",1]", OUTBOX_INVALID, "a primary key of 3 columns; 2 were given"},
    {"[\"a\",1,1.5,2]", OUTBOX_INVALID, "a primary key of 3 columns; more were given"},
    {"[\"a\",null,1.5]", OUTBOX_INVALID, "key column b: neither a number, a string nor {\"$base64\""},
    {"[\"a\",true,1.5]", OUTBOX_INVALID, "key column b: neither a number, a string nor {\"$base64\""},
    {"[\"a\",[1],1.5]", OUTBOX_INVALID, "key column b: neither a number, a string nor {\"$base64\""},
    {"[\"a\",{\"$base64\":\"%\"},1.5]", OUTBOX_INVALID, "key column b: neither a number, a string nor {\"$base64\""},
    {"[\"a\",9223372036854775808,1.5]", OUTBOX_INVALID, "key column b: integer out of range"},
    {"[\"a\",1,1e999]", OUTBOX_INVALID, "key column c: number out of range"},
    {"[\"a\",1.5,1.5]", OUTBOX_INVALID, "key column b: a fraction given where integers are kept"},
    {"[\"a\\u0000\",1,1.5]", OUTBOX_INVALID, "key column a: a key cannot hold a NUL"},
};

static void a_key_of_several_columns_is_asked_for_as_an_array(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE t(a TEXT, b INT, c REAL, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (a, b, c));"
                   "INSERT INTO t(a, b, c) VALUES ('a', 1, 1.5)");
    for (size_t i = 0; i < sizeof composites / sizeof *composites; i++) {
        const struct composite_case *c = &composites[i];
        const char *row;
        int code = outbox_get(f->ob, "t", c->asked, &row, NULL);
        if (code != c->code || !strstr(outbox_errmsg(f->ob), c->words))
            fail_msg("%s: %s \"%s\"", c->asked, outbox_strerror(code), outbox_errmsg(f->ob));
    }
}

/* From the first call of a handle on, where nothing has made room for a key yet. */
static void an_empty_text_is_a_key_like_any_other(void **state)
{
    struct fixture *f = *state;
    for (int captured = 0; captured < 2; captured++) {
        outbox *ob;
        const char *row;
        int64_t revision = 0;
        create(f, "TEXT", "");
        if (captured)
            assert_ok(f, outbox_capture(f->ob, "t", NULL));
        assert_ok(f, outbox_open(f->path, NULL, &ob));
        outbox_value values[] = {outbox_text("id", ""), outbox_int("n", 1)};
        assert_int_equal(outbox_upsert(ob, "t", values, 2, 0, NULL, &revision), OUTBOX_OK);
        assert_string_equal(outbox_last_key(ob), "");
        assert_int_equal(outbox_get(ob, "t", "", &row, &revision), OUTBOX_OK);
        assert_string_equal(row, "{\"id\":\"\",\"n\":1,\"revision\":1}");
        assert_int_equal(outbox_upsert(ob, "t", values, 2, 0, NULL, NULL), OUTBOX_CONFLICT);
        assert_int_equal(outbox_delete(ob, "t", "", 1, NULL), OUTBOX_OK);
        assert_string_equal(fixture_log(f, "op || typeof(key) || length(key)"), "inserttext0 deletetext0");
        outbox_close(ob);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_key_is_the_same_over_its_life),
        T(what_would_become_another_key_is_refused_in_words),
        T(no_number_is_no_key),
        T(text_finds_the_key_that_it_can_mean),
        T(an_empty_text_is_a_key_like_any_other),
        T(a_key_of_several_columns_is_asked_for_as_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
