/* delete.c — outbox_delete: the row goes, its last image is owed. */
#include "handle.h"
#include "key.h"
#include "transaction.h"
#include "write.h"

static int delete_row(struct write *w, struct scope *scope, const char *key)
{
    outbox *ob = w->ob;
    int code = write_find_by_text(w, key);
    w->rowid = sqlite3_last_insert_rowid(ob->db);
    if (code != OUTBOX_OK)
        return code;
    if (!w->found.exists && w->expected == OUTBOX_ANY_REVISION)
        code = fail(ob, OUTBOX_NOT_FOUND, "table %s, key %s: no such row", w->table->name, key);
    if (code == OUTBOX_OK)
        code = write_check_revision(w);
    if (code == OUTBOX_OK)
        code = write_take_image(w, &ob->before);
    row_done(w->table);
    if (code == OUTBOX_OK)
        code = write_prepare(w);
    if (code == OUTBOX_OK)
        code = scope_protect(ob, scope);
    if (code != OUTBOX_OK)
        return code;
    w->revision = w->found.revision + 1;
    int rc = key_bind(w->table->delete, w->table);
    code = rc == SQLITE_OK ? write_step(w, w->table->delete) : fail_sqlite(ob, rc, w->table->name);
    return code == OUTBOX_OK ? write_owe(w, "delete", &ob->before, NULL) : code;
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
        write_remember(&w);
    return code;
}
