/* reader_snapshot_test.c — every row as of one seq, then on from exactly there. */
#include "file_reader.h"

/* The application: two tables and some that are no domain tables. */
static void make_tables(struct fixture *f)
{
    fixture_sql(f, "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, note BLOB,"
                   "                    revision INTEGER NOT NULL DEFAULT 1);"
                   "CREATE TABLE lines(o TEXT, n INTEGER, qty INTEGER, twice AS (qty * 2),"
                   "                   revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (o, n)) WITHOUT ROWID;"
                   "CREATE TABLE plain(id INTEGER PRIMARY KEY, x);"
                   "CREATE TABLE keyless(revision INTEGER NOT NULL DEFAULT 1);"
                   "CREATE VIEW seen AS SELECT id, revision FROM orders;"
                   "INSERT INTO plain VALUES (1, 1); INSERT INTO keyless VALUES (1)");
}

static void put(struct fixture *f, const char *table, const char *json)
{
    assert_ok(f, outbox_upsert_json(f->ob, table, json, -1, OUTBOX_ANY_REVISION, NULL, NULL));
}

static void put_rows(struct fixture *f)
{
    put(f, "orders", "{\"id\":\"b\",\"total\":0.1,\"note\":{\"$base64\":\"AAE=\"}}");
    put(f, "orders", "{\"id\":\"a\",\"total\":1e300}");
    put(f, "orders", "{\"id\":\"b\",\"total\":9007199254740993}");
    put(f, "lines", "{\"o\":\"a\",\"n\":10,\"qty\":3}");
    put(f, "lines", "{\"o\":\"a\",\"n\":9,\"qty\":-1}");
    put(f, "orders", "{\"id\":\"gone\"}");
    assert_ok(f, outbox_delete(f->ob, "orders", "gone", 1, NULL));
}

static void expect_row(struct fixture *f, outbox_reader *r, int64_t seq, const char *table, const char *key)
{
    const outbox_event *e = NULL;
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_string_equal(e->op, "row");
    assert_int_equal(e->seq, seq);
    assert_string_equal(e->table, table);
    assert_string_equal(e->topic, table);
    assert_string_equal(e->key, key);
    assert_null(e->before);
    /* Byte for byte what its last event said. */
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT payload FROM change_log WHERE table_name = '%s' AND key = '%s' ORDER BY seq DESC LIMIT 1", table,
             key);
    assert_string_equal(e->payload, fixture_text(f, sql));
    assert_int_equal(e->payload_size, strlen(f->text));
    snprintf(sql, sizeof sql, "SELECT max(revision) FROM change_log WHERE table_name = '%s' AND key = '%s'", table,
             key);
    assert_int_equal(e->revision, fixture_int(f, sql));
    snprintf(sql, sizeof sql, "SELECT value || '-%d' FROM outbox_meta WHERE name = 'source'", (int)seq);
    assert_string_equal(e->id, fixture_text(f, sql));
}

static int64_t acked(struct fixture *f)
{
    return fixture_int(f, "SELECT acked_seq FROM consumer_offsets");
}

static void a_snapshot_is_every_row_and_then_the_events_after_it(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    outbox_reader *r;
    const outbox_event *e;
    make_tables(f);
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    put_rows(f);
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
    put(f, "orders", "{\"id\":\"c\"}"); /* seq 8, after it */
    expect_row(f, r, 7, "lines", "[\"a\",9]");
    assert_code(f, OUTBOX_MISUSE, outbox_reader_ack(r, 7));
    expect_row(f, r, 7, "lines", "[\"a\",10]");
    expect_row(f, r, 7, "orders", "a");
    assert_code(f, OUTBOX_MISUSE, outbox_reader_ack(r, 7));
    assert_ok(f, outbox_reader_ack(r, 1)); /* handed out before: that one may */
    expect_row(f, r, 7, "orders", "b");
    assert_int_equal(acked(f), 1);
    assert_ok(f, outbox_reader_ack(r, 7));
    assert_int_equal(acked(f), 7);
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 8);
    assert_int_equal(e->prev, 7);
    assert_string_equal(e->op, "insert");
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    outbox_reader_close(r);
}

static void a_gap_ends_with_a_snapshot(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    outbox_reader *r;
    const outbox_event *e;
    make_tables(f);
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    put_rows(f);
    fixture_sql(f, "DELETE FROM outbox WHERE seq < 4");
    assert_code(f, OUTBOX_GAP, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
    assert_int_equal(outbox_reader_gap(r, NULL, NULL), OUTBOX_NOT_FOUND);
    expect_row(f, r, 7, "lines", "[\"a\",9]");
    /* Gone in the middle of it: the gap is still there. */
    outbox_reader_close(r);
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    assert_code(f, OUTBOX_GAP, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
    for (int i = 0; i < 4; i++)
        assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_ack(r, e->seq));
    outbox_reader_close(r);
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    outbox_reader_close(r);
}

static void chosen_tables_come_in_the_order_given(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    outbox_reader *r;
    const outbox_event *e;
    make_tables(f);
    put_rows(f);
    static const char *const both[] = {"ORDERS", "lines", NULL}, *const none[] = {NULL};
    static const struct {
        const char *const names[3];
        const char *word;
    } bad[] = {{{"orders", "nowhere", NULL}, "nowhere"},
               {{"plain", NULL, NULL}, "revision"},
               {{"keyless", NULL, NULL}, "PRIMARY KEY"},
               {{"seen", NULL, NULL}, "view"},
               {{"change_log", NULL, NULL}, "outbox's own"}};
    outbox_reader_options o = {.size = sizeof o, .snapshot_tables = both, .batch_count = 1};
    assert_ok(f, outbox_reader_open(f->ob, "c", &o, &r));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
    expect_row(f, r, 7, "orders", "a");
    expect_row(f, r, 7, "orders", "b");
    expect_row(f, r, 7, "lines", "[\"a\",9]");
    outbox_reader_close(r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.snapshot_tables = bad[i].names;
        assert_ok(f, outbox_reader_open(f->ob, "c", &o, &r));
        assert_code(f, OUTBOX_INVALID, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
        assert_non_null(strstr(outbox_errmsg(f->ob), bad[i].word));
        assert_ok(f, outbox_reader_next(r, 0, &e)); /* nothing has changed */
        assert_int_equal(e->seq, 1);
        outbox_reader_close(r);
    }
    o.snapshot_tables = none; /* not one row: on at once */
    assert_ok(f, outbox_reader_open(f->ob, "c", &o, &r));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_ack(r, 7));
    outbox_reader_close(r);
}

static void start_and_now_move_the_cursor_at_once(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    outbox_reader *r;
    const outbox_event *e;
    make_tables(f);
    put_rows(f);
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    for (int i = 0; i < 3; i++)
        assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_ack(r, 3));
    assert_code(f, OUTBOX_INVALID, outbox_reader_restart(r, 3));
    assert_ok(f, outbox_begin(f->ob));
    assert_code(f, OUTBOX_MISUSE, outbox_reader_restart(r, OUTBOX_FROM_START));
    assert_ok(f, outbox_rollback(f->ob));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_START));
    assert_int_equal(acked(f), 0);
    assert_code(f, OUTBOX_MISUSE, outbox_reader_ack(r, 3)); /* not handed out since */
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 1);
    assert_ok(f, outbox_reader_ack(r, 1));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT)); /* left in its middle */
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_NOW));
    assert_int_equal(acked(f), 7);
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    put(f, "orders", "{\"id\":\"c\"}");
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 8);
    /* An operator's move makes it stale here too. */
    fixture_sql(f, "UPDATE consumer_offsets SET lease_token = lease_token + 1");
    assert_code(f, OUTBOX_STALE, outbox_reader_restart(r, OUTBOX_FROM_START));
    assert_int_equal(acked(f), 7);
    outbox_reader_close(r);
}

static void a_snapshot_needs_a_database_with_our_tables(void **state)
{
    struct bench *b = *state;
    const outbox_event *e;
    writer_write(&b->w, 1);
    open_reader(b);
    assert_code(b, OUTBOX_SCHEMA, outbox_reader_restart(b->r, OUTBOX_FROM_SNAPSHOT)); /* the reader's own has none */
    outbox_reader_close(b->r);
    outbox_reader_options o = {.size = sizeof o, .jsonl = b->w.path, .snapshot_db = "/nowhere/at/all.db"};
    assert_code(b, OUTBOX_OK, outbox_reader_open(b->ob, "c", &o, &b->r));
    assert_code(b, OUTBOX_IO, outbox_reader_restart(b->r, OUTBOX_FROM_SNAPSHOT));
    assert_non_null(strstr(outbox_errmsg(b->ob), "/nowhere/at/all.db"));
    assert_code(b, OUTBOX_OK, outbox_reader_next(b->r, 0, &e)); /* nothing has changed */
    assert_int_equal(e->seq, 1);
}

static void fill_orders(struct fixture *f)
{
    fixture_sql(f, "INSERT INTO orders(id, note) SELECT printf('%06d', value), zeroblob(768) FROM ("
                   "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 20000)"
                   " SELECT value FROM n)");
}

/* The file is cut while it is read: rows that were read and not handed out are not passed over afterwards. */
static void a_snapshot_that_broke_off_does_not_go_on(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    outbox_reader *r;
    const outbox_event *e;
    make_tables(f);
    fill_orders(f);
    fixture_sql(f, "PRAGMA wal_checkpoint(TRUNCATE)");
    outbox_reader_options o = {.size = sizeof o, .jsonl = b->w.path, .snapshot_db = f->path};
    assert_code(b, OUTBOX_OK, outbox_reader_open(b->ob, "c", &o, &r));
    assert_code(b, OUTBOX_OK, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
    assert_int_equal(truncate(f->path, 10 << 20), 0);
    int code, rows = 0;
    while ((code = outbox_reader_next(r, 0, &e)) == OUTBOX_OK)
        rows++;
    assert_true(code == OUTBOX_CORRUPT || code == OUTBOX_IO);
    assert_in_range(rows, 100, 19900);
    for (int i = 0; i < 3; i++)
        assert_code(b, code, outbox_reader_next(r, 0, &e));
    assert_code(b, OUTBOX_MISUSE, outbox_reader_ack(r, 0));
    outbox_reader_close(r);
}

/* 20,000 rows of 1 KiB in far less memory. */
static void a_snapshot_is_streamed(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    outbox_reader *r;
    const outbox_event *e;
    int rows = 0;
    make_tables(f);
    fill_orders(f);
    outbox_reader_options o = {.size = sizeof o, .batch_count = 100000};
    assert_ok(f, outbox_reader_open(f->ob, "c", &o, &r));
    assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
    sqlite3_int64 before = sqlite3_memory_used();
    char last[16] = "";
    int code;
    while ((code = outbox_reader_next(r, 0, &e)) == OUTBOX_OK) {
        assert_true(strcmp(last, e->key) < 0);
        snprintf(last, sizeof last, "%s", e->key);
        rows++;
    }
    assert_code(f, OUTBOX_DONE, code);
    assert_int_equal(rows, 20000);
    assert_true(sqlite3_memory_highwater(0) - before < 8 << 20);
    assert_ok(f, outbox_reader_ack(r, 0));
    outbox_reader_close(r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, file_reader_setup, file_reader_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_is_every_row_and_then_the_events_after_it),
        TEST(a_gap_ends_with_a_snapshot),
        TEST(chosen_tables_come_in_the_order_given),
        TEST(start_and_now_move_the_cursor_at_once),
        TEST(a_snapshot_needs_a_database_with_our_tables),
        TEST(a_snapshot_that_broke_off_does_not_go_on),
        TEST(a_snapshot_is_streamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
