/* upsert.c — outbox_upsert and outbox_upsert_json. */
#include "handle.h"
#include "key.h"
#include "row_json.h"
#include "transaction.h"
#include "utf8.h"
#include "value.h"
#include "write.h"

static int check_values(outbox *ob, const outbox_value *row, int n)
{
    size_t offset;
    for (int i = 0; i < n; i++) {
        const outbox_value *v = &row[i];
        if (v->type < OUTBOX_TYPE_NULL || v->type > OUTBOX_TYPE_BLOB || v->reserved || v->size < 0)
            return fail(ob, OUTBOX_INVALID,
                        "column %s: not a value of this library (build it with outbox_int, outbox_text, …)",
                        v->column ? v->column : "NULL");
        if (v->type == OUTBOX_TYPE_TEXT && !utf8_valid(v->as.data, (size_t)v->size, &offset))
            return fail(ob, OUTBOX_INVALID, "column %s: malformed UTF-8 at byte %zu", v->column ? v->column : "NULL",
                        offset);
    }
    return OUTBOX_OK;
}

/* Finds table, plan and row; looks again where the schema has changed since the statements were prepared. */
static int find_for_upsert(struct write *w)
{
    int code = table_find(w->ob, w->table_name, &w->table);
    for (int tries = 0; code == OUTBOX_OK; tries++) {
        bool changed = false;
        code = table_plan(w->ob, w->table, w->row, w->n, &w->plan);
        if (code == OUTBOX_OK)
            code = key_from_row(w->ob, w->table, w->plan, w->row, &w->assigned);
        if (code != OUTBOX_OK && tries == 0) {
            /* What looks wrong may only be new: a column added since we looked. */
            int first = code;
            bool stale = false;
            code = table_refresh(w->ob, &w->table, &stale);
            if (code == OUTBOX_OK && stale)
                continue;
            return code == OUTBOX_OK ? first : code;
        }
        if (code != OUTBOX_OK)
            return code;
        if (w->assigned && w->expected != 0)
            return fail(w->ob, OUTBOX_INVALID,
                        "table %s: key column %s is missing; SQLite assigns one only at expected revision 0",
                        w->table->name, w->table->columns[w->table->keys[0]].name);
        /* Of a key still to be assigned there is no row, but the step tells whether the schema has changed. */
        code = row_find(w->ob, &w->table, &w->found, &changed);
        if (code != OUTBOX_OK || !changed)
            return code;
        if (tries == SCHEMA_TRIES)
            return fail(w->ob, OUTBOX_ERROR, "table %s: %s", w->table->name, sqlite3_errmsg(w->ob->db));
    }
    return code;
}

/* Every value given is stored already, byte for byte. */
static bool plainly_unchanged(const struct write *w)
{
    for (int i = 0; i < w->n; i++) {
        int c = w->plan->columns[i];
        if (c < 0 || w->table->columns[c].key_place)
            continue;
        outbox_value stored = value_stored(w->table->select, SELECT_IMAGE + c);
        if (!value_same(&stored, &w->row[i]))
            return false;
    }
    return true;
}

/* The revision a new row begins with: on from the key's last delete, as long as the log keeps it. */
static int first_revision(struct write *w)
{
    outbox *ob = w->ob;
    int code;
    w->revision = 1;
    if (w->assigned)
        return OUTBOX_OK;
    sqlite3_stmt *st = handle_statement(ob, ST_LAST_DELETE, &code);
    if (!st)
        return code;
    int rc = sqlite3_bind_text(st, 1, w->table->name, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text64(st, 2, ob->key.data, ob->key.size, SQLITE_STATIC, SQLITE_UTF8);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int64_t last = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return fail_sqlite(ob, rc, "change_log");
    if (last == INT64_MAX)
        return fail(ob, OUTBOX_INVALID, "table %s, key %s: the revision is at the end of its range", w->table->name,
                    write_key_words(ob));
    w->revision = last > 0 ? last + 1 : 1;
    return OUTBOX_OK;
}

/* UPDATE where the row exists, else INSERT: an upsert of some columns must not fail on the others' NOT NULL. */
static int change_row(struct write *w)
{
    sqlite3_stmt *st = w->found.exists ? w->plan->update : w->plan->insert;
    int rc = SQLITE_OK;
    for (int i = 0; i < w->n && rc == SQLITE_OK; i++) {
        int c = w->plan->columns[i];
        if (c < 0)
            continue;
        int place = w->table->columns[c].key_place;
        const outbox_value *v = place && !w->assigned ? &w->table->key_values[place - 1] : &w->row[i];
        rc = value_bind(st, i + 1, v);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(st, w->n + 1, w->revision);
    return rc == SQLITE_OK ? write_step(w, st) : fail_sqlite(w->ob, rc, w->table->name);
}

/* Reads what the row became: affinity, defaults, generated columns and triggers have had their say. */
static int read_back(struct write *w)
{
    outbox *ob = w->ob;
    int64_t before = w->found.revision;
    if (w->assigned)
        w->table->key_values[0] = outbox_int(NULL, sqlite3_last_insert_rowid(ob->db));
    int code = row_find(ob, &w->table, &w->found, NULL);
    if (code != OUTBOX_OK)
        return code;
    if (!w->found.exists)
        return fail(ob, OUTBOX_CONSTRAINT, "table %s: a trigger of its own removed the row just written",
                    w->table->name);
    /* Without a rowid that can be read, what SQLite itself has left of the INSERT: the row's, or what was there before. */
    w->rowid = sqlite3_column_type(w->table->select, SELECT_ROWID) == SQLITE_INTEGER
                   ? w->found.rowid
                   : sqlite3_last_insert_rowid(ob->db);
    w->revision = w->found.revision;
    code = write_take_key(w);
    if (code == OUTBOX_OK && w->revision <= before)
        code = fail(ob, OUTBOX_INVALID,
                    "table %s, key %s: a trigger set the revision to %lld, which was %lld before; it must rise",
                    w->table->name, write_key_words(ob), (long long)w->revision, (long long)before);
    if (code == OUTBOX_OK)
        code = write_take_image(w, &ob->after);
    row_done(w->table);
    if (code == OUTBOX_OK && (int64_t)ob->after.size > ob->max_payload_bytes)
        code = fail(ob, OUTBOX_TOOBIG, "table %s, key %s: the row is %zu bytes as JSON, max-payload is %lld",
                    w->table->name, write_key_words(ob), ob->after.size, (long long)ob->max_payload_bytes);
    return code;
}

/* The images differ in nothing but the revision: what was given only looked different (affinity). */
static int same_but_revision(struct write *w, int64_t before, bool *same)
{
    outbox *ob = w->ob;
    struct found_row row;
    buffer_clear(&ob->after);
    int code = row_find(ob, &w->table, &row, NULL);
    if (code == OUTBOX_OK && row.exists)
        row_write_at(&ob->after, w->table, before);
    row_done(w->table);
    *same = ob->after.size == ob->before.size && !memcmp(ob->after.data, ob->before.data, ob->before.size);
    return code != OUTBOX_OK || buffer_ok(&ob->after) ? code : fail(ob, OUTBOX_NOMEM, "out of memory");
}

/* Inside the scope. *unchanged: nothing is to be kept. */
static int upsert_row(struct write *w, struct scope *scope, bool *unchanged)
{
    outbox *ob = w->ob;
    int code = find_for_upsert(w);
    if (code != OUTBOX_OK)
        return code;
    bool update = w->found.exists;
    w->rowid = sqlite3_last_insert_rowid(ob->db);
    if (!w->assigned)
        code = write_take_key(w);
    if (code == OUTBOX_OK)
        code = write_check_revision(w);
    bool skip = code == OUTBOX_OK && update && (w->options.flags & OUTBOX_SKIP_UNCHANGED);
    if (skip && plainly_unchanged(w))
        *unchanged = true;
    else if (code == OUTBOX_OK && update)
        code = write_take_image(w, &ob->before);
    row_done(w->table);
    if (code != OUTBOX_OK || *unchanged)
        return code;

    int64_t before = w->found.revision;
    w->revision = before + 1;
    if (!update)
        code = first_revision(w);
    if (code == OUTBOX_OK)
        code = scope_protect(ob, scope);
    if (code == OUTBOX_OK)
        code = write_prepare(w);
    if (code == OUTBOX_OK)
        code = change_row(w);
    if (code == OUTBOX_OK && skip)
        code = same_but_revision(w, before, unchanged);
    if (code == OUTBOX_OK && *unchanged) {
        w->revision = before;
        return OUTBOX_OK;
    }
    if (code == OUTBOX_OK)
        code = read_back(w);
    if (code == OUTBOX_OK)
        code = write_owe(w, update ? "update" : "insert", update ? &ob->before : NULL, &ob->after);
    return code;
}

int outbox_upsert(outbox *ob, const char *table, const outbox_value *row, int n, int64_t expected_revision,
                  const outbox_write_options *options, int64_t *revision)
{
    struct write w = {.ob = ob, .table_name = table, .row = row, .n = n, .expected = expected_revision};
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!row || n < 1)
        return fail(ob, row ? OUTBOX_INVALID : OUTBOX_MISUSE, "the row is empty");
    code = write_begin(&w, options);
    if (code == OUTBOX_OK && (w.options.flags & OUTBOX_BLOB))
        code = fail(ob, OUTBOX_INVALID, "OUTBOX_BLOB is for outbox_emit");
    if (code == OUTBOX_OK)
        code = check_values(ob, row, n);
    struct scope scope;
    if (code == OUTBOX_OK)
        code = scope_enter(ob, &scope);
    if (code != OUTBOX_OK)
        return code;
    bool unchanged = false;
    code = upsert_row(&w, &scope, &unchanged);
    code = unchanged && code == OUTBOX_OK ? scope_discard(ob, &scope) : scope_leave(ob, &scope, code);
    if (code != OUTBOX_OK)
        return code;
    write_remember(&w);
    if (revision)
        *revision = unchanged ? w.found.revision : w.revision;
    return OUTBOX_OK;
}

int outbox_upsert_json(outbox *ob, const char *table, const char *json, ptrdiff_t size, int64_t expected_revision,
                       const outbox_write_options *options, int64_t *revision)
{
    int n, code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!table || !json || size < -1)
        return fail(ob, OUTBOX_MISUSE, "table or row is NULL, or the size below -1");
    code = row_from_json(ob, table, json, size == -1 ? strlen(json) : (size_t)size, &n);
    return code == OUTBOX_OK ? outbox_upsert(ob, table, ob->row_values, n, expected_revision, options, revision) : code;
}
