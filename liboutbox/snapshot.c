/* snapshot.c — see snapshot.h.
 *
 * The rows go through row.c and value.c, as those of events do, so a row's payload here is that of its last event byte
 * for byte. For that the tables belong to a handle of the snapshot's own, on its own connection.
 */
#include <stdio.h>
#include <stdlib.h>

#include "handle.h"
#include "key.h"
#include "row.h"
#include "snapshot.h"
#include "timestamp.h"

static const char sql_last_seq[] =
    "SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0)";

static const char sql_tables[] =
    "SELECT t.name FROM pragma_table_list AS t"
    " WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    "   AND t.name COLLATE NOCASE NOT IN ('change_log', 'outbox', 'consumer_offsets', 'failed_deliveries', "
    "'outbox_meta')"
    "   AND EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name, 'main')"
    "                WHERE name = 'revision' COLLATE NOCASE AND pk = 0 AND hidden = 0)"
    "   AND EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name, 'main') WHERE pk > 0)"
    " ORDER BY t.name";

enum { SNAPSHOT_BUSY_MS = 5000 };

struct snapshot {
    sqlite3 *db;
    outbox *view; /* a handle on db */
    int64_t seq, taken_at_us;
    char id[64];
    char **names;
    int count, at;       /* tables, and the one being read */
    struct table *table; /* that one; its SELECT stands on a row not read yet. NULL: every row is read */
    int failed;          /* the code it broke off with: what was read then is lost, so there is no going on */
    struct buffer key, payload;
};

/* ---- Rows --------------------------------------------------------------------------------------------------------- */

/* The view never looks a row up by its key, so the SELECT of a table is put aside for one that walks through it. */
static int begin_table(struct snapshot *s)
{
    struct table *t;
    sqlite3_stmt *scan;
    int code = table_find(s->view, s->names[s->at], &t);
    if (code != OUTBOX_OK)
        return code;
    sqlite3_str *sql = sqlite3_str_new(s->db);
    sqlite3_str_appendall(sql, "SELECT NULL");
    for (int i = 0; i < t->column_count; i++)
        sqlite3_str_appendf(sql, ", \"%w\"", t->columns[i].name);
    sqlite3_str_appendf(sql, " FROM main.\"%w\"", t->name);
    for (int k = 0; k < t->key_count; k++)
        sqlite3_str_appendf(sql, "%s\"%w\"", k ? ", " : " ORDER BY ", t->columns[t->keys[k]].name);
    char *text = sqlite3_str_finish(sql);
    int rc = text ? sqlite3_prepare_v2(s->db, text, -1, &scan, NULL) : SQLITE_NOMEM;
    sqlite3_free(text);
    if (rc != SQLITE_OK)
        return fail_sqlite(s->view, rc, t->name);
    sqlite3_finalize(t->select);
    t->select = scan;
    s->table = t;
    return OUTBOX_OK;
}

/* On to the next row, of this table or a later one. */
static int advance(struct snapshot *s)
{
    int code = OUTBOX_OK;
    while (code == OUTBOX_OK) {
        int rc = s->table ? sqlite3_step(s->table->select) : SQLITE_DONE;
        if (rc == SQLITE_ROW)
            return OUTBOX_OK;
        if (rc != SQLITE_DONE)
            return fail_sqlite(s->view, rc, s->table->name);
        if (s->table) {
            row_done(s->table);
            s->table = NULL;
            s->at++;
        }
        if (s->at == s->count)
            return OUTBOX_OK;
        code = begin_table(s);
    }
    return code;
}

static bool put_row(struct snapshot *s, struct event_batch *batch)
{
    const struct table *t = s->table;
    buffer_clear(&s->key);
    buffer_clear(&s->payload);
    key_write_stored(&s->key, t);
    row_write(&s->payload, t);
    if (!buffer_ok(&s->key) || !buffer_ok(&s->payload))
        return false;
    outbox_event row = {
        .seq = s->seq,
        .prev = s->seq,
        .revision = sqlite3_column_int64(t->select, SELECT_IMAGE + t->revision),
        .time_us = s->taken_at_us,
        .op = "row",
        .id = s->id,
        .topic = t->name,
        .topic_size = strlen(t->name),
        .table = t->name,
        .table_size = strlen(t->name),
        .key = s->key.data ? s->key.data : "",
        .key_size = s->key.size,
        .payload = s->payload.data,
        .payload_size = s->payload.size,
    };
    return event_batch_put(batch, &row);
}

static int read_rows(struct snapshot *s, int count, struct event_batch *batch)
{
    int code = OUTBOX_OK;
    while (code == OUTBOX_OK && s->table && batch->count < count && !event_batch_is_large(batch))
        code = put_row(s, batch) ? advance(s) : fail(s->view, OUTBOX_NOMEM, "out of memory");
    return code;
}

int snapshot_read(outbox *ob, struct snapshot *s, int count, struct event_batch *batch)
{
    if (s->failed == OUTBOX_OK)
        s->failed = read_rows(s, count, batch);
    return s->failed == OUTBOX_OK ? OUTBOX_OK
                                  : fail(ob, s->failed, "the snapshot broke off, begin another: %s", s->view->message);
}

int64_t snapshot_seq(const struct snapshot *s)
{
    return s->seq;
}

bool snapshot_is_done(const struct snapshot *s)
{
    return !s->table;
}

/* ---- Open and close ----------------------------------------------------------------------------------------------- */

static int add_name(struct snapshot *s, const char *name)
{
    char **more = realloc(s->names, sizeof *more * (size_t)(s->count + 1));
    if (!more)
        return fail(s->view, OUTBOX_NOMEM, "out of memory");
    s->names = more;
    s->names[s->count] = strdup(name);
    if (!s->names[s->count])
        return fail(s->view, OUTBOX_NOMEM, "out of memory");
    s->count++;
    return OUTBOX_OK;
}

static int every_table(struct snapshot *s)
{
    sqlite3_stmt *st = NULL;
    int code = OUTBOX_OK, rc = sqlite3_prepare_v2(s->db, sql_tables, -1, &st, NULL);
    while (code == OUTBOX_OK && rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);
        code = name ? add_name(s, name) : fail(s->view, OUTBOX_NOMEM, "out of memory");
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return code != OUTBOX_OK || rc == SQLITE_DONE ? code : fail_sqlite(s->view, rc, "the schema");
}

/* Every name is looked at now, so that a wrong one is told before the first row. */
static int named_tables(struct snapshot *s, const char *const *tables)
{
    struct table *ignored;
    int code = OUTBOX_OK;
    for (; code == OUTBOX_OK && *tables; tables++) {
        code = table_find(s->view, *tables, &ignored);
        if (code == OUTBOX_OK)
            code = add_name(s, *tables);
    }
    return code;
}

/* The first read fixes what all later ones see. */
static int begin(struct snapshot *s)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL);
    int code = rc == SQLITE_OK ? handle_refresh(s->view) : fail_sqlite(s->view, rc, "begin");
    if (code != OUTBOX_OK)
        return code;
    rc = sqlite3_prepare_v2(s->db, sql_last_seq, -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        s->seq = sqlite3_column_int64(st, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_OK)
        rc = wal_sync(s->db); /* what is handed out must not be taken back by a power cut */
    if (rc != SQLITE_OK)
        return fail_sqlite(s->view, rc, "change_log");
    s->taken_at_us = timestamp_now_us();
    snprintf(s->id, sizeof s->id, "%s-%lld", s->view->source, (long long)s->seq);
    return OUTBOX_OK;
}

static int open_view(outbox *ob, struct snapshot *s, const char *db_path)
{
    int rc = sqlite3_open_v2(db_path, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return fail(ob, code_of_sqlite(rc), "snapshot of %s: %s", db_path, sqlite3_errstr(rc));
    sqlite3_busy_timeout(s->db, SNAPSHOT_BUSY_MS);
    int code = outbox_attach_checked(s->db, NULL, &s->view, NULL);
    return code == OUTBOX_OK ? code : fail(ob, code, "snapshot of %s: %s", db_path, outbox_errmsg(NULL));
}

static int read_schema(struct snapshot *s, const char *const *tables)
{
    int code = begin(s);
    if (code == OUTBOX_OK)
        code = tables ? named_tables(s, tables) : every_table(s);
    return code == OUTBOX_OK ? advance(s) : code;
}

int snapshot_open(outbox *ob, const char *db_path, const char *const *tables, struct snapshot **out)
{
    if (!db_path || !*db_path)
        return fail(ob, OUTBOX_INVALID, "a database in memory has no snapshot; name a file in snapshot_db");
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    int code = open_view(ob, s, db_path);
    if (code == OUTBOX_OK) {
        code = read_schema(s, tables);
        if (code != OUTBOX_OK)
            fail(ob, code, "snapshot of %s: %s", db_path, s->view->message);
    }
    if (code != OUTBOX_OK) {
        snapshot_close(s, false);
        return code;
    }
    *out = s;
    return OUTBOX_OK;
}

void snapshot_close(struct snapshot *s, bool forked)
{
    if (!s)
        return;
    outbox_close(s->view);
    if (!forked)
        sqlite3_close_v2(s->db); /* and with it its transaction */
    for (int i = 0; i < s->count; i++)
        free(s->names[i]);
    free(s->names);
    buffer_free(&s->key);
    buffer_free(&s->payload);
    free(s);
}
