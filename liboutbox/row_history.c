/* row_history.c — see row_history.h. */
#include "handle.h"
#include "key.h"
#include "row_history.h"
#include "table.h"

static const char sql_history[] = "SELECT seq, revision, op, created_at, before, payload, topic, headers"
                                  "  FROM main.change_log WHERE table_name = ?1 AND key = ?2 ORDER BY seq";

/* The key as events have it, where the table is there and text can be a key of it; else as it was given. */
static int canonical_key(outbox *ob, const char *table, const char *key, const char **table_name)
{
    struct table *t;
    bool changed = false;
    *table_name = table;
    buffer_clear(&ob->key);
    int code = table_find(ob, table, &t);
    if (code == OUTBOX_OK)
        code = table_refresh(ob, &t, &changed);
    if (code == OUTBOX_OK) {
        *table_name = t->name;
        code = key_from_text(ob, t, key, 0, &ob->row_text);
    }
    if (code == OUTBOX_OK)
        key_write(&ob->key, t);
    else if (code == OUTBOX_INVALID || code == OUTBOX_NOT_FOUND)
        buffer_append_text(&ob->key, key);
    else
        return code;
    return buffer_ok(&ob->key) ? OUTBOX_OK : fail(ob, OUTBOX_NOMEM, "out of memory");
}

int row_history(outbox *ob, const char *table, const char *key, sqlite3_stmt **out)
{
    const char *table_name;
    sqlite3_stmt *st = NULL;
    int code = handle_enter(ob);
    if (code == OUTBOX_OK && ob->data_version < 0)
        code = handle_refresh(ob); /* attached before our tables were there? */
    if (code == OUTBOX_OK)
        code = canonical_key(ob, table, key, &table_name);
    if (code != OUTBOX_OK)
        return code;
    int rc = sqlite3_prepare_v2(ob->db, sql_history, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, table_name, -1, SQLITE_TRANSIENT);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text64(st, 2, ob->key.data ? ob->key.data : "", ob->key.size, SQLITE_TRANSIENT, SQLITE_UTF8);
    if (rc != SQLITE_OK) {
        code = fail_sqlite(ob, rc, "change_log");
        sqlite3_finalize(st);
        return code;
    }
    *out = st;
    return OUTBOX_OK;
}
