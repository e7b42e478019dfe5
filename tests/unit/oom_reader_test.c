/* oom_reader_test.c — out of memory in each of the calls that read, of the database and of files, and in those that open:
 * no event is skipped, changed or mistaken for a gap, and the cursor stays.
 */
#include "oom_rig.h"

enum { EVENTS = 3 };

static void open_reader(struct world *w, const char *consumer, const char *jsonl, int from)
{
    outbox_reader_options o = {.size = sizeof o, .jsonl = jsonl, .from = from, .batch_count = 2};
    int code = outbox_reader_open(w->ob, consumer, &o, &w->r);
    if (code != OUTBOX_OK)
        fail_msg("reader_open: %s", outbox_errmsg(w->ob));
}

/* EVENTS rows of two kinds: one by plain SQL, whose payload is a number. */
static void with_events(struct world *w)
{
    open_handle(w);
    for (int i = 0; i < EVENTS; i++)
        assert_ok(w, outbox_emit(w->ob, "mail", "key", "{\"n\":1}", -1, NULL, NULL));
}

static void with_reader(struct world *w)
{
    with_events(w);
    open_reader(w, "c", NULL, OUTBOX_FROM_NOW);
    assert_ok(w, outbox_reader_restart(w->r, OUTBOX_FROM_START));
    w->seq = 0;
    w->last = sql_int(w->eye, "SELECT max(seq) FROM change_log");
}

static void close_all(struct world *w)
{
    outbox_reader_close(w->r);
    w->r = NULL;
    close_handle(w);
    if (w->db)
        sqlite3_close(w->db);
    w->db = NULL;
}

static void is_intact(struct world *w, const outbox_event *e)
{
    assert_true(e->seq > w->seq);
    assert_string_equal(e->topic, w->w.last ? "t" : "mail");
    assert_non_null(e->key);
    assert_non_null(e->id);
    assert_non_null(e->payload);
    assert_memory_equal(e->payload, "{\"n\":", 5);
    assert_int_equal(e->payload_size, strlen(e->payload));
    w->seq = e->seq;
}

/* All there is, one call after the other. */
static int call_next(struct world *w)
{
    const outbox_event *e = NULL;
    int code;
    while ((code = outbox_reader_next(w->r, 0, &e)) == OUTBOX_OK)
        is_intact(w, e);
    if (code != OUTBOX_DONE)
        return code;
    assert_int_equal(w->seq, w->last);
    return OUTBOX_OK;
}

static void one_read(struct world *w)
{
    const outbox_event *e;
    with_reader(w);
    assert_ok(w, outbox_reader_next(w->r, 0, &e));
    w->seq = e->seq;
}

static int call_ack(struct world *w)
{
    return outbox_reader_ack(w->r, w->seq);
}

static int call_reader_open(struct world *w)
{
    char name[32];
    outbox_reader_options o = {.size = sizeof o, .jsonl = w->w.last ? w->w.path : NULL};
    snprintf(name, sizeof name, "new-%d", w->n);
    outbox_reader *r = NULL;
    int code = outbox_reader_open(w->ob, name, &o, &r);
    assert_true((code == OUTBOX_OK) == (r != NULL));
    w->r = r;
    return code;
}

/* A consumer that is there: what it reads, and from where on, comes out of the database. */
static int call_reopen(struct world *w)
{
    outbox_reader_options o = {.size = sizeof o, .jsonl = w->w.path};
    return outbox_reader_open(w->ob, "known", &o, &w->r);
}

static int call_listen(struct world *w)
{
    return outbox_reader_open(w->ob, NULL, NULL, &w->r);
}

static int call_restart(struct world *w)
{
    return outbox_reader_restart(w->r, OUTBOX_FROM_START);
}

/* A hole that new-source left on purpose is explained by a text in outbox_meta: no memory for it is no gap. */
static void with_lifted_sequence(struct world *w)
{
    sql_on(w->eye, "DELETE FROM outbox; DELETE FROM change_log; DELETE FROM consumer_offsets");
    with_reader(w);
    sql_on(w->eye, "UPDATE outbox_meta SET value = (SELECT json_array(json_object('source', '9f86d081884c7d65',"
                   "   'last_seq', seq, 'next_seq', seq + 100)) FROM sqlite_sequence WHERE name = 'change_log')"
                   " WHERE name = 'former_sources';"
                   "UPDATE sqlite_sequence SET seq = seq + 99 WHERE name = 'change_log'");
    assert_ok(w, outbox_emit(w->ob, "mail", "key", "{\"n\":1}", -1, NULL, &w->last));
}

/* ---- Snapshots ---- */

static void with_rows(struct world *w)
{
    with_reader(w);
    for (int i = 0; i < EVENTS; i++) {
        char id[16];
        snprintf(id, sizeof id, "id %d", i);
        outbox_value row[] = {outbox_text("id", id), outbox_text("note", "a note"), outbox_blob("data", "\1\2", 2)};
        assert_ok(w, outbox_upsert(w->ob, "things", row, 3, OUTBOX_ANY_REVISION, NULL, NULL));
    }
}

static int call_snapshot(struct world *w)
{
    return outbox_reader_restart(w->r, OUTBOX_FROM_SNAPSHOT);
}

/* From its beginning, as it must be after a failure. */
static int call_snapshot_rows(struct world *w)
{
    const outbox_event *e = NULL;
    int count = 0, code = outbox_reader_restart(w->r, OUTBOX_FROM_SNAPSHOT);
    while (code == OUTBOX_OK && (code = outbox_reader_next(w->r, 0, &e)) == OUTBOX_OK) {
        char expected[128];
        int64_t revision = e->revision;
        snprintf(expected, sizeof expected,
                 "{\"id\":\"id %d\",\"note\":\"a note\",\"data\":{\"$base64\":\"AQI=\"},\"n\":null,\"revision\":%lld}",
                 count++, (long long)revision);
        assert_string_equal(e->payload, expected);
    }
    if (code != OUTBOX_DONE)
        return code;
    assert_int_equal(count, EVENTS);
    return OUTBOX_OK;
}

/* ---- Files ---- */

static void with_stream(struct world *w)
{
    open_handle(w);
    if (w->w.last)
        return;
    writer_write(&w->w, EVENTS);
    writer_rotate(&w->w);
    writer_write(&w->w, EVENTS);
}

static void with_file_reader(struct world *w)
{
    with_stream(w);
    char name[32];
    snprintf(name, sizeof name, "f-%d", w->n);
    open_reader(w, name, w->w.path, OUTBOX_FROM_START);
    w->seq = 0;
    w->last = w->w.last;
}

static void with_known(struct world *w)
{
    const outbox_event *e;
    with_stream(w);
    open_reader(w, "known", w->w.path, OUTBOX_FROM_START);
    if (outbox_reader_next(w->r, 0, &e) == OUTBOX_OK)
        assert_ok(w, outbox_reader_ack(w->r, e->seq));
    close_all(w);
    open_handle(w);
}

static void one_line_read(struct world *w)
{
    const outbox_event *e;
    with_file_reader(w);
    assert_ok(w, outbox_reader_next(w->r, 0, &e));
    w->seq = e->seq;
}

/* ---- Open, attach, migrate ---- */

static int call_open(struct world *w)
{
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL};
    outbox *ob = NULL;
    int code = outbox_open(w->path, &o, &ob);
    assert_true((code == OUTBOX_OK) == (ob != NULL));
    w->ob = ob;
    return code;
}

static int call_open_new(struct world *w)
{
    char path[192];
    outbox *ob = NULL;
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL};
    snprintf(path, sizeof path, "%s/new.db", w->dir);
    int code = outbox_open(path, &o, &ob);
    if (code != OUTBOX_OK)
        return code;
    code = outbox_emit(ob, "t", "k", "1", -1, NULL, NULL); /* the schema is whole */
    outbox_close(ob);
    return code;
}

static void remove_new(struct world *w)
{
    char path[128];
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/new.db%s", w->dir, tails[i]);
        unlink(path);
    }
}

static void with_connection(struct world *w)
{
    assert_int_equal(sqlite3_open(w->path, &w->db), SQLITE_OK);
}

static int call_attach(struct world *w)
{
    outbox *ob = NULL;
    int code = outbox_attach(w->db, NULL, &ob);
    assert_true((code == OUTBOX_OK) == (ob != NULL));
    w->ob = ob;
    return code;
}

/* A handle on a database that has only a file reader's table, and is given the rest. */
static int call_migrate(struct world *w)
{
    int code = outbox_migrate(w->ob);
    if (code == OUTBOX_OK)
        assert_true(sqlite3_get_autocommit(w->db));
    return code;
}

static void without_tables(struct world *w)
{
    char path[128];
    remove_new(w);
    snprintf(path, sizeof path, "%s/new.db", w->dir);
    assert_int_equal(sqlite3_open(path, &w->db), SQLITE_OK);
    sql_on(w->db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; CREATE TABLE t(a)");
    assert_int_equal(outbox_attach(w->db, NULL, &w->ob), OUTBOX_OK);
}

static struct oom_case cases[] = {
    {"reader_open, a new consumer", with_events, call_reader_open, close_all, WRITES},
    {"reader_open, a listener", with_events, call_listen, close_all, 0},
    {"reader_next", with_reader, call_next, close_all, 0},
    {"reader_next over a hole left on purpose", with_lifted_sequence, call_next, close_all, 0},
    {"reader_ack", one_read, call_ack, close_all, WRITES},
    {"reader_restart", with_reader, call_restart, close_all, WRITES},
    {"reader_restart with a snapshot", with_rows, call_snapshot, close_all, 0},
    {"a snapshot's rows", with_rows, call_snapshot_rows, close_all, 0},
    {"reader_open of files", with_stream, call_reader_open, close_all, WRITES},
    {"reader_next of files", with_file_reader, call_next, close_all, 0},
    {"reader_ack of files", one_line_read, call_ack, close_all, WRITES},
    {"reader_restart of files", one_line_read, call_restart, close_all, WRITES},
    {"reader_open, UTF-16", with_events, call_reader_open, close_all, WRITES | UTF16},
    {"reader_open of files, UTF-16", with_stream, call_reader_open, close_all, WRITES | UTF16},
    {"reader_open again of files, UTF-16", with_known, call_reopen, close_all, WRITES | UTF16},
    {"reader_next, UTF-16", with_reader, call_next, close_all, UTF16},
    {"reader_ack of files, UTF-16", one_line_read, call_ack, close_all, WRITES | UTF16},
    {"a snapshot's rows, UTF-16", with_rows, call_snapshot_rows, close_all, UTF16},
    {"open", NULL, call_open, close_all, 0},
    {"open, UTF-16", NULL, call_open, close_all, UTF16},
    {"open of a new file", NULL, call_open_new, remove_new, 0},
    {"attach", with_connection, call_attach, close_all, 0},
    {"attach, UTF-16", with_connection, call_attach, close_all, UTF16},
    {"migrate", without_tables, call_migrate, close_all, OF_ANOTHER},
};

int main(void)
{
    return run_cases("oom_reader", cases, sizeof cases / sizeof *cases);
}
