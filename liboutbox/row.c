/* row.c — see row.h. */
#include "handle.h"
#include "key.h"
#include "row.h"
#include "value.h"

int row_find(outbox *ob, struct table **table, struct found_row *row, bool *changed)
{
    struct table *t = *table;
    sqlite3_reset(t->select);
    int rc = key_bind(t->select, t);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(t->select);
    if (changed) {
        int code = table_recheck(ob, table, rc, changed);
        if (code != OUTBOX_OK || *changed)
            return code;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        int code = fail_sqlite(ob, rc, t->name);
        sqlite3_reset(t->select);
        return code;
    }
    *row = (struct found_row){.exists = rc == SQLITE_ROW};
    if (!row->exists)
        return OUTBOX_OK;
    int revision = SELECT_IMAGE + t->revision;
    if (sqlite3_column_type(t->select, revision) == SQLITE_INTEGER)
        row->revision = sqlite3_column_int64(t->select, revision);
    row->rowid = sqlite3_column_int64(t->select, SELECT_ROWID);
    return OUTBOX_OK;
}

int row_check_revision(outbox *ob, const struct table *t, const struct found_row *row, const char *key)
{
    const char *revision = t->columns[t->revision].name;
    if (row->revision < 1)
        return fail(
            ob, OUTBOX_INVALID,
            "table %s, key %s: the stored revision is NULL or below 1; mend it: UPDATE \"%s\" SET %s = 1 WHERE %s IS NULL OR %s < 1",
            t->name, key, t->name, revision, revision, revision);
    if (row->revision == INT64_MAX)
        return fail(ob, OUTBOX_INVALID, "table %s, key %s: the revision is at the end of its range (%lld)", t->name,
                    key, (long long)row->revision);
    return OUTBOX_OK;
}

static void write_image(struct buffer *b, const struct table *t, const outbox_value *revision)
{
    for (int i = 0; i < t->column_count; i++) {
        outbox_value v = i == t->revision && revision ? *revision : value_stored(t->select, SELECT_IMAGE + i);
        buffer_append_byte(b, i ? ',' : '{');
        buffer_append(b, t->columns[i].label, t->columns[i].label_size);
        value_write(b, &v);
    }
    buffer_append_byte(b, '}');
}

void row_write(struct buffer *b, const struct table *t)
{
    write_image(b, t, NULL);
}

void row_write_at(struct buffer *b, const struct table *t, int64_t revision)
{
    outbox_value v = outbox_int(NULL, revision);
    write_image(b, t, &v);
}

void row_done(struct table *t)
{
    sqlite3_reset(t->select);
}
