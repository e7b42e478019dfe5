/* oom_capture_test.c — out of memory, interrupted and forbidden in what captures a table, and in writes to one that is
 * captured: all of its triggers or those of before, never some, and none that does less than it should.
 */
#include "oom_rig.h"

#include "capture.h"

enum { TEXT_SIZE = 1 << 18 };

static char as_before[TEXT_SIZE],
    as_wanted[TEXT_SIZE]; /* the triggers there were, and those of a capture undisturbed */

/* Keys and indexes of several kinds, and a trigger of the application's own. */
static const char sql_orders[] =
    "CREATE TABLE IF NOT EXISTS orders(region TEXT COLLATE NOCASE, n INTEGER, code TEXT UNIQUE, secret TEXT,"
    "  revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (region, n));"
    "CREATE TABLE IF NOT EXISTS numbered(id INTEGER PRIMARY KEY, note TEXT, revision INTEGER NOT NULL DEFAULT 1);"
    "CREATE UNIQUE INDEX IF NOT EXISTS numbered_1 ON numbered(lower(note));"
    "CREATE TABLE IF NOT EXISTS tagged(tag ANY PRIMARY KEY, note TEXT, revision INTEGER NOT NULL DEFAULT 1)"
    "  STRICT, WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS seen(n);"
    "CREATE TRIGGER IF NOT EXISTS own AFTER INSERT ON tagged BEGIN UPDATE tagged SET note = 'x' WHERE tag = NEW.tag; END";

static void triggers(struct world *w, char text[TEXT_SIZE])
{
    sqlite3_stmt *st = NULL;
    size_t used = 0;
    text[0] = '\0';
    assert_int_equal(sqlite3_prepare_v2(w->eye,
                                        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name", -1,
                                        &st, NULL),
                     SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s: %s\n", (const char *)sqlite3_column_text(st, 0),
                                 (const char *)sqlite3_column_text(st, 1));
        assert_true(used < TEXT_SIZE);
    }
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
}

/* After a failure those of before; after a success what the same call makes undisturbed. */
static int whole(struct world *w, int code)
{
    static char now[TEXT_SIZE];
    long left = alloc_left;
    alloc_left = -1;
    triggers(w, now);
    const char *wanted = code == OUTBOX_OK ? as_wanted : as_before;
    if (strcmp(now, wanted))
        fail_msg("%s: %s, and the triggers are\n%s\nand not\n%s", w->c->name,
                 code == OUTBOX_OK ? "captured" : outbox_errmsg(w->ob), now, wanted);
    alloc_left = left;
    return code;
}

/* One with all options, one with none. */
static int capture(outbox *ob, const char *table, bool with_all)
{
    static const char *const secret[] = {"secret", NULL}, *const watched[] = {"code", NULL};
    outbox_capture_options o = {.size = sizeof o,
                                .topic = "sales",
                                .ordering_key = "code",
                                .exclude = secret,
                                .only_if_changed = watched,
                                .ops = OUTBOX_CAPTURE_INSERT | OUTBOX_CAPTURE_UPDATE};
    return outbox_capture(ob, table, with_all ? &o : NULL);
}

/* Released, captured once as it will be for as_wanted, and as ready leaves it for as_before. */
static void ready_for(struct world *w, const char *table, bool captured_before, bool with_all)
{
    open_handle(w);
    if (w->n == 1) {
        sql_on(w->eye, sql_orders);
        assert_ok(w, capture(w->ob, table, with_all));
        triggers(w, as_wanted);
    }
    if (!captured_before)
        assert_ok(w, outbox_release(w->ob, table));
    if (w->n == 1)
        triggers(w, as_before);
    close_handle(w);
    open_handle(w);
}

static void with_orders(struct world *w)
{
    ready_for(w, "orders", false, true);
}

static int call_capture(struct world *w)
{
    return whole(w, capture(w->ob, "orders", true));
}

/* Captured with options, and once more without saying them: they are kept. */
static void with_captured(struct world *w)
{
    ready_for(w, "orders", true, true);
}

static int call_capture_again(struct world *w)
{
    return whole(w, capture(w->ob, "orders", false));
}

static void with_numbered(struct world *w)
{
    ready_for(w, "numbered", false, false);
}

static int call_capture_numbered(struct world *w)
{
    int code = capture(w->ob, "numbered", false);
    if (code == OUTBOX_OK && !*outbox_errmsg(w->ob) && !alloc_failed)
        fail_msg("nothing is said of the index that cannot be followed");
    return whole(w, code);
}

static void with_tagged(struct world *w)
{
    ready_for(w, "tagged", false, false);
}

static int call_capture_tagged(struct world *w)
{
    return whole(w, capture(w->ob, "tagged", false));
}

static void with_captured_to_release(struct world *w)
{
    if (w->n == 1) {
        sql_on(w->eye, sql_orders);
        triggers(w, as_wanted);
    }
    open_handle(w);
    assert_ok(w, capture(w->ob, "orders", true));
    triggers(w, as_before);
}

static int call_release(struct world *w)
{
    return whole(w, outbox_release(w->ob, "orders"));
}

/* ---- Writes to a captured table ---- */

static void captured_things(struct world *w)
{
    open_handle(w);
    if (w->n > 1)
        return;
    assert_ok(w, outbox_capture(w->ob, "things", NULL));
    close_handle(w);
    open_handle(w);
}

static int call_update(struct world *w)
{
    outbox_write_options o = {.size = sizeof o, .topic = "other", .ordering_key = "c-9", .headers = "{\"a\":\"b\"}"};
    outbox_value row[] = {outbox_text("id", "the same"), outbox_int("n", w->n)};
    return outbox_upsert(w->ob, "things", row, 2, OUTBOX_ANY_REVISION, &o, NULL);
}

static void with_victim(struct world *w)
{
    captured_things(w);
    outbox_value row[] = {outbox_text("id", "victim")};
    assert_ok(w, outbox_upsert(w->ob, "things", row, 1, OUTBOX_ANY_REVISION, NULL, NULL));
    close_handle(w);
    open_handle(w);
}

static int call_delete(struct world *w)
{
    return outbox_delete(w->ob, "things", "victim", OUTBOX_ANY_REVISION, NULL);
}

static struct oom_case cases[] = {
    {"capture", with_orders, call_capture, close_handle, LONG},
    {"capture again", with_captured, call_capture_again, close_handle, LONG},
    {"capture with an index on an expression", with_numbered, call_capture_numbered, close_handle, LONG},
    {"capture a table with a trigger of its own", with_tagged, call_capture_tagged, close_handle, LONG},
    {"release", with_captured_to_release, call_release, close_handle, LONG},
    {"update of a captured row", captured_things, call_update, close_handle, WRITES | LONG},
    {"delete of a captured row", with_victim, call_delete, close_handle, WRITES | LONG},
};

int main(void)
{
    return run_cases("oom_capture", cases, sizeof cases / sizeof *cases);
}
