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
#include "capture.h"
#include "capture_value.h"
#include "handle.h"

#define NOW "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000"

/* Other events may lie between the one logged and the look back for it: those of the table's own triggers. */
#define LOOK_BACK "16"

struct writer {
    const struct capture *c;
    sqlite3 *db;
    struct capture_trigger *triggers;
    int count;
    sqlite3_str *sql; /* of the trigger under construction */
    char *revision;   /* the revision column's name, quoted */
};

static void put(struct writer *w, const char *text)
{
    sqlite3_str_appendall(w->sql, text);
}

enum which { OF_KEY, OF_UNIQUE, OF_WATCHED, OF_ANY };

static bool is_among(const struct capture *c, int column, enum which which)
{
    const struct column *col = &c->table->columns[column];
    switch (which) {
    case OF_KEY: return col->key_place > 0;
    case OF_UNIQUE: return c->unique[column];
    case OF_WATCHED:
        if (c->watched)
            return c->watched[column];
        /* fall through */
    case OF_ANY: return column != c->table->revision && !col->generated && !col->key_place;
    }
    return false;
}

/* UPDATE OF those columns: to a statement that sets none of them the trigger costs nothing. A rowid has names that are
 * no column's, and a generated column is set by others. */
static void put_of(struct writer *w, enum which which)
{
    const struct table *t = w->c->table;
    for (int i = 0; i < t->column_count; i++)
        if (is_among(w->c, i, which) && t->columns[i].generated)
            return;
    const char *comma = " OF";
    for (int i = 0; i < t->column_count; i++) {
        if (!is_among(w->c, i, which))
            continue;
        sqlite3_str_appendf(w->sql, "%s \"%w\"", comma, t->columns[i].name);
        comma = ",";
    }
    if (t->rowid_alias)
        put(w, ", rowid, _rowid_, oid");
}

static void begin(struct writer *w, const char *what, const char *event, enum which which)
{
    w->sql = sqlite3_str_new(w->db);
    w->triggers[w->count].name = sqlite3_mprintf("outbox_capture_%s_%s", w->c->table->name, what);
    sqlite3_str_appendf(w->sql, "CREATE TRIGGER \"%w\" %s", w->triggers[w->count].name, event);
    if (which == OF_KEY || which == OF_UNIQUE)
        put_of(w, which);
    sqlite3_str_appendf(w->sql, " ON \"%w\"", w->c->table->name);
}

static void end(struct writer *w)
{
    put(w, " END");
    w->triggers[w->count++].sql = sqlite3_str_finish(w->sql);
    w->sql = NULL;
}

/* ---- Conditions ---- */

/* row.revision is one that a row can have. */
static void put_valid(struct writer *w, const char *row)
{
    sqlite3_str_appendf(w->sql, "(typeof(%s.%s) = 'integer' AND %s.%s BETWEEN 1 AND 9223372036854775806)", row,
                        w->revision, row, w->revision);
}

/* The row of the table that is at NEW's or OLD's place. */
static void put_same_row(struct writer *w, const char *alias, const char *row)
{
    const struct capture *c = w->c;
    if (c->rowid) {
        sqlite3_str_appendf(w->sql, "%s%s = %s.%s", alias, c->rowid, row, c->rowid);
        return;
    }
    for (int k = 0; k < c->table->key_count; k++) {
        const char *name = c->table->columns[c->table->keys[k]].name;
        sqlite3_str_appendf(w->sql, "%s%s\"%w\" = %s.\"%w\"", k ? " AND " : "", alias, name, row, name);
    }
}

/* The row is still at the revision that the statement left it at. */
static void put_still_there(struct writer *w)
{
    sqlite3_str_appendf(w->sql, "EXISTS (SELECT 1 FROM \"%w\" AS o WHERE ", w->c->table->name);
    put_same_row(w, "o.", "NEW");
    sqlite3_str_appendf(w->sql, " AND o.%s IS NEW.%s)", w->revision, w->revision);
}

/* Some column of those has changed: in bytes, whatever its collation, and 1 is not 1.0 where both can be stored.
 * Groups, because SQLite allows an expression 1,000 deep. */
static void put_changed(struct writer *w, enum which which)
{
    const struct table *t = w->c->table;
    int n = 0;
    put(w, "((");
    for (int i = 0; i < t->column_count; i++) {
        if (!is_among(w->c, i, which))
            continue;
        put(w, n == 0 ? "" : n % 64 == 0 ? ") OR (" : " OR ");
        n++;
        const char *name = t->columns[i].name;
        sqlite3_str_appendf(w->sql, "NEW.\"%w\" IS NOT OLD.\"%w\" COLLATE BINARY", name, name);
        if (t->columns[i].affinity == AFFINITY_BLOB)
            sqlite3_str_appendf(w->sql, " OR typeof(NEW.\"%w\") <> typeof(OLD.\"%w\")", name, name);
    }
    put(w, n ? "))" : "0))");
}

/* ---- Statements ---- */

static void put_key(struct writer *w, const char *row)
{
    capture_write_key(w->sql, w->c, row);
}

static void put_ordering_key(struct writer *w, const char *row)
{
    if (w->c->ordering_key >= 0)
        capture_write_plain(w->sql, &w->c->table->columns[w->c->ordering_key], row);
    else
        put(w, "NULL");
}

static void put_topic_and_table(struct writer *w)
{
    const char *table = w->c->table->name;
    sqlite3_str_appendf(w->sql, "%Q, %Q", w->c->topic ? w->c->topic : table, table);
}

static void put_old_revision(struct writer *w, const char *row, char *text, size_t size)
{
    sqlite3_snprintf((int)size, text, "%s.%s", row, w->revision);
}

/* `SELECT RAISE(…)`, to be followed by FROM or WHERE. */
static void put_refusal(struct writer *w, const char *kind, const char *words)
{
    char *text = sqlite3_mprintf("outbox: %s: table %s: %s", kind, w->c->table->name, words);
    if (!text)
        capture_spoil(w->sql);
    sqlite3_str_appendf(w->sql, " SELECT RAISE(ABORT, %Q)", text);
    sqlite3_free(text);
}

static void put_bad_revision(struct writer *w)
{
    char *words = sqlite3_mprintf("the stored revision is NULL, below 1 or at the end of its range; mend it: "
                                  "UPDATE \"%w\" SET %s = 1 WHERE %s IS NULL OR %s < 1",
                                  w->c->table->name, w->revision, w->revision, w->revision);
    if (!words)
        capture_spoil(w->sql);
    put_refusal(w, "invalid", words);
    sqlite3_free(words);
}

/* Every part of the key, where the table lets one be NULL. */
static void put_key_check(struct writer *w)
{
    const struct table *t = w->c->table;
    if (t->rowid_alias || t->without_rowid)
        return;
    put_refusal(w, "invalid", "the key is NULL; a captured row needs one");
    for (int k = 0; k < t->key_count; k++)
        sqlite3_str_appendf(w->sql, "%s NEW.\"%w\" IS NULL", k ? " OR" : " WHERE", t->columns[t->keys[k]].name);
    put(w, ";");
}

/* Where the event's images are NULL because a value is odd, outbox_odd writes them. */
static void put_odd(struct writer *w, bool before, bool payload)
{
    char old[300];
    put_old_revision(w, "OLD", old, sizeof old);
    put(w, " INSERT INTO outbox_odd(image, label, value) SELECT * FROM (VALUES (NULL, NULL, last_insert_rowid())");
    if (before)
        capture_write_values(w->sql, w->c, "OLD", old, "before");
    if (payload)
        capture_write_values(w->sql, w->c, "NEW", "(SELECT revision FROM change_log ORDER BY seq DESC LIMIT 1)",
                             "payload");
    sqlite3_str_appendf(w->sql,
                        ") LIMIT -EXISTS (SELECT 1 FROM change_log WHERE seq = last_insert_rowid() AND %s IS NULL);"
                        " DELETE FROM outbox_odd WHERE place = 1;",
                        before && payload ? "payload || before"
                        : before          ? "before"
                                          : "payload");
}

/* Right after the INSERT into change_log: it is there. */
static void put_refused(struct writer *w)
{
    put_refusal(w, "ignored", "change_log did not take the event");
    put(w, " WHERE changes() <> 1;");
}

/* It is owed, and its payload is not too large. */
static void put_owe(struct writer *w, bool before, bool payload)
{
    put(w, " INSERT INTO outbox(seq) VALUES (last_insert_rowid());");
    put_odd(w, before, payload);
    if (!payload)
        return;
    put_refusal(w, "too big", "the row as JSON is larger than max-payload");
    put(w, " FROM change_log WHERE seq = (SELECT max(seq) FROM change_log) AND length(CAST(payload AS BLOB)) >"
           " (SELECT value FROM outbox_meta WHERE name = 'max_payload');");
}

/* What the statement gave it, at least 1. */
static char *insert_revision(struct writer *w, bool key_changed)
{
    sqlite3_str *whole = w->sql;
    w->sql = sqlite3_str_new(w->db);
    put(w, "CASE WHEN ");
    if (key_changed)
        sqlite3_str_appendf(w->sql, "NEW.%s IS NOT OLD.%s AND ", w->revision, w->revision);
    put_valid(w, "NEW");
    sqlite3_str_appendf(w->sql, " THEN NEW.%s ELSE 1 END", w->revision);
    char *text = sqlite3_str_finish(w->sql);
    w->sql = whole;
    if (!text)
        capture_spoil(w->sql);
    return text;
}

/* Of the event just logged: one more than its key's last delete, where it has one. */
static const char sql_after_delete[] =
    "(SELECT d.revision + 1 FROM change_log AS d WHERE d.op = 'delete' AND d.table_name = change_log.table_name"
    " AND d.key = change_log.key ORDER BY d.seq DESC LIMIT 1)";

/* VALUES and no SELECT: a SELECT in a trigger that reads change_log would go through a temporary table. For the same
 * reason the key's last delete is looked for afterwards. */
static void put_log_insert(struct writer *w, bool key_changed)
{
    char *revision = insert_revision(w, key_changed);
    put(w, " INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, payload, created_at) VALUES (");
    put_topic_and_table(w);
    put(w, ", ");
    put_key(w, "NEW");
    put(w, ", ");
    put_ordering_key(w, "NEW");
    sqlite3_str_appendf(w->sql, ", 'insert', %s, ", revision ? revision : "");
    capture_write_image(w->sql, w->c, "NEW", revision ? revision : "");
    put(w, ", " NOW ");");
    sqlite3_free(revision);
    put_refused(w);
    sqlite3_str_appendf(w->sql, " UPDATE change_log SET revision = %s, payload = ", sql_after_delete);
    capture_write_image(w->sql, w->c, "NEW", sql_after_delete);
    sqlite3_str_appendf(w->sql, " WHERE seq = last_insert_rowid() AND revision < %s;", sql_after_delete);
    put_owe(w, false, true);
}

static void put_log_delete(struct writer *w)
{
    char before[300];
    put_old_revision(w, "OLD", before, sizeof before);
    put(w, " INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, before, created_at) VALUES (");
    put_topic_and_table(w);
    put(w, ", ");
    put_key(w, "OLD");
    put(w, ", ");
    put_ordering_key(w, "OLD");
    sqlite3_str_appendf(w->sql, ", 'delete', OLD.%s + 1, ", w->revision);
    capture_write_image(w->sql, w->c, "OLD", before);
    put(w, ", " NOW ");");
    put_refused(w);
    put_owe(w, true, false);
}

/* ---- Displaced rows ---- */

static void put_leftovers(struct writer *w)
{
    sqlite3_str_appendf(w->sql, "EXISTS (SELECT 1 FROM outbox_displaced WHERE table_name = %Q)", w->c->table->name);
}

static void put_conflict_condition(struct writer *w, bool update)
{
    sqlite3_str_appendf(w->sql, "(%s)", w->c->conflicts);
    if (!update)
        return;
    put(w, " AND NOT (");
    put_same_row(w, "o.", "OLD");
    put(w, ")");
}

static void put_conflicts(struct writer *w, bool update)
{
    sqlite3_str_appendf(w->sql, "FROM \"%w\" AS o WHERE ", w->c->table->name);
    put_conflict_condition(w, update);
}

static void write_before(struct writer *w, bool update)
{
    char before[300];
    put_old_revision(w, "o", before, sizeof before);
    begin(w, update ? "before_update" : "before_insert", update ? "BEFORE UPDATE" : "BEFORE INSERT",
          update ? OF_UNIQUE : OF_ANY);
    put(w, " WHEN ");
    if (update) {
        put_changed(w, OF_UNIQUE);
        put(w, " AND ");
    }
    put(w, "(EXISTS (SELECT 1 ");
    put_conflicts(w, update);
    put(w, ") OR ");
    put_leftovers(w);
    sqlite3_str_appendf(w->sql,
                        ") BEGIN DELETE FROM outbox_displaced WHERE table_name = %Q;"
                        " INSERT INTO outbox_displaced(table_name, key, ordering_key, revision, before) SELECT %Q, ",
                        w->c->table->name, w->c->table->name);
    put_key(w, "o");
    put(w, ", ");
    put_ordering_key(w, "o");
    put(w, ", CASE WHEN ");
    put_valid(w, "o");
    sqlite3_str_appendf(w->sql, " THEN o.%s + 1 END, ", w->revision);
    capture_write_image(w->sql, w->c, "o", before);
    put(w, " ");
    put_conflicts(w, update);
    put(w, "; INSERT INTO outbox_odd(image, label, value) SELECT NULL, ");
    sqlite3_str_appendf(w->sql, "%Q, NULL UNION ALL SELECT ", w->c->table->name);
    put_key(w, "o");
    put(w, ", n.column2, ");
    capture_write_value_at(w->sql, w->c, "o", "n.column1");
    put(w, " FROM (VALUES ");
    capture_write_labels(w->sql, w->c);
    sqlite3_str_appendf(w->sql, ") AS n CROSS JOIN \"%w\" AS o WHERE ", w->c->table->name);
    put_conflict_condition(w, update);
    sqlite3_str_appendf(w->sql,
                        " LIMIT -EXISTS (SELECT 1 FROM outbox_displaced WHERE table_name = %Q AND before IS NULL);"
                        " DELETE FROM outbox_odd WHERE place = 1;",
                        w->c->table->name);
    end(w);
}

static void write_displaced(struct writer *w, bool update)
{
    const struct table *t = w->c->table;
    begin(w, update ? "update_displaced" : "insert_displaced", update ? "AFTER UPDATE" : "AFTER INSERT",
          update ? OF_UNIQUE : OF_ANY);
    put(w, " WHEN ");
    if (update) {
        put_changed(w, OF_UNIQUE);
        put(w, " AND ");
    }
    put_leftovers(w);
    put(w, " BEGIN");
    if (!update && t->rowid_alias) /* before the insert a rowid still to be assigned is -1 */
        sqlite3_str_appendf(w->sql,
                            " DELETE FROM outbox_displaced WHERE table_name = %Q AND key = '-1' AND NEW.\"%w\" <> -1"
                            " AND EXISTS (SELECT 1 FROM \"%w\" WHERE \"%w\" = -1);",
                            t->name, t->columns[t->keys[0]].name, t->name, t->columns[t->keys[0]].name);
    put_bad_revision(w);
    sqlite3_str_appendf(w->sql, " FROM outbox_displaced WHERE table_name = %Q AND revision IS NULL;", t->name);
    put(w, " INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, before, created_at) SELECT ");
    put_topic_and_table(w);
    sqlite3_str_appendf(
        w->sql, ", key, ordering_key, 'delete', revision, before, " NOW " FROM outbox_displaced WHERE table_name = %Q;",
        t->name);
    put_refusal(w, "ignored", "change_log did not take the event");
    sqlite3_str_appendf(w->sql, " WHERE changes() <> (SELECT count(*) FROM outbox_displaced WHERE table_name = %Q);",
                        t->name);
    sqlite3_str_appendf(w->sql,
                        " INSERT INTO outbox(seq) SELECT seq FROM change_log ORDER BY seq DESC LIMIT"
                        " (SELECT count(*) FROM outbox_displaced WHERE table_name = %Q);"
                        " DELETE FROM outbox_displaced WHERE table_name = %Q;",
                        t->name, t->name);
    end(w);
}

/* ---- Insert, update, delete ---- */

static void write_insert(struct writer *w)
{
    begin(w, "insert", "AFTER INSERT", OF_ANY);
    put(w, " WHEN ");
    put_still_there(w);
    put(w, " BEGIN");
    put_key_check(w);
    put_log_insert(w, false);
    end(w);
}

/* The last event is this row's insert, under another revision than the statement gave it. */
static void write_revision_of_insert(struct writer *w, bool key_changed)
{
    const char *table = w->c->table->name;
    begin(w, key_changed ? "update_key_revision" : "insert_revision", key_changed ? "AFTER UPDATE" : "AFTER INSERT",
          key_changed ? OF_KEY : OF_ANY);
    put(w, " WHEN ");
    if (key_changed) {
        put_changed(w, OF_KEY);
        put(w, " AND ");
    }
    put_key(w, "NEW");
    sqlite3_str_appendf(w->sql,
                        " = (SELECT CASE WHEN revision IS NOT NEW.%s AND op = 'insert' AND table_name = %Q THEN key END"
                        " FROM change_log ORDER BY seq DESC LIMIT 1) BEGIN UPDATE \"%w\" SET %s = "
                        "(SELECT revision FROM change_log ORDER BY seq DESC LIMIT 1) WHERE ",
                        w->revision, table, table, w->revision);
    put_same_row(w, "", "NEW");
    sqlite3_str_appendf(w->sql, " AND %s IS NEW.%s;", w->revision, w->revision);
    end(w);
}

/* SQL for the revision that NEW gets: the statement's own where it rises, else the next; NULL: there is none. */
static void put_next_revision(struct writer *w)
{
    put(w, "CASE WHEN ");
    put_valid(w, "NEW");
    put(w, " AND (NOT ");
    put_valid(w, "OLD");
    sqlite3_str_appendf(w->sql, " OR NEW.%s > OLD.%s) THEN NEW.%s WHEN ", w->revision, w->revision, w->revision);
    put_valid(w, "OLD");
    sqlite3_str_appendf(w->sql, " THEN OLD.%s + 1 END", w->revision);
}

static char *next_revision(struct writer *w)
{
    sqlite3_str *whole = w->sql;
    w->sql = sqlite3_str_new(w->db);
    put_next_revision(w);
    char *text = sqlite3_str_finish(w->sql);
    w->sql = whole;
    return text;
}

/* The revision has changed, and not by an UPDATE of ours: that one follows what the log says already. */
static void put_revision_set(struct writer *w)
{
    sqlite3_str_appendf(w->sql,
                        "(NEW.%s IS NOT OLD.%s AND NOT EXISTS (SELECT 1 FROM (SELECT key FROM"
                        " (SELECT table_name, key, revision FROM change_log ORDER BY seq DESC LIMIT " LOOK_BACK
                        ") WHERE revision = NEW.%s AND table_name = %Q) WHERE key = ",
                        w->revision, w->revision, w->revision, w->c->table->name);
    put_key(w, "NEW");
    put(w, "))");
}

static void write_update(struct writer *w)
{
    char before[300];
    put_old_revision(w, "OLD", before, sizeof before);
    begin(w, "update", "AFTER UPDATE", OF_ANY);
    put(w, " WHEN NOT ");
    put_changed(w, OF_KEY);
    put(w, " AND (");
    put_changed(w, OF_WATCHED);
    if (!w->c->watched) {
        put(w, " OR ");
        put_revision_set(w);
    }
    put(w, ") AND ");
    put_still_there(w);
    put(w, " BEGIN");
    put_bad_revision(w);
    put(w, " WHERE (");
    put_next_revision(w);
    put(w, ") IS NULL; INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, before, payload,"
           " created_at) VALUES (");
    put_topic_and_table(w);
    put(w, ", ");
    put_key(w, "NEW");
    put(w, ", ");
    put_ordering_key(w, "NEW");
    put(w, ", 'update', ");
    put_next_revision(w);
    put(w, ", ");
    capture_write_image(w->sql, w->c, "OLD", before);
    put(w, ", ");
    char *next = next_revision(w);
    if (!next)
        capture_spoil(w->sql);
    capture_write_image(w->sql, w->c, "NEW", next ? next : "");
    sqlite3_free(next);
    put(w, ", " NOW ");");
    put_refused(w);
    put_owe(w, true, true);
    end(w);
}

static void write_update_key(struct writer *w)
{
    begin(w, "update_key", "AFTER UPDATE", OF_KEY);
    put(w, " WHEN ");
    put_changed(w, OF_KEY);
    put(w, " AND ");
    put_still_there(w);
    put(w, " BEGIN");
    put_key_check(w);
    put_bad_revision(w);
    put(w, " WHERE NOT ");
    put_valid(w, "OLD");
    put(w, ";");
    if (w->c->ops & OUTBOX_CAPTURE_DELETE)
        put_log_delete(w);
    if (w->c->ops & OUTBOX_CAPTURE_INSERT)
        put_log_insert(w, true);
    end(w);
}

/* What was asked for stands here: this trigger is always there. */
static void write_update_revision(struct writer *w, bool again, const char *options)
{
    begin(w, again ? "update_revision_again" : "update_revision", "AFTER UPDATE", OF_ANY);
    if (!again)
        sqlite3_str_appendf(w->sql, " /* outbox capture: %s */", options);
    put(w, " WHEN ");
    put_valid(w, "OLD");
    put(w, " AND NOT (");
    put_valid(w, "NEW");
    sqlite3_str_appendf(w->sql, " AND NEW.%s > OLD.%s) AND NOT ", w->revision, w->revision);
    put_changed(w, OF_KEY);
    put(w, " AND (");
    put_changed(w, OF_ANY);
    put(w, " OR ");
    put_revision_set(w);
    sqlite3_str_appendf(w->sql, ") BEGIN UPDATE \"%w\" SET %s = OLD.%s + 1 WHERE ", w->c->table->name, w->revision,
                        w->revision);
    put_same_row(w, "", "NEW");
    sqlite3_str_appendf(w->sql, " AND %s IS NEW.%s;", w->revision, w->revision);
    end(w);
}

static void write_delete(struct writer *w)
{
    begin(w, "delete", "AFTER DELETE", OF_ANY);
    put(w, " BEGIN");
    put_bad_revision(w);
    put(w, " WHERE NOT ");
    put_valid(w, "OLD");
    sqlite3_str_appendf(w->sql, "; DELETE FROM outbox_displaced WHERE table_name = %Q AND key = ", w->c->table->name);
    put_key(w, "OLD");
    put(w, ";");
    put_log_delete(w);
    end(w);
}

static void write_all(struct writer *w, const char *options)
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
    struct writer w = {.c = c, .db = ob->db, .triggers = triggers};
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
