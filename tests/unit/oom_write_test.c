/* oom_write_test.c — out of memory in each of the calls that write: nothing half done, and the handle stays good. */
#include "oom_rig.h"

static const char headers[] = "{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}";

static void *long_text(void)
{
    static char text[9000]; /* overflow pages */
    memset(text, 'x', sizeof text - 1);
    return text;
}

static int upsert(struct world *w, const char *id, int64_t expected)
{
    outbox_write_options o = {.size = sizeof o, .ordering_key = "customer-9", .headers = headers};
    outbox_value row[] = {outbox_text("id", id), outbox_text("note", long_text()), outbox_blob("data", "\0\1", 2),
                          outbox_int("n", w->n)};
    int64_t revision = -7;
    int code = outbox_upsert(w->ob, "things", row, 4, expected, &o, &revision);
    if (code != OUTBOX_OK)
        assert_int_equal(revision, -7);
    return code;
}

static int call_insert(struct world *w)
{
    char id[32];
    snprintf(id, sizeof id, "row %d", w->n);
    return upsert(w, id, 0);
}

static int call_update(struct world *w)
{
    return upsert(w, "the same", OUTBOX_ANY_REVISION);
}

static int call_upsert_json(struct world *w)
{
    char json[256];
    int n = snprintf(json, sizeof json,
                     "{\"id\":\"json\",\"note\":\"\\u00e9 \\ud83d\\ude00\",\"n\":%d,\"data\":{\"$base64\":\"AAEC\"}}",
                     w->n);
    return outbox_upsert_json(w->ob, "things", json, n, OUTBOX_ANY_REVISION, NULL, NULL);
}

static int call_unchanged(struct world *w)
{
    outbox_write_options o = {.size = sizeof o, .flags = OUTBOX_SKIP_UNCHANGED};
    outbox_value row[] = {outbox_text("id", "same"), outbox_text("n", "5")}; /* by affinity what is there */
    return outbox_upsert(w->ob, "things", row, 2, OUTBOX_ANY_REVISION, &o, NULL);
}

static void with_same(struct world *w)
{
    open_handle(w);
    outbox_value row[] = {outbox_text("id", "same"), outbox_int("n", 5)};
    int code = outbox_upsert(w->ob, "things", row, 2, 0, NULL, NULL);
    assert_true(code == OUTBOX_OK || code == OUTBOX_CONFLICT);
    close_handle(w);
    open_handle(w);
}

static int call_conflict(struct world *w)
{
    int code = upsert(w, "same", 77);
    return code == OUTBOX_CONFLICT ? OUTBOX_OK : code;
}

static void with_victim(struct world *w)
{
    with_same(w);
    assert_ok(w, upsert(w, "victim", OUTBOX_ANY_REVISION));
    close_handle(w);
    open_handle(w);
}

static int call_delete(struct world *w)
{
    return outbox_delete(w->ob, "things", "victim", OUTBOX_ANY_REVISION, NULL);
}

static int call_emit(struct world *w)
{
    outbox_write_options o = {.size = sizeof o, .ordering_key = "customer-9", .headers = headers};
    int64_t seq = -7;
    int code = outbox_emit(w->ob, "mail", "key", "{\"to\":\"somebody\"}", -1, &o, &seq);
    assert_true(code == OUTBOX_OK ? seq > 0 : seq == -7);
    return code;
}

static int call_emit_blob(struct world *w)
{
    outbox_write_options o = {.size = sizeof o, .flags = OUTBOX_BLOB};
    return outbox_emit(w->ob, "mail", "key", long_text(), 9000, &o, NULL);
}

static int call_get(struct world *w)
{
    const char *json = NULL;
    int64_t revision = 0;
    int code = outbox_get(w->ob, "things", "same", &json, &revision);
    if (code == OUTBOX_OK)
        assert_string_equal(json, "{\"id\":\"same\",\"note\":null,\"data\":null,\"n\":5,\"revision\":1}");
    return code;
}

/* ---- Transactions ---- */

static void in_transaction(struct world *w)
{
    open_handle(w);
    assert_ok(w, outbox_begin(w->ob));
    assert_ok(w, outbox_emit(w->ob, "mail", "first", "1", -1, NULL, NULL));
}

/* Warm: every statement that the write needs is there, so only what it does can fail. */
static void in_warm_transaction(struct world *w)
{
    open_handle(w);
    assert_ok(w, call_update(w));
    assert_ok(w, outbox_begin(w->ob));
    assert_ok(w, outbox_emit(w->ob, "mail", "first", "1", -1, NULL, NULL));
}

/* What the transaction showed is what its commit makes true. */
static void commit_all(struct world *w)
{
    char inside[512], outside[512];
    look(w, inside);
    assert_ok(w, outbox_commit(w->ob));
    state_of(w->eye, outside);
    assert_string_equal(inside, outside);
    close_handle(w);
}

/* Where not even the savepoint could be gone back to, the whole transaction is gone, and is begun again. */
static int aborted_or(struct world *w, int code)
{
    if (code != OUTBOX_ABORTED)
        return code;
    assert_true(sqlite3_get_autocommit(outbox_db(w->ob)));
    strcpy(w->before, w->committed);
    return w->refused;
}

static int call_update_within(struct world *w)
{
    if (sqlite3_get_autocommit(outbox_db(w->ob))) { /* again, after it was aborted */
        assert_ok(w, outbox_rollback(w->ob));
        assert_ok(w, outbox_begin(w->ob));
    }
    return aborted_or(w, call_update(w));
}

static int call_begin(struct world *w)
{
    return outbox_begin(w->ob);
}

static void roll_back(struct world *w)
{
    assert_ok(w, outbox_rollback(w->ob));
    close_handle(w);
}

/* Whatever it says no transaction is open afterwards, and nothing is half there. */
static int call_commit(struct world *w)
{
    if (sqlite3_get_autocommit(outbox_db(w->ob))) { /* the one before is over */
        assert_ok(w, outbox_begin(w->ob));
        assert_ok(w, outbox_emit(w->ob, "mail", "first", "1", -1, NULL, NULL));
    }
    int code = outbox_commit(w->ob);
    assert_true(sqlite3_get_autocommit(outbox_db(w->ob)));
    if (code != OUTBOX_OK)
        strcpy(w->before, w->committed);
    return code;
}

static int call_rollback(struct world *w)
{
    int code = outbox_rollback(w->ob);
    if (code == OUTBOX_OK)
        strcpy(w->before, w->committed);
    return code;
}

/* ---- The pool ---- */

static void open_pool(struct world *w)
{
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL};
    assert_int_equal(outbox_pool_open(w->path, &o, &w->pool), OUTBOX_OK);
}

static void close_pool(struct world *w)
{
    outbox_pool_close(w->pool);
    w->pool = NULL;
}

static int piece_of_work(outbox *ob, void *arg)
{
    outbox_value row[] = {outbox_text("id", "pooled"), outbox_int("n", *(int *)arg)};
    return outbox_upsert(ob, "things", row, 2, OUTBOX_ANY_REVISION, NULL, NULL);
}

static int call_pool_run(struct world *w)
{
    return outbox_pool_run(w->pool, piece_of_work, &w->n);
}

static int call_pool_open(struct world *w)
{
    outbox_pool *pool = NULL;
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL};
    int code = outbox_pool_open(w->path, &o, &pool);
    assert_true((code == OUTBOX_OK) == (pool != NULL));
    w->pool = pool;
    return code;
}

static struct oom_case cases[] = {
    {"insert", open_handle, call_insert, close_handle, WRITES},
    {"update", with_victim, call_update, close_handle, WRITES},
    {"upsert_json", open_handle, call_upsert_json, close_handle, WRITES},
    {"a row that stays as it is", with_same, call_unchanged, close_handle, 0},
    {"conflict", with_same, call_conflict, close_handle, 0},
    {"delete", with_victim, call_delete, close_handle, WRITES},
    {"emit", open_handle, call_emit, close_handle, WRITES},
    {"emit bytes", open_handle, call_emit_blob, close_handle, WRITES},
    {"get", with_same, call_get, close_handle, 0},
    {"upsert in a transaction", in_transaction, call_update_within, commit_all, WRITES},
    {"upsert in a transaction, warm", in_warm_transaction, call_update_within, commit_all, WRITES},
    {"begin", open_handle, call_begin, roll_back, 0},
    {"commit", in_transaction, call_commit, close_handle, 0},
    {"rollback", in_transaction, call_rollback, close_handle, NEEDS_NONE},
    {"pool_run", open_pool, call_pool_run, close_pool, WRITES},
    {"pool_open", NULL, call_pool_open, close_pool, 0},
    {"insert, UTF-16", open_handle, call_insert, close_handle, WRITES | UTF16},
    {"update, UTF-16", with_victim, call_update, close_handle, WRITES | UTF16},
    {"delete, UTF-16", with_victim, call_delete, close_handle, WRITES | UTF16},
    {"emit, UTF-16", open_handle, call_emit, close_handle, WRITES | UTF16},
    {"get, UTF-16", with_same, call_get, close_handle, UTF16},
    {"upsert in a transaction, UTF-16", in_warm_transaction, call_update_within, commit_all, WRITES | UTF16},
};

int main(void)
{
    return run_cases("oom_write", cases, sizeof cases / sizeof *cases);
}
