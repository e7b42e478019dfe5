/* capture_put.c — see capture_put.h. */
#include "capture_put.h"
#include "capture_value.h"

void capture_put(struct capture_writer *w, const char *text)
{
    sqlite3_str_appendall(w->sql, text);
}

static bool is_among(const struct capture *c, int column, enum capture_columns which)
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
static void put_of(struct capture_writer *w, enum capture_columns which)
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
    if (t->rowid_alias || (which == OF_UNIQUE && w->c->rowid))
        capture_put(w, ", rowid, _rowid_, oid");
}

void capture_begin(struct capture_writer *w, const char *what, const char *event, enum capture_columns which)
{
    w->sql = sqlite3_str_new(w->db);
    /* The colon: price has a before_insert, price_before an insert. */
    w->triggers[w->count].name = sqlite3_mprintf("outbox_capture_%s:%s", w->c->table->name, what);
    sqlite3_str_appendf(w->sql, "CREATE TRIGGER \"%w\" %s", w->triggers[w->count].name, event);
    if (which == OF_KEY || which == OF_UNIQUE)
        put_of(w, which);
    sqlite3_str_appendf(w->sql, " ON \"%w\"", w->c->table->name);
}

void capture_end(struct capture_writer *w)
{
    capture_put(w, " END");
    w->triggers[w->count++].sql = sqlite3_str_finish(w->sql);
    w->sql = NULL;
}

/* ---- Conditions ---- */

/* row.revision is one that a row can have. */
void capture_put_valid(struct capture_writer *w, const char *row)
{
    sqlite3_str_appendf(w->sql, "(typeof(%s.%s) = 'integer' AND %s.%s BETWEEN 1 AND 9223372036854775806)", row,
                        w->revision, row, w->revision);
}

/* The row of the table that is at NEW's or OLD's place. */
void capture_put_same_row(struct capture_writer *w, const char *alias, const char *row)
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
void capture_put_still_there(struct capture_writer *w)
{
    sqlite3_str_appendf(w->sql, "EXISTS (SELECT 1 FROM \"%w\" AS o WHERE ", w->c->table->name);
    capture_put_same_row(w, "o.", "NEW");
    sqlite3_str_appendf(w->sql, " AND o.%s IS NEW.%s)", w->revision, w->revision);
}

/* Some column of those has changed: in bytes, whatever its collation, and 1 is not 1.0 where both can be stored.
 * Groups, because SQLite allows an expression 1,000 deep. */
void capture_put_changed(struct capture_writer *w, enum capture_columns which)
{
    const struct table *t = w->c->table;
    int n = 0;
    capture_put(w, "((");
    if (which == OF_UNIQUE && w->c->rowid && !t->rowid_alias) {
        sqlite3_str_appendf(w->sql, "NEW.%s <> OLD.%s", w->c->rowid, w->c->rowid);
        n++;
    }
    for (int i = 0; i < t->column_count; i++) {
        if (!is_among(w->c, i, which))
            continue;
        capture_put(w, n == 0 ? "" : n % 64 == 0 ? ") OR (" : " OR ");
        n++;
        const char *name = t->columns[i].name;
        sqlite3_str_appendf(w->sql, "NEW.\"%w\" IS NOT OLD.\"%w\" COLLATE BINARY", name, name);
        if (t->columns[i].affinity == AFFINITY_BLOB)
            sqlite3_str_appendf(w->sql, " OR typeof(NEW.\"%w\") <> typeof(OLD.\"%w\")", name, name);
    }
    capture_put(w, n ? "))" : "0))");
}

/* ---- Statements ---- */

void capture_put_key(struct capture_writer *w, const char *row)
{
    capture_write_key(w->sql, w->c, row);
}

void capture_put_ordering_key(struct capture_writer *w, const char *row)
{
    if (w->c->ordering_key >= 0)
        capture_write_plain(w->sql, &w->c->table->columns[w->c->ordering_key], row);
    else
        capture_put(w, "NULL");
}

void capture_put_topic_and_table(struct capture_writer *w)
{
    const char *table = w->c->table->name;
    sqlite3_str_appendf(w->sql, "%Q, %Q", w->c->topic ? w->c->topic : table, table);
}

void capture_put_old_revision(struct capture_writer *w, const char *row, char *text, size_t size)
{
    sqlite3_snprintf((int)size, text, "%s.%s", row, w->revision);
}

/* `SELECT RAISE(…)`, to be followed by FROM or WHERE. */
void capture_put_refusal(struct capture_writer *w, const char *kind, const char *words)
{
    char *text = sqlite3_mprintf("outbox: %s: table %s: %s", kind, w->c->table->name, words);
    if (!text)
        capture_spoil(w->sql);
    sqlite3_str_appendf(w->sql, " SELECT RAISE(ABORT, %Q)", text);
    sqlite3_free(text);
}

void capture_put_bad_revision(struct capture_writer *w)
{
    char *words = sqlite3_mprintf("the stored revision is NULL, below 1 or at the end of its range; mend it: "
                                  "UPDATE \"%w\" SET %s = 1 WHERE %s IS NULL OR %s < 1",
                                  w->c->table->name, w->revision, w->revision, w->revision);
    if (!words)
        capture_spoil(w->sql);
    capture_put_refusal(w, "invalid", words);
    sqlite3_free(words);
}

/* Every part of the key, where the table lets one be NULL. */
void capture_put_key_check(struct capture_writer *w)
{
    const struct table *t = w->c->table;
    if (t->rowid_alias || t->without_rowid)
        return;
    capture_put_refusal(w, "invalid", "the key is NULL; a captured row needs one");
    for (int k = 0; k < t->key_count; k++)
        sqlite3_str_appendf(w->sql, "%s NEW.\"%w\" IS NULL", k ? " OR" : " WHERE", t->columns[t->keys[k]].name);
    capture_put(w, ";");
}

/* Where the event's images are NULL because a value is odd, outbox_odd writes them. */
static void put_odd(struct capture_writer *w, bool before, bool payload)
{
    char old[300];
    capture_put_old_revision(w, "OLD", old, sizeof old);
    capture_put(w,
                " INSERT INTO outbox_odd(image, label, value) SELECT * FROM (VALUES (NULL, NULL, last_insert_rowid())");
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
void capture_put_refused(struct capture_writer *w)
{
    capture_put_refusal(w, "ignored", "change_log did not take the event");
    capture_put(w, " WHERE changes() <> 1;");
}

/* It is owed, and its payload is not too large. */
void capture_put_owe(struct capture_writer *w, bool before, bool payload)
{
    capture_put(w, " INSERT INTO outbox(seq) VALUES (last_insert_rowid());");
    put_odd(w, before, payload);
    if (!payload)
        return;
    capture_put_refusal(w, "too big", "the row as JSON is larger than max-payload");
    capture_put(w, " FROM change_log WHERE seq = (SELECT max(seq) FROM change_log) AND length(CAST(payload AS BLOB)) >"
                   " (SELECT value FROM outbox_meta WHERE name = 'max_payload');");
}

/* What the statement gave it, at least 1. */
static char *insert_revision(struct capture_writer *w, bool key_changed)
{
    sqlite3_str *whole = w->sql;
    w->sql = sqlite3_str_new(w->db);
    capture_put(w, "CASE WHEN ");
    if (key_changed)
        sqlite3_str_appendf(w->sql, "NEW.%s IS NOT OLD.%s AND ", w->revision, w->revision);
    capture_put_valid(w, "NEW");
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
void capture_put_log_insert(struct capture_writer *w, bool key_changed)
{
    char *revision = insert_revision(w, key_changed);
    capture_put(
        w, " INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, payload, created_at) VALUES (");
    capture_put_topic_and_table(w);
    capture_put(w, ", ");
    capture_put_key(w, "NEW");
    capture_put(w, ", ");
    capture_put_ordering_key(w, "NEW");
    sqlite3_str_appendf(w->sql, ", 'insert', %s, ", revision ? revision : "");
    capture_write_image(w->sql, w->c, "NEW", revision ? revision : "");
    capture_put(w, ", " CAPTURE_NOW ");");
    sqlite3_free(revision);
    capture_put_refused(w);
    sqlite3_str_appendf(w->sql, " UPDATE change_log SET revision = %s, payload = ", sql_after_delete);
    capture_write_image(w->sql, w->c, "NEW", sql_after_delete);
    sqlite3_str_appendf(w->sql, " WHERE seq = last_insert_rowid() AND revision < %s;", sql_after_delete);
    capture_put_owe(w, false, true);
}

void capture_put_log_delete(struct capture_writer *w)
{
    char before[300];
    capture_put_old_revision(w, "OLD", before, sizeof before);
    capture_put(
        w, " INSERT INTO change_log(topic, table_name, key, ordering_key, op, revision, before, created_at) VALUES (");
    capture_put_topic_and_table(w);
    capture_put(w, ", ");
    capture_put_key(w, "OLD");
    capture_put(w, ", ");
    capture_put_ordering_key(w, "OLD");
    sqlite3_str_appendf(w->sql, ", 'delete', OLD.%s + 1, ", w->revision);
    capture_write_image(w->sql, w->c, "OLD", before);
    capture_put(w, ", " CAPTURE_NOW ");");
    capture_put_refused(w);
    capture_put_owe(w, true, false);
}
