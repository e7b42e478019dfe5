/* get.c — outbox_get: a row in the form in which events show it. */
#include "handle.h"
#include "write.h"

int outbox_get(outbox *ob, const char *table, const char *key, const char **row_json, int64_t *revision)
{
    struct write w = {.ob = ob, .table_name = table};
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!table || !key)
        return fail(ob, OUTBOX_MISUSE, "table or key is NULL");
    code = write_find_by_text(&w, key);
    if (code != OUTBOX_OK)
        return code;
    if (!w.found.exists)
        code = fail(ob, OUTBOX_NOT_FOUND, "table %s, key %s: no such row", w.table->name, key);
    if (code == OUTBOX_OK)
        code = write_take_image(&w, &ob->after);
    row_done(w.table);
    if (code != OUTBOX_OK)
        return code;
    const char *text = buffer_text(&ob->after);
    if (!text)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    if (row_json)
        *row_json = text;
    if (revision)
        *revision = w.found.revision;
    return OUTBOX_OK;
}
