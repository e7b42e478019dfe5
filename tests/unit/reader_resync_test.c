/* reader_resync_test.c — a reader that keeps a copy of a table: snapshots beside a writer that never rests, and after a
 * gap; its copy ends up as the table.
 */
#include <pthread.h>

#include "file_reader.h"

static const char sql_orders[] =
    "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, revision INTEGER NOT NULL DEFAULT 1)";

/* ---- A writer that never rests ------------------------------------------------------------------------------------ */

enum { KEYS = 40, WRITES = 800 };

struct application {
    struct fixture *f;
    int code;
};

/* Upserts and deletes at random. */
static void *work(void *arg)
{
    struct application *a = arg;
    outbox *ob;
    unsigned seed = 17;
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL};
    a->code = outbox_open(a->f->path, &o, &ob);
    for (int i = 0; a->code == OUTBOX_OK && i < WRITES; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", rand_r(&seed) % KEYS);
        outbox_value row[] = {outbox_text("id", key), outbox_real("total", i)};
        if (rand_r(&seed) % 4)
            a->code = outbox_upsert(ob, "orders", row, 2, OUTBOX_ANY_REVISION, NULL, NULL);
        else
            a->code = outbox_delete(ob, "orders", key, OUTBOX_ANY_REVISION, NULL);
        if (a->code == OUTBOX_NOT_FOUND)
            a->code = OUTBOX_OK;
    }
    outbox_close(ob);
    return NULL;
}

/* What the reader keeps: a copy of the table, and how far it is, in one transaction each. */
static void apply(sqlite3 *own, const outbox_event *e)
{
    sqlite3_stmt *st;
    const char *sql = e->payload ? "INSERT OR REPLACE INTO copy(id, payload) VALUES (?1, ?2)"
                                 : "DELETE FROM copy WHERE id = ?1";
    assert_int_equal(sqlite3_prepare_v2(own, sql, -1, &st, NULL), SQLITE_OK);
    sqlite3_bind_text(st, 1, e->key, -1, SQLITE_STATIC);
    if (e->payload)
        sqlite3_bind_text(st, 2, e->payload, (int)e->payload_size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
    sqlite3_finalize(st);
}

/* The copy is the table. */
static void compare(struct fixture *f, sqlite3 *own)
{
    sqlite3_stmt *st;
    int rows = 0;
    assert_int_equal(sqlite3_prepare_v2(own, "SELECT id, payload FROM copy", -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *row;
        assert_ok(f, outbox_get(f->ob, "orders", (const char *)sqlite3_column_text(st, 0), &row, NULL));
        assert_string_equal(row, (const char *)sqlite3_column_text(st, 1));
        rows++;
    }
    sqlite3_finalize(st);
    assert_int_equal(fixture_int(f, "SELECT count(*) FROM orders"), rows);
}

/* The row is what its last event up to the snapshot's seq had said, however much has happened since. */
static void check_row(struct fixture *f, const outbox_event *e)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT payload FROM change_log WHERE key = '%s' AND seq <= %d ORDER BY seq DESC LIMIT 1",
             e->key, (int)e->seq);
    assert_string_equal(e->payload, fixture_text(f, sql));
}

/* Snapshots while it writes, each followed by some events: between rows and events nothing is missed, nothing twice. */
static void snapshots_beside_a_writer_lose_nothing(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    struct application a = {.f = f};
    pthread_t thread;
    outbox_reader *r;
    fixture_sql(f, sql_orders);
    sql_on(b->db, "CREATE TABLE copy(id TEXT PRIMARY KEY, payload TEXT)");
    static const char *const orders[] = {"orders", NULL};
    outbox_reader_options o = {.size = sizeof o, .snapshot_tables = orders, .batch_count = 7};
    assert_ok(f, outbox_reader_open(f->ob, "c", &o, &r));
    assert_int_equal(pthread_create(&thread, NULL, work, &a), 0);
    int64_t last = 0;
    for (int round = 0; round < 25; round++) {
        const outbox_event *e;
        bool snapshot = true;
        assert_ok(f, outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT));
        sql_on(b->db, "BEGIN; DELETE FROM copy");
        for (int i = 0; i < 30 + KEYS && outbox_reader_next(r, 0, &e) == OUTBOX_OK; i++) {
            bool row = !strcmp(e->op, "row");
            if (row) {
                assert_true(snapshot); /* rows first */
                check_row(f, e);
            } else if (last)
                assert_int_equal(e->seq, last + 1);
            snapshot = row;
            last = e->seq;
            apply(b->db, e);
        }
        sql_on(b->db, "COMMIT");
    }
    pthread_join(thread, NULL);
    assert_int_equal(a.code, OUTBOX_OK);
    const outbox_event *e;
    while (outbox_reader_next(r, 0, &e) == OUTBOX_OK)
        apply(b->db, e);
    compare(f, b->db);
    outbox_reader_close(r);
}

/* ---- Files -------------------------------------------------------------------------------------------------------- */

/* The lines of all events so far that the stream lacks. */
static void relay(struct bench *b, int64_t up_to)
{
    struct fixture *f = b->f;
    char sql[600];
    while (b->w.last < up_to) {
        snprintf(
            sql, sizeof sql,
            "SELECT json_object('seq', seq, 'prev', %d, 'id', (SELECT value FROM outbox_meta WHERE name = 'source')"
            " || '-' || seq, 'table', table_name, 'key', key, 'op', op, 'time', '2026-11-21T05:21:00.123456Z')"
            " FROM change_log WHERE seq = %d",
            (int)b->w.last, (int)b->w.last + 1);
        char line[8192];
        snprintf(line, sizeof line, "%s", fixture_text(f, sql));
        line[strlen(line) - 1] = '\0'; /* its bracket */
        snprintf(sql, sizeof sql,
                 "SELECT coalesce(',\"payload\":' || payload, '') || '}' FROM change_log WHERE seq = %d",
                 (int)b->w.last + 1);
        strcat(strcat(line, fixture_text(f, sql)), "\n");
        writer_text(&b->w, line);
        b->w.last++;
        if (!b->w.first)
            b->w.first = b->w.last;
    }
}

static void drain(struct bench *b)
{
    const outbox_event *e;
    int code;
    while ((code = outbox_reader_next(b->r, 0, &e)) == OUTBOX_OK) {
        assert_code(b, OUTBOX_OK, outbox_begin(b->ob));
        apply(b->db, e);
        assert_code(b, OUTBOX_OK, outbox_reader_ack(b->r, e->seq));
        assert_code(b, OUTBOX_OK, outbox_commit(b->ob));
    }
    assert_code(b, OUTBOX_DONE, code);
}

static void open_with_snapshot(struct bench *b)
{
    static const char *const orders[] = {"orders", NULL};
    outbox_reader_options o = {
        .size = sizeof o, .jsonl = b->w.path, .snapshot_tables = orders, .snapshot_db = b->f->path};
    assert_code(b, OUTBOX_OK, outbox_reader_open(b->ob, "c", &o, &b->r));
}

/* Segments deleted under a reader that is down; GAP; the snapshot in one transaction; on from there; its state equals
 * the table's. The relay is behind the snapshot, or ahead of it. */
static void a_stream_goes_on_from_exactly_the_snapshots_seq(void **state)
{
    struct bench *b = *state;
    struct fixture *f = b->f;
    struct application a = {.f = f};
    const outbox_event *e;
    int64_t last, first;
    fixture_sql(f, sql_orders);
    sql_on(b->db, "CREATE TABLE copy(id TEXT PRIMARY KEY, payload TEXT)");
    work(&a);
    assert_int_equal(a.code, OUTBOX_OK);
    int64_t end = fixture_int(f, "SELECT max(seq) FROM change_log");
    relay(b, 100);
    open_with_snapshot(b);
    drain(b);
    detach(b);
    for (int i = 0; i < 4; i++) {
        writer_rotate(&b->w);
        relay(b, 200 + 100 * i);
    }
    writer_delete(&b->w, 101, 200);
    writer_delete(&b->w, 201, 300);
    for (int ahead = 0; ahead < 2; ahead++) {
        attach(b);
        open_with_snapshot(b);
        if (!ahead) {
            assert_code(b, OUTBOX_GAP, outbox_reader_next(b->r, 0, &e));
            assert_int_equal(outbox_reader_gap(b->r, &last, &first), OUTBOX_OK);
            assert_int_equal(last, 100);
            assert_int_equal(first, 301);
        }
        assert_code(b, OUTBOX_OK, outbox_reader_restart(b->r, OUTBOX_FROM_SNAPSHOT));
        assert_code(b, OUTBOX_OK, outbox_begin(b->ob));
        sql_on(b->db, "DELETE FROM copy");
        while (outbox_reader_next(b->r, 0, &e) == OUTBOX_OK && !strcmp(e->op, "row")) {
            assert_int_equal(e->seq, end);
            apply(b->db, e);
        }
        assert_code(b, OUTBOX_OK, outbox_reader_ack(b->r, end));
        assert_code(b, OUTBOX_OK, outbox_commit(b->ob));
        compare(f, b->db);
        /* More happens, and the relay catches up, first to just beyond the snapshot's seq in mid-file. */
        work(&a);
        int64_t more = fixture_int(f, "SELECT max(seq) FROM change_log");
        relay(b, end + 3);
        drain(b);
        writer_rotate(&b->w);
        relay(b, more);
        drain(b);
        compare(f, b->db);
        assert_int_equal(sql_int(b->db, "SELECT acked_seq FROM consumer_offsets"), more);
        end = more;
        detach(b);
    }
    attach(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, file_reader_setup, file_reader_teardown)
    const struct CMUnitTest tests[] = {
        TEST(snapshots_beside_a_writer_lose_nothing),
        TEST(a_stream_goes_on_from_exactly_the_snapshots_seq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
