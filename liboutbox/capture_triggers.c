/* capture_triggers.c — the triggers of a captured table, as text.
 *
 * What each does, in the order in which SQLite fires them (of one kind, the one made last comes first; so all of them
 * have to be made after the table's own, and verify says where they were not):
 *
 *   before_insert     keeps the image of every row that NEW would displace, in outbox_displaced
 *   insert_displaced  the row is in, so those were displaced: logs a delete of each
 *   insert            logs the row
 *   insert_revision   gives the row the revision that was logged, where it goes on from a delete
 *   before_update, update_displaced       the same of an UPDATE OR REPLACE
 *   update_key        another key: logs a delete and an insert
 *   update            logs the change
 *   update_key_revision, update_revision, update_revision_again   lift the revision where the statement left it alone
 *   delete            logs the last image
 *
 * Why those that log do nothing else: unless recursive_triggers is on, SQLite silently leaves out a trigger that is
 * already at work further up. An UPDATE of the revision fires the table's own triggers, and what those write must be
 * logged: so whoever updates is never who logs, and there are two of the one that updates most, for when the first is
 * at work. Each of them looks first whether the row is still as the statement left it; if not, a later change has
 * logged itself already, with all that this one did, and there is nothing left to do.
 *
 * The triggers' own UPDATE of the revision is told from a statement's by the log: it is there already.
 *
 * RAISE(ABORT) and not a constraint: an outer OR IGNORE would swallow the constraint and keep the row.
 */
#include "capture_put.h"
#include "capture_value.h"
#include "handle.h"

/* Other events may lie between the one logged and the look back for it: those of the table's own triggers. */
#define LOOK_BACK "16"

/* ---- Displaced rows ---- */

static void put_leftovers(struct capture_writer *w)
{
    sqlite3_str_appendf(w->sql, "EXISTS (SELECT 1 FROM outbox_displaced WHERE table_name = %Q)", w->c->table->name);
}

static void put_conflict_condition(struct capture_writer *w, bool update)
{
    sqlite3_str_appendf(w->sql, "(%s)", w->c->conflicts);
    if (!update)
        return;
    capture_put(w, " AND NOT (");
    capture_put_same_row(w, "o.", "OLD");
    capture_put(w, ")");
}

static void put_conflicts(struct capture_writer *w, bool update)
{
    sqlite3_str_appendf(w->sql, "FROM \"%w\" AS o WHERE ", w->c->table->name);
    put_conflict_condition(w, update);
}

static void write_before(struct capture_writer *w, bool update)
{
    char before[300];
    capture_put_old_revision(w, "o", before, sizeof before);
    capture_begin(w, update ? "before_update" : "before_insert", update ? "BEFORE UPDATE" : "BEFORE INSERT",
                  update ? OF_UNIQUE : OF_ANY);
    capture_put(w, " WHEN ");
    if (update) {
        capture_put_changed(w, OF_UNIQUE);
        capture_put(w, " AND ");
    }
    capture_put(w, "(EXISTS (SELECT 1 ");
    put_conflicts(w, update);
    capture_put(w, ") OR ");
    put_leftovers(w);
    sqlite3_str_appendf(w->sql,
                        ") BEGIN DELETE FROM outbox_displaced WHERE table_name = %Q;"
                        " INSERT INTO outbox_displaced(table_name, key, ordering_key, revision, before) SELECT %Q, ",
                        w->c->table->name, w->c->table->name);
    capture_put_key(w, "o");
    capture_put(w, ", ");
    capture_put_ordering_key(w, "o");
    capture_put(w, ", CASE WHEN ");
    capture_put_valid(w, "o");
    sqlite3_str_appendf(w->sql, " THEN o.%s + 1 END, ", w->revision);
    capture_write_image(w->sql, w->c, "o", before);
    capture_put(w, " ");
    put_conflicts(w, update);
    capture_put(w, "; INSERT INTO outbox_odd(image, label, value) SELECT NULL, ");
    sqlite3_str_appendf(w->sql, "%Q, NULL UNION ALL SELECT ", w->c->table->name);
    capture_put_key(w, "o");
    capture_put(w, ", n.column2, ");
    capture_write_value_at(w->sql, w->c, "o", "n.column1");
    capture_put(w, " FROM (VALUES ");
    capture_write_labels(w->sql, w->c);
    sqlite3_str_appendf(w->sql, ") AS n CROSS JOIN \"%w\" AS o WHERE ", w->c->table->name);
    put_conflict_condition(w, update);
    sqlite3_str_appendf(w->sql,
                        " LIMIT -EXISTS (SELECT 1 FROM outbox_displaced WHERE table_name = %Q AND before IS NULL);"
                        " DELETE FROM outbox_odd WHERE place = 1;",
                        w->c->table->name);
    capture_end(w);
}

/* Before the insert a rowid still to be assigned is -1, and so the row that has that one looked displaced. */
static void put_not_displaced(struct capture_writer *w)
{
    const struct table *t = w->c->table;
    char *alias = t->rowid_alias ? sqlite3_mprintf("\"%w\"", t->columns[t->keys[0]].name) : NULL;
    const char *rowid = t->rowid_alias ? alias : w->c->rowid;
    if (!rowid)
        capture_spoil(w->sql);
    else
        sqlite3_str_appendf(w->sql,
                            " DELETE FROM outbox_displaced WHERE table_name = %Q AND NEW.%s <> -1 AND key = (SELECT ",
                            t->name, rowid);
    capture_put_key(w, "o");
    sqlite3_str_appendf(w->sql, " FROM \"%w\" AS o WHERE o.%s = -1);", t->name, rowid ? rowid : "");
    sqlite3_free(alias);
}

static void write_displaced(struct capture_writer *w, bool update)
{
    const struct table *t = w->c->table;
    capture_begin(w, update ? "update_displaced" : "insert_displaced", update ? "AFTER UPDATE" : "AFTER INSERT",
                  update ? OF_UNIQUE : OF_ANY);
    capture_put(w, " WHEN ");
    if (update) {
        capture_put_changed(w, OF_UNIQUE);
        capture_put(w, " AND ");
    }
    put_leftovers(w);
    capture_put(w, " BEGIN");
    if (!update && (t->rowid_alias || w->c->rowid))
        put_not_displaced(w);
    capture_put_bad_revision(w);
    sqlite3_str_appendf(w->sql, " FROM outbox_displaced WHERE table_name = %Q AND revision IS NULL;", t->name);
    capture_put(
        w, " INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, before, created_at) SELECT ");
    capture_put_topic_and_table(w);
    sqlite3_str_appendf(w->sql,
                        ", key, ordering_key, 'delete', revision, before, " CAPTURE_NOW
                        " FROM outbox_displaced WHERE table_name = %Q;",
                        t->name);
    capture_put_refusal(w, "ignored", "change_log did not take the event");
    sqlite3_str_appendf(w->sql, " WHERE changes() <> (SELECT count(*) FROM outbox_displaced WHERE table_name = %Q);",
                        t->name);
    sqlite3_str_appendf(w->sql,
                        " INSERT INTO outbox(seq) SELECT seq FROM change_log ORDER BY seq DESC LIMIT"
                        " (SELECT count(*) FROM outbox_displaced WHERE table_name = %Q);"
                        " DELETE FROM outbox_displaced WHERE table_name = %Q;",
                        t->name, t->name);
    capture_end(w);
}

/* ---- Insert, update, delete ---- */

static void write_insert(struct capture_writer *w)
{
    capture_begin(w, "insert", "AFTER INSERT", OF_ANY);
    capture_put(w, " WHEN ");
    capture_put_still_there(w);
    capture_put(w, " BEGIN");
    capture_put_key_check(w);
    capture_put_log_insert(w, false);
    capture_end(w);
}

/* The last event is this row's insert, under another revision than the statement gave it. */
static void write_revision_of_insert(struct capture_writer *w, bool key_changed)
{
    const char *table = w->c->table->name;
    capture_begin(w, key_changed ? "update_key_revision" : "insert_revision",
                  key_changed ? "AFTER UPDATE" : "AFTER INSERT", key_changed ? OF_KEY : OF_ANY);
    capture_put(w, " WHEN ");
    if (key_changed) {
        capture_put_changed(w, OF_KEY);
        capture_put(w, " AND ");
    }
    capture_put_key(w, "NEW");
    sqlite3_str_appendf(w->sql,
                        " = (SELECT CASE WHEN revision IS NOT NEW.%s AND op = 'insert' AND table_name = %Q THEN key END"
                        " FROM change_log ORDER BY seq DESC LIMIT 1) BEGIN UPDATE \"%w\" SET %s = "
                        "(SELECT revision FROM change_log ORDER BY seq DESC LIMIT 1) WHERE ",
                        w->revision, table, table, w->revision);
    capture_put_same_row(w, "", "NEW");
    sqlite3_str_appendf(w->sql, " AND %s IS NEW.%s;", w->revision, w->revision);
    capture_end(w);
}

/* SQL for the revision that NEW gets: the statement's own where it rises, else the next; NULL: there is none. */
static void put_next_revision(struct capture_writer *w)
{
    capture_put(w, "CASE WHEN ");
    capture_put_valid(w, "NEW");
    capture_put(w, " AND (NOT ");
    capture_put_valid(w, "OLD");
    sqlite3_str_appendf(w->sql, " OR NEW.%s > OLD.%s) THEN NEW.%s WHEN ", w->revision, w->revision, w->revision);
    capture_put_valid(w, "OLD");
    sqlite3_str_appendf(w->sql, " THEN OLD.%s + 1 END", w->revision);
}

static char *next_revision(struct capture_writer *w)
{
    sqlite3_str *whole = w->sql;
    w->sql = sqlite3_str_new(w->db);
    put_next_revision(w);
    char *text = sqlite3_str_finish(w->sql);
    w->sql = whole;
    return text;
}

/* The revision has changed, and not by an UPDATE of ours: that one follows what the log says already. */
static void put_revision_set(struct capture_writer *w)
{
    sqlite3_str_appendf(w->sql,
                        "(NEW.%s IS NOT OLD.%s AND NOT EXISTS (SELECT 1 FROM (SELECT key FROM"
                        " (SELECT table_name, key, revision FROM change_log ORDER BY seq DESC LIMIT " LOOK_BACK
                        ") WHERE revision = NEW.%s AND table_name = %Q) WHERE key = ",
                        w->revision, w->revision, w->revision, w->c->table->name);
    capture_put_key(w, "NEW");
    capture_put(w, "))");
}

static void write_update(struct capture_writer *w)
{
    char before[300];
    capture_put_old_revision(w, "OLD", before, sizeof before);
    capture_begin(w, "update", "AFTER UPDATE", OF_ANY);
    capture_put(w, " WHEN NOT ");
    capture_put_changed(w, OF_KEY);
    capture_put(w, " AND (");
    capture_put_changed(w, OF_WATCHED);
    if (!w->c->watched) {
        capture_put(w, " OR ");
        put_revision_set(w);
    }
    capture_put(w, ") AND ");
    capture_put_still_there(w);
    capture_put(w, " BEGIN");
    capture_put_bad_revision(w);
    capture_put(w, " WHERE (");
    put_next_revision(w);
    capture_put(w,
                ") IS NULL; INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, before, payload,"
                " created_at) VALUES (");
    capture_put_topic_and_table(w);
    capture_put(w, ", ");
    capture_put_key(w, "NEW");
    capture_put(w, ", ");
    capture_put_ordering_key(w, "NEW");
    capture_put(w, ", 'update', ");
    put_next_revision(w);
    capture_put(w, ", ");
    capture_write_image(w->sql, w->c, "OLD", before);
    capture_put(w, ", ");
    char *next = next_revision(w);
    if (!next)
        capture_spoil(w->sql);
    capture_write_image(w->sql, w->c, "NEW", next ? next : "");
    sqlite3_free(next);
    capture_put(w, ", " CAPTURE_NOW ");");
    capture_put_refused(w);
    capture_put_owe(w, true, true);
    capture_end(w);
}

static void write_update_key(struct capture_writer *w)
{
    capture_begin(w, "update_key", "AFTER UPDATE", OF_KEY);
    capture_put(w, " WHEN ");
    capture_put_changed(w, OF_KEY);
    capture_put(w, " AND ");
    capture_put_still_there(w);
    capture_put(w, " BEGIN");
    capture_put_key_check(w);
    capture_put_bad_revision(w);
    capture_put(w, " WHERE NOT ");
    capture_put_valid(w, "OLD");
    capture_put(w, ";");
    if (w->c->ops & OUTBOX_CAPTURE_DELETE)
        capture_put_log_delete(w);
    if (w->c->ops & OUTBOX_CAPTURE_INSERT)
        capture_put_log_insert(w, true);
    capture_end(w);
}

/* What was asked for stands here: this trigger is always there. */
static void write_update_revision(struct capture_writer *w, bool again, const char *options)
{
    capture_begin(w, again ? "update_revision_again" : "update_revision", "AFTER UPDATE", OF_ANY);
    if (!again)
        sqlite3_str_appendf(w->sql, " /* outbox capture: %s */", options);
    capture_put(w, " WHEN ");
    capture_put_valid(w, "OLD");
    capture_put(w, " AND NOT (");
    capture_put_valid(w, "NEW");
    sqlite3_str_appendf(w->sql, " AND NEW.%s > OLD.%s) AND NOT ", w->revision, w->revision);
    capture_put_changed(w, OF_KEY);
    capture_put(w, " AND (");
    capture_put_changed(w, OF_ANY);
    capture_put(w, " OR ");
    put_revision_set(w);
    sqlite3_str_appendf(w->sql, ") BEGIN UPDATE \"%w\" SET %s = OLD.%s + 1 WHERE ", w->c->table->name, w->revision,
                        w->revision);
    capture_put_same_row(w, "", "NEW");
    sqlite3_str_appendf(w->sql, " AND %s IS NEW.%s;", w->revision, w->revision);
    capture_end(w);
}

static void write_delete(struct capture_writer *w)
{
    capture_begin(w, "delete", "AFTER DELETE", OF_ANY);
    capture_put(w, " BEGIN");
    capture_put_bad_revision(w);
    capture_put(w, " WHERE NOT ");
    capture_put_valid(w, "OLD");
    sqlite3_str_appendf(w->sql, "; DELETE FROM outbox_displaced WHERE table_name = %Q AND key = ", w->c->table->name);
    capture_put_key(w, "OLD");
    capture_put(w, ";");
    capture_put_log_delete(w);
    capture_end(w);
}

static void write_all(struct capture_writer *w, const char *options)
{
    int ops = w->c->ops;
    if (ops & OUTBOX_CAPTURE_DELETE) {
        write_delete(w);
        if (*w->c->conflicts) {
            write_before(w, true);
            write_before(w, false);
        }
    }
    write_update_revision(w, true, options);
    write_update_revision(w, false, options);
    if (ops & OUTBOX_CAPTURE_INSERT) {
        write_revision_of_insert(w, true);
        write_revision_of_insert(w, false);
        write_insert(w);
    }
    if (ops & OUTBOX_CAPTURE_UPDATE)
        write_update(w);
    if (ops & (OUTBOX_CAPTURE_INSERT | OUTBOX_CAPTURE_DELETE))
        write_update_key(w);
    if ((ops & OUTBOX_CAPTURE_DELETE) && *w->c->conflicts) {
        write_displaced(w, true);
        write_displaced(w, false);
    }
}

/* JSON may escape a slash: the comment must not end early. */
static char *comment_safe(const struct buffer *json)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    for (size_t i = 0; i < json->size; i++) {
        if (i && json->data[i] == '/' && json->data[i - 1] == '*')
            sqlite3_str_appendchar(text, 1, '\\');
        sqlite3_str_appendchar(text, 1, json->data[i]);
    }
    return sqlite3_str_finish(text);
}

void capture_triggers_free(struct capture_trigger *triggers, int count)
{
    for (int i = 0; i < count; i++) {
        sqlite3_free(triggers[i].name);
        sqlite3_free(triggers[i].sql);
    }
}

int capture_triggers(outbox *ob, const struct capture *c, struct capture_trigger *triggers, int *count)
{
    struct buffer json = {0};
    struct capture_writer w = {.c = c, .db = ob->db, .triggers = triggers};
    bool complete = true;
    capture_write_json(&json, c);
    char *options = buffer_ok(&json) ? comment_safe(&json) : NULL;
    w.revision = sqlite3_mprintf("\"%w\"", c->table->columns[c->table->revision].name);
    if (options && w.revision)
        write_all(&w, options);
    else
        complete = false;
    for (int i = 0; i < w.count; i++)
        complete = complete && triggers[i].name && triggers[i].sql;
    buffer_free(&json);
    sqlite3_free(options);
    sqlite3_free(w.revision);
    *count = w.count;
    return complete ? OUTBOX_OK : fail(ob, OUTBOX_NOMEM, "out of memory");
}
