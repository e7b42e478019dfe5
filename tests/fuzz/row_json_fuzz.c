/* row_json_fuzz.c — a row as JSON, written to tables in memory: what is taken is JSON to SQLite too, is logged as it is
 * stored, and written again comes out the same; what is refused has written nothing. */
#include "fuzz.h"

static const char tables[] = "CREATE TABLE plain(id INTEGER PRIMARY KEY, a TEXT, b REAL, c BLOB, d, e INTEGER,"
                             "                   revision INTEGER NOT NULL DEFAULT 1);"
                             "CREATE TABLE pairs(k TEXT, n ANY, v ANY, revision INTEGER NOT NULL DEFAULT 1,"
                             "                   PRIMARY KEY (k, n)) STRICT, WITHOUT ROWID;";

static int64_t query(outbox *ob, const char *sql, const char *text)
{
    sqlite3_stmt *st = fuzz_prepare(outbox_db(ob), sql);
    if (text)
        sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
    CHECK(sqlite3_step(st) == SQLITE_ROW);
    int64_t value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

/* The row as it is read, what was logged of it, and what comes of writing that again. */
static void check_written(outbox *ob, const char *table, int64_t revision)
{
    const char *row = NULL;
    char *key = strdup(outbox_last_key(ob)), *image;
    int64_t at = 0, after = 0, events = query(ob, "SELECT count(*) FROM change_log", NULL);
    CHECK(key != NULL && revision == 1);
    CHECK(outbox_get(ob, table, key, &row, &at) == OUTBOX_OK && at == 1);
    image = strdup(row);
    CHECK(image && fuzz_is_utf8(image, strlen(image)) && fuzz_sqlite_json_valid(image, strlen(image)));
    CHECK(query(ob, "SELECT payload = ?1 AND op = 'insert' FROM change_log ORDER BY seq DESC LIMIT 1", image) == 1);
    CHECK(query(ob, "SELECT count(*) = (SELECT count(*) FROM change_log) FROM outbox", NULL) == 1);

    CHECK(outbox_upsert_json(ob, table, image, -1, 1, NULL, &after) == OUTBOX_OK && after == 2);
    CHECK(!strcmp(outbox_last_key(ob), key) && query(ob, "SELECT count(*) FROM change_log", NULL) == events + 1);
    CHECK(query(ob, "SELECT before = ?1 FROM change_log ORDER BY seq DESC LIMIT 1", image) == 1);
    CHECK(query(ob, "SELECT json_set(payload, '$.revision', 1) = json(?1) FROM change_log ORDER BY seq DESC LIMIT 1",
                image) == 1);
    CHECK(outbox_upsert_json(ob, table, image, -1, 1, NULL, NULL) == OUTBOX_CONFLICT);
    free(image);
    free(key);
}

static void check_table(outbox *ob, const char *table, const char *json, size_t size)
{
    int64_t revision = -7;
    CHECK(outbox_begin(ob) == OUTBOX_OK);
    int changes = sqlite3_total_changes(outbox_db(ob));
    int code = outbox_upsert_json(ob, table, json, (ptrdiff_t)size, 0, NULL, &revision);
    if (code == OUTBOX_OK) {
        CHECK(fuzz_is_utf8(json, size) && fuzz_sqlite_json_valid(json, size));
        check_written(ob, table, revision);
    } else {
        CHECK(code == OUTBOX_INVALID || code == OUTBOX_CONSTRAINT);
        CHECK(revision == -7 && outbox_errmsg(ob)[0]);
        CHECK(query(ob, "SELECT count(*) FROM change_log", NULL) == 0 &&
              query(ob, "SELECT count(*) FROM outbox", NULL) == 0);
        CHECK(query(ob, "SELECT count(*) FROM plain", NULL) + query(ob, "SELECT count(*) FROM pairs", NULL) == 0);
        CHECK(code != OUTBOX_INVALID || sqlite3_total_changes(outbox_db(ob)) == changes);
    }
    CHECK(outbox_rollback(ob) == OUTBOX_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    outbox *ob = fuzz_outbox(tables);
    check_table(ob, "plain", (const char *)data, size);
    check_table(ob, "pairs", (const char *)data, size);
    return 0;
}
