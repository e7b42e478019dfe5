/* write.c — outbox_upsert, outbox_delete, outbox_get: the row and its event, all or nothing.
 *
 * A write reads the row, decides, changes it, reads what it became, and owes the event. Everything that can be refused
 * is refused before the first change; what the row became is never guessed.
 * Left to others: the transaction (transaction.c), the SQL (plan.c), keys (key.c), the log (owe.c).
 */
#include "handle.h"
#include "key.h"
#include "owe.h"
#include "row.h"
#include "row_json.h"
#include "table.h"
#include "transaction.h"
#include "utf8.h"
#include "value.h"

enum { SCHEMA_TRIES = 4 }; /* a schema that changes this often while we hold the write lock is a fault, not a race */

/* One write under way. */
struct write {
    outbox *ob;
    const char *table_name;
    const outbox_value *row;
    int n;
    int64_t expected;
    outbox_write_options options;
    struct table *table;
    struct plan *plan;
    bool assigned; /* SQLite chooses the key */
    struct found_row found;
    int64_t rowid; /* what sqlite3_last_insert_rowid() shall say */
    int64_t revision, seq;
};

static const char *key_words(outbox *ob)
{
    const char *text = buffer_text(&ob->key);
    return text ? text : "?";
}

static int out_of_memory(outbox *ob)
{
    return fail(ob, OUTBOX_NOMEM, "out of memory");
}

static int conflict(struct write *w)
{
    outbox *ob = w->ob;
    ob->found_revision = w->found.revision;
    const char *key = key_words(ob);
    if (w->expected == 0)
        return fail(ob, OUTBOX_CONFLICT, "table %s, key %s: expected no row, found revision %lld", w->table->name, key,
                    (long long)w->found.revision);
    if (!w->found.exists)
        return fail(ob, OUTBOX_CONFLICT, "table %s, key %s: expected revision %lld, found no row", w->table->name, key,
                    (long long)w->expected);
    return fail(ob, OUTBOX_CONFLICT, "table %s, key %s: expected revision %lld, found %lld", w->table->name, key,
                (long long)w->expected, (long long)w->found.revision);
}

/* The compare of compare-and-swap. */
static int check_revision(struct write *w)
{
    if (w->found.exists) {
        int code = row_check_revision(w->ob, w->table, &w->found, key_words(w->ob));
        if (code != OUTBOX_OK)
            return code;
    }
    if (w->expected == OUTBOX_ANY_REVISION || w->expected == w->found.revision)
        return OUTBOX_OK;
    return conflict(w);
}

/* The image of the row that SELECT stands on. */
static int take_image(struct write *w, struct buffer *image)
{
    buffer_clear(image);
    row_write(image, w->table);
    return buffer_ok(image) ? OUTBOX_OK : out_of_memory(w->ob);
}

/* After COMMIT nothing may fail any more: the room that last_key will need is made before. */
static int keep_room(outbox *ob)
{
    buffer_reserve(&ob->last_key, ob->key.size + 1);
    return buffer_ok(&ob->key) && buffer_ok(&ob->last_key) ? OUTBOX_OK : out_of_memory(ob);
}

/* The event's key is the one stored, where there is a row, and what would be stored where there is none. */
static int take_key(struct write *w)
{
    buffer_clear(&w->ob->key);
    if (w->found.exists)
        key_write_stored(&w->ob->key, w->table);
    else
        key_write(&w->ob->key, w->table);
    return keep_room(w->ob);
}

/* ---- Upsert ---- */

static int check_values(outbox *ob, const outbox_value *row, int n)
{
    size_t offset;
    for (int i = 0; i < n; i++) {
        const outbox_value *v = &row[i];
        if (v->type < OUTBOX_TYPE_NULL || v->type > OUTBOX_TYPE_BLOB || v->reserved || v->size < 0)
            return fail(ob, OUTBOX_INVALID, "column %s: not a value of this library (build it with outbox_int, outbox_text, …)",
                        v->column ? v->column : "NULL");
        if (v->type == OUTBOX_TYPE_TEXT && !utf8_valid(v->as.data, (size_t)v->size, &offset))
            return fail(ob, OUTBOX_INVALID, "column %s: malformed UTF-8 at byte %zu", v->column ? v->column : "NULL", offset);
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
            return fail(w->ob, OUTBOX_INVALID, "table %s: key column %s is missing; SQLite assigns one only at expected revision 0",
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
    sqlite3_bind_text(st, 1, w->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text64(st, 2, ob->key.data, ob->key.size, SQLITE_STATIC, SQLITE_UTF8);
    int rc = sqlite3_step(st);
    int64_t last = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return fail_sqlite(ob, rc, "change_log");
    if (last == INT64_MAX)
        return fail(ob, OUTBOX_INVALID, "table %s, key %s: the revision is at the end of its range", w->table->name, key_words(ob));
    w->revision = last > 0 ? last + 1 : 1;
    return OUTBOX_OK;
}

static int step_change(struct write *w, sqlite3_stmt *st)
{
    int rc = statement_run(st);
    if (rc == SQLITE_OK && sqlite3_changes(w->ob->db) == 1)
        return OUTBOX_OK;
    const char *key = w->assigned ? "(to be assigned)" : key_words(w->ob);
    if (rc == SQLITE_OK)
        return fail(w->ob, OUTBOX_CONSTRAINT, "table %s, key %s: a trigger or ON CONFLICT IGNORE dropped the write", w->table->name, key);
    char what[MESSAGE_SIZE / 2];
    sqlite3_snprintf(sizeof what, what, "table %s, key %s", w->table->name, key);
    return fail_sqlite(w->ob, rc, what);
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
    return rc == SQLITE_OK ? step_change(w, st) : fail_sqlite(w->ob, rc, w->table->name);
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
        return fail(ob, OUTBOX_CONSTRAINT, "table %s: a trigger of its own removed the row just written", w->table->name);
    w->rowid = w->found.rowid;
    w->revision = w->found.revision;
    code = take_key(w);
    if (code == OUTBOX_OK && w->revision <= before)
        code = fail(ob, OUTBOX_INVALID, "table %s, key %s: a trigger set the revision to %lld, which was %lld before; it must rise",
                    w->table->name, key_words(ob), (long long)w->revision, (long long)before);
    if (code == OUTBOX_OK)
        code = take_image(w, &ob->after);
    row_done(w->table);
    if (code == OUTBOX_OK && (int64_t)ob->after.size > ob->max_payload_bytes)
        code = fail(ob, OUTBOX_TOOBIG, "table %s, key %s: the row is %zu bytes as JSON, max-payload is %lld", w->table->name,
                    key_words(ob), ob->after.size, (long long)ob->max_payload_bytes);
    return code;
}

static int owe_row(struct write *w, const char *op, const struct buffer *before, const struct buffer *after)
{
    outbox *ob = w->ob;
    struct change change = {
        .op = op,
        .topic = w->options.topic ? w->options.topic : w->table->name,
        .table = w->table->name,
        .key = ob->key.data ? ob->key.data : "",
        .key_size = ob->key.size,
        .revision = w->revision,
        .before = before ? before->data : NULL,
        .before_size = before ? before->size : 0,
        .payload = after ? after->data : NULL,
        .payload_size = after ? after->size : 0,
        .options = &w->options,
    };
    int code = owe(ob, &change, &w->seq);
    sqlite3_set_last_insert_rowid(ob->db, w->rowid);
    return code;
}

/* The images differ in nothing but the revision: what was given only looked different (affinity). */
static bool same_but_revision(struct write *w, int64_t before)
{
    outbox *ob = w->ob;
    struct found_row row;
    buffer_clear(&ob->after);
    if (row_find(ob, &w->table, &row, NULL) == OUTBOX_OK && row.exists)
        row_write_at(&ob->after, w->table, before);
    row_done(w->table);
    return buffer_ok(&ob->after) && ob->after.size == ob->before.size &&
           !memcmp(ob->after.data, ob->before.data, ob->before.size);
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
        code = take_key(w);
    if (code == OUTBOX_OK)
        code = check_revision(w);
    bool skip = code == OUTBOX_OK && update && (w->options.flags & OUTBOX_SKIP_UNCHANGED);
    if (skip && plainly_unchanged(w))
        *unchanged = true;
    else if (code == OUTBOX_OK && update)
        code = take_image(w, &ob->before);
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
        code = change_row(w);
    if (code == OUTBOX_OK && skip && same_but_revision(w, before)) {
        *unchanged = true;
        w->revision = before;
        return OUTBOX_OK;
    }
    if (code == OUTBOX_OK)
        code = read_back(w);
    if (code == OUTBOX_OK)
        code = owe_row(w, update ? "update" : "insert", update ? &ob->before : NULL, &ob->after);
    return code;
}

/* What a write that succeeded leaves on the handle. Cannot fail: take_key has made the room. */
static void remember(struct write *w)
{
    outbox *ob = w->ob;
    ob->last_seq = w->seq;
    buffer_clear(&ob->last_key);
    buffer_append(&ob->last_key, ob->key.data, ob->key.size);
    buffer_text(&ob->last_key);
}

static int write_begin(struct write *w, const outbox_write_options *options)
{
    outbox *ob = w->ob;
    if (!w->table_name)
        return fail(ob, OUTBOX_MISUSE, "table is NULL");
    if (w->expected < OUTBOX_ANY_REVISION)
        return fail(ob, OUTBOX_INVALID, "expected revision %lld: give 0, a revision, or OUTBOX_ANY_REVISION", (long long)w->expected);
    return write_options_read(ob, options, &w->options);
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
    remember(&w);
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

/* ---- Delete and get ---- */

/* Finds the row that key names; a text may stand for more than one value, and the first that exists is meant. On
 * OUTBOX_OK the SELECT stands on it, if it exists. */
static int find_by_text(struct write *w, const char *key)
{
    outbox *ob = w->ob;
    int code = table_find(ob, w->table_name, &w->table), tries = 0;
    w->found = (struct found_row){false, 0, 0};
    for (int reading = 0; code == OUTBOX_OK && !w->found.exists; reading++) {
        bool changed = false;
        code = key_from_text(ob, w->table, key, reading, &ob->row_text);
        if (code == OUTBOX_NOT_FOUND) { /* no further reading */
            code = OUTBOX_OK;
            break;
        }
        if (code == OUTBOX_OK)
            code = row_find(ob, &w->table, &w->found, &changed);
        if (changed) {
            reading = -1;
            w->found.exists = false;
            if (++tries == SCHEMA_TRIES)
                return fail(ob, OUTBOX_ERROR, "table %s: %s", w->table->name, sqlite3_errmsg(ob->db));
        }
    }
    if (code != OUTBOX_OK)
        return code;
    buffer_clear(&ob->key);
    if (w->found.exists)
        key_write_stored(&ob->key, w->table);
    else
        buffer_append_text(&ob->key, key);
    return keep_room(ob);
}

static int delete_row(struct write *w, struct scope *scope, const char *key)
{
    outbox *ob = w->ob;
    int code = find_by_text(w, key);
    w->rowid = sqlite3_last_insert_rowid(ob->db);
    if (code == OUTBOX_OK && !w->found.exists && w->expected == OUTBOX_ANY_REVISION)
        code = fail(ob, OUTBOX_NOT_FOUND, "table %s, key %s: no such row", w->table->name, key);
    if (code == OUTBOX_OK)
        code = check_revision(w);
    if (code == OUTBOX_OK)
        code = take_image(w, &ob->before);
    if (w->table)
        row_done(w->table);
    if (code == OUTBOX_OK)
        code = scope_protect(ob, scope);
    if (code != OUTBOX_OK)
        return code;
    w->revision = w->found.revision + 1;
    int rc = key_bind(w->table->delete, w->table);
    code = rc == SQLITE_OK ? step_change(w, w->table->delete) : fail_sqlite(ob, rc, w->table->name);
    return code == OUTBOX_OK ? owe_row(w, "delete", &ob->before, NULL) : code;
}

int outbox_delete(outbox *ob, const char *table, const char *key, int64_t expected_revision,
                  const outbox_write_options *options)
{
    struct write w = {.ob = ob, .table_name = table, .expected = expected_revision};
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!key)
        return fail(ob, OUTBOX_MISUSE, "key is NULL");
    if (expected_revision == 0)
        return fail(ob, OUTBOX_INVALID, "expected revision 0: a row that must not exist cannot be deleted");
    code = write_begin(&w, options);
    if (code == OUTBOX_OK && w.options.flags)
        code = fail(ob, OUTBOX_INVALID, "outbox_delete takes no flags");
    struct scope scope;
    if (code == OUTBOX_OK)
        code = scope_enter(ob, &scope);
    if (code != OUTBOX_OK)
        return code;
    code = scope_leave(ob, &scope, delete_row(&w, &scope, key));
    if (code == OUTBOX_OK)
        remember(&w);
    return code;
}

int outbox_get(outbox *ob, const char *table, const char *key, const char **row_json, int64_t *revision)
{
    struct write w = {.ob = ob, .table_name = table};
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!table || !key)
        return fail(ob, OUTBOX_MISUSE, "table or key is NULL");
    code = find_by_text(&w, key);
    if (code == OUTBOX_OK && !w.found.exists)
        code = fail(ob, OUTBOX_NOT_FOUND, "table %s, key %s: no such row", w.table->name, key);
    if (code == OUTBOX_OK)
        code = take_image(&w, &ob->after);
    if (w.table)
        row_done(w.table);
    if (code != OUTBOX_OK)
        return code;
    const char *text = buffer_text(&ob->after);
    if (!text)
        return out_of_memory(ob);
    if (row_json)
        *row_json = text;
    if (revision)
        *revision = w.found.revision;
    return OUTBOX_OK;
}
