/* write.c — the steps that every write of a row takes; see write.h. */
#include <string.h>

#include "handle.h"
#include "key.h"
#include "owe.h"
#include "row.h"
#include "write.h"

const char *write_key_words(outbox *ob)
{
    const char *text = buffer_text(&ob->key);
    return text ? text : "?";
}

static int conflict(struct write *w)
{
    outbox *ob = w->ob;
    ob->found_revision = w->found.revision;
    const char *key = write_key_words(ob);
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
int write_check_revision(struct write *w)
{
    if (w->found.exists) {
        int code = row_check_revision(w->ob, w->table, &w->found, write_key_words(w->ob));
        if (code != OUTBOX_OK)
            return code;
    }
    if (w->expected == OUTBOX_ANY_REVISION || w->expected == w->found.revision)
        return OUTBOX_OK;
    return conflict(w);
}

/* The image of the row that SELECT stands on. */
int write_take_image(struct write *w, struct buffer *image)
{
    buffer_clear(image);
    row_write(image, w->table);
    return buffer_ok(image) ? OUTBOX_OK : fail(w->ob, OUTBOX_NOMEM, "out of memory");
}

/* After COMMIT nothing may fail any more: the room that last_key will need is made before. */
int write_keep_room(outbox *ob)
{
    buffer_forgive(&ob->last_key);
    buffer_reserve(&ob->last_key, ob->key.size + 1);
    return buffer_ok(&ob->key) && buffer_ok(&ob->last_key) ? OUTBOX_OK : fail(ob, OUTBOX_NOMEM, "out of memory");
}

/* The event's key is the one stored, where there is a row, and what would be stored where there is none. */
int write_take_key(struct write *w)
{
    buffer_clear(&w->ob->key);
    if (w->found.exists)
        key_write_stored(&w->ob->key, w->table);
    else
        key_write(&w->ob->key, w->table);
    return write_keep_room(w->ob);
}

/* What the triggers of a captured table refuse, under the code that the library has for it. */
static int refused_by_capture(struct write *w, const char *key)
{
    const char *words = sqlite3_errmsg(w->ob->db);
    int code = !strncmp(words, "outbox: too big", 15)   ? OUTBOX_TOOBIG
               : !strncmp(words, "outbox: invalid", 15) ? OUTBOX_INVALID
                                                        : OUTBOX_CONSTRAINT;
    return fail(w->ob, code, "table %s, key %s: %s", w->table->name, key, words);
}

int write_step(struct write *w, sqlite3_stmt *st)
{
    int rc = statement_run(st);
    if (rc == SQLITE_OK && sqlite3_changes(w->ob->db) == 1)
        return OUTBOX_OK;
    const char *key = w->assigned ? "(to be assigned)" : write_key_words(w->ob);
    if (rc == SQLITE_OK)
        return fail(w->ob, OUTBOX_CONSTRAINT, "table %s, key %s: a trigger or ON CONFLICT IGNORE dropped the write",
                    w->table->name, key);
    if (w->table->captured && sqlite3_extended_errcode(w->ob->db) == SQLITE_CONSTRAINT_TRIGGER)
        return refused_by_capture(w, key);
    char what[MESSAGE_SIZE / 2];
    sqlite3_snprintf(sizeof what, what, "table %s, key %s", w->table->name, key);
    return fail_sqlite(w->ob, rc, what);
}

/* SQLITE_DBCONFIG_ENABLE_TRIGGER 0 is silent: what triggers should log is not. */
static bool triggers_run(outbox *ob)
{
    int on = 1;
    return sqlite3_db_config(ob->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &on) != SQLITE_OK || on;
}

int write_prepare(struct write *w)
{
    outbox *ob = w->ob;
    const struct table *t = w->table;
    int code;
    if (!t->captured)
        return OUTBOX_OK;
    if (t->stale)
        return fail(ob, OUTBOX_SCHEMA,
                    "table %s: its capture triggers are not up to date (%s); run: outboxctl capture %s", t->name,
                    t->stale, t->name);
    if (!triggers_run(ob))
        return fail(ob, OUTBOX_MISUSE,
                    "table %s: captured, and this connection runs no triggers (SQLITE_DBCONFIG_ENABLE_TRIGGER is 0): "
                    "nothing would log the write; enable them",
                    t->name);
    sqlite3_stmt *st = handle_statement(ob, ST_LAST_SEQ, &code);
    if (!st)
        return code;
    int rc = sqlite3_step(st);
    w->logged_before = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? OUTBOX_OK : fail_sqlite(ob, rc, "change_log");
}

static void bind_logged(sqlite3_stmt *st, const struct write *w)
{
    const struct buffer *key = &w->ob->key;
    sqlite3_bind_int64(st, 1, w->logged_before);
    sqlite3_bind_text(st, 2, w->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text64(st, 3, key->data ? key->data : "", key->size, SQLITE_STATIC, SQLITE_UTF8);
}

static int relabel(struct write *w)
{
    const outbox_write_options *o = &w->options;
    int code;
    if (!w->seq || (!o->topic && !o->ordering_key && !o->headers))
        return OUTBOX_OK;
    sqlite3_stmt *st = handle_statement(w->ob, ST_RELABEL, &code);
    if (!st)
        return code;
    bind_logged(st, w);
    sqlite3_bind_text(st, 4, o->topic, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 5, o->ordering_key, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 6, o->headers, -1, SQLITE_STATIC);
    int rc = statement_run(st);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(w->ob, rc, "change_log");
}

static int find_logged(struct write *w)
{
    int code;
    sqlite3_stmt *st = handle_statement(w->ob, ST_LOGGED, &code);
    if (!st)
        return code;
    bind_logged(st, w);
    int rc = sqlite3_step(st);
    w->seq = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    code = rc == SQLITE_ROW ? relabel(w) : fail_sqlite(w->ob, rc, "change_log");
    sqlite3_set_last_insert_rowid(w->ob->db, w->rowid);
    return code;
}

int write_owe(struct write *w, const char *op, const struct buffer *before, const struct buffer *after)
{
    outbox *ob = w->ob;
    if (w->table->captured)
        return find_logged(w);
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

/* What a write that succeeded leaves on the handle. Cannot fail: take_key has made the room. */
void write_remember(struct write *w)
{
    outbox *ob = w->ob;
    ob->last_seq = w->seq;
    buffer_clear(&ob->last_key);
    buffer_append(&ob->last_key, ob->key.data, ob->key.size);
    buffer_text(&ob->last_key);
}

int write_begin(struct write *w, const outbox_write_options *options)
{
    outbox *ob = w->ob;
    if (!w->table_name)
        return fail(ob, OUTBOX_MISUSE, "table is NULL");
    if (w->expected < OUTBOX_ANY_REVISION)
        return fail(ob, OUTBOX_INVALID, "expected revision %lld: give 0, a revision, or OUTBOX_ANY_REVISION",
                    (long long)w->expected);
    return write_options_read(ob, options, &w->options);
}

/* A key that looks wrong may have been read by the rules of a table that is another now. */
static int look_again(struct write *w, int first, bool *changed)
{
    int code = table_refresh(w->ob, &w->table, changed);
    return code == OUTBOX_OK && !*changed ? first : code;
}

static int find_reading(struct write *w, const char *key)
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
        else if (tries == 0)
            code = look_again(w, code, &changed);
        if (changed) {
            reading = -1;
            w->found.exists = false;
            if (++tries == SCHEMA_TRIES)
                return fail(ob, OUTBOX_ERROR, "table %s: %s", w->table->name, sqlite3_errmsg(ob->db));
        }
    }
    return code;
}

int write_find_by_text(struct write *w, const char *key)
{
    outbox *ob = w->ob;
    int code = find_reading(w, key);
    buffer_clear(&ob->key);
    if (code == OUTBOX_OK && w->found.exists)
        key_write_stored(&ob->key, w->table);
    else
        buffer_append_text(&ob->key, key);
    if (code == OUTBOX_OK)
        code = write_keep_room(ob);
    if (code != OUTBOX_OK && w->table)
        row_done(w->table);
    return code;
}
