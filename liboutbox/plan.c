/* plan.c — the SQL of a domain table; see plan.h. Names are quoted, values always bound. */
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "plan.h"

enum { PLANS_KEPT = 64 };

static int prepare(outbox *ob, struct table *t, sqlite3_str *sql, sqlite3_stmt **out)
{
    char *text = sqlite3_str_finish(sql);
    if (!text)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v3(ob->db, text, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    sqlite3_free(text);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, t->name);
}

static void append_key_condition(sqlite3_str *sql, const struct table *t, const int *parameters)
{
    for (int k = 0; k < t->key_count; k++)
        sqlite3_str_appendf(sql, "%s\"%w\" = ?%d", k ? " AND " : " WHERE ", t->columns[t->keys[k]].name,
                            parameters ? parameters[k] + 1 : k + 1);
}

/* The name under which the rowid can be read: NULL where a column of the table's own hides it. */
static const char *rowid_name(const struct table *t)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        bool hidden = false;
        for (int i = 0; i < t->column_count; i++)
            hidden = hidden || !sqlite3_stricmp(t->columns[i].name, names[n]);
        if (!hidden)
            return names[n];
    }
    return "NULL";
}

int plan_key_statements(outbox *ob, struct table *t, bool without_rowid)
{
    sqlite3_str *sql = sqlite3_str_new(ob->db);
    sqlite3_str_appendf(sql, "SELECT %s", without_rowid ? "NULL" : rowid_name(t));
    for (int i = 0; i < t->column_count; i++)
        sqlite3_str_appendf(sql, ", \"%w\"", t->columns[i].name);
    sqlite3_str_appendf(sql, " FROM main.\"%w\"", t->name);
    append_key_condition(sql, t, NULL);
    int code = prepare(ob, t, sql, &t->select);
    if (code != OUTBOX_OK)
        return code;

    sql = sqlite3_str_new(ob->db);
    sqlite3_str_appendf(sql, "DELETE FROM main.\"%w\"", t->name);
    append_key_condition(sql, t, NULL);
    return prepare(ob, t, sql, &t->delete);
}

/* OR ABORT overrides a constraint's own ON CONFLICT REPLACE, IGNORE or ROLLBACK, which would displace rows unseen or
 * end the transaction. It would override those of statements inside triggers too, so a table with triggers goes
 * without. */
static const char *or_abort(const struct table *t)
{
    return t->triggers ? "" : "OR ABORT ";
}

static int prepare_update(outbox *ob, struct table *t, struct plan *plan)
{
    sqlite3_str *sql = sqlite3_str_new(ob->db);
    sqlite3_str_appendf(sql, "UPDATE %smain.\"%w\" SET \"%w\" = ?%d", or_abort(t), t->name,
                        t->columns[t->revision].name, plan->count + 1);
    for (int i = 0; i < plan->count; i++)
        if (plan->columns[i] >= 0 && !t->columns[plan->columns[i]].key_place)
            sqlite3_str_appendf(sql, ", \"%w\" = ?%d", t->columns[plan->columns[i]].name, i + 1);
    append_key_condition(sql, t, plan->keys);
    return prepare(ob, t, sql, &plan->update);
}

static int prepare_insert(outbox *ob, struct table *t, struct plan *plan)
{
    sqlite3_str *sql = sqlite3_str_new(ob->db);
    sqlite3_str_appendf(sql, "INSERT %sINTO main.\"%w\"(\"%w\"", or_abort(t), t->name, t->columns[t->revision].name);
    for (int i = 0; i < plan->count; i++)
        if (plan->columns[i] >= 0)
            sqlite3_str_appendf(sql, ", \"%w\"", t->columns[plan->columns[i]].name);
    sqlite3_str_appendf(sql, ") VALUES (?%d", plan->count + 1);
    for (int i = 0; i < plan->count; i++)
        if (plan->columns[i] >= 0)
            sqlite3_str_appendf(sql, ", ?%d", i + 1);
    sqlite3_str_appendall(sql, ")");
    return prepare(ob, t, sql, &plan->insert);
}

void plans_free(struct plan *plan, bool finalize)
{
    while (plan) {
        struct plan *next = plan->next;
        if (finalize) {
            sqlite3_finalize(plan->update);
            sqlite3_finalize(plan->insert);
        }
        for (int i = 0; plan->names && i < plan->count; i++)
            free(plan->names[i]);
        free(plan->names);
        free(plan->columns);
        free(plan->keys);
        free(plan);
        plan = next;
    }
}

static int find_column(const struct table *t, const char *name)
{
    for (int i = 0; i < t->column_count; i++)
        if (!sqlite3_stricmp(t->columns[i].name, name))
            return i;
    return -1;
}

/* Which column each value is for; revision and generated columns are read, never written. */
static int assign_columns(outbox *ob, const struct table *t, const outbox_value *row, struct plan *plan)
{
    for (int k = 0; k < t->key_count; k++)
        plan->keys[k] = -1;
    for (int i = 0; i < plan->count; i++) {
        int c = row[i].column ? find_column(t, row[i].column) : -1;
        if (c < 0)
            return fail(ob, OUTBOX_INVALID, "table %s has no column %s", t->name,
                        row[i].column ? row[i].column : "NULL");
        for (int j = 0; j < i; j++)
            if (!sqlite3_stricmp(row[j].column, row[i].column))
                return fail(ob, OUTBOX_INVALID, "table %s: column %s is given twice", t->name, row[i].column);
        if (t->columns[c].key_place)
            plan->keys[t->columns[c].key_place - 1] = i;
        plan->columns[i] = c == t->revision || t->columns[c].generated ? -1 : c;
    }
    return OUTBOX_OK;
}

static bool same_names(const struct plan *plan, const outbox_value *row, int n)
{
    if (plan->count != n)
        return false;
    for (int i = 0; i < n; i++)
        if (!row[i].column || strcmp(plan->names[i], row[i].column))
            return false;
    return true;
}

static int build(outbox *ob, struct table *t, const outbox_value *row, struct plan *plan)
{
    size_t n = (size_t)plan->count + 1;
    plan->names = calloc(n, sizeof *plan->names);
    plan->columns = calloc(n, sizeof *plan->columns);
    plan->keys = calloc((size_t)t->key_count, sizeof *plan->keys);
    if (!plan->names || !plan->columns || !plan->keys)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    int code = assign_columns(ob, t, row, plan);
    for (int i = 0; code == OUTBOX_OK && i < plan->count; i++)
        if (!(plan->names[i] = strdup(row[i].column)))
            code = fail(ob, OUTBOX_NOMEM, "out of memory");
    bool whole_key = true;
    for (int k = 0; k < t->key_count; k++)
        whole_key = whole_key && plan->keys[k] >= 0;
    if (code == OUTBOX_OK && whole_key)
        code = prepare_update(ob, t, plan);
    return code == OUTBOX_OK ? prepare_insert(ob, t, plan) : code;
}

/* Callers with ever new sets of columns must not fill the memory with statements. */
static void drop_oldest(struct table *t)
{
    struct plan **p = &t->plans;
    for (int kept = 0; *p && kept < PLANS_KEPT; kept++)
        p = &(*p)->next;
    plans_free(*p, true);
    *p = NULL;
}

int table_plan(outbox *ob, struct table *t, const outbox_value *row, int n, struct plan **out)
{
    for (struct plan **p = &t->plans; *p; p = &(*p)->next) {
        struct plan *plan = *p;
        if (!same_names(plan, row, n))
            continue;
        *p = plan->next;
        plan->next = t->plans;
        t->plans = *out = plan;
        return OUTBOX_OK;
    }
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    plan->count = n;
    int code = build(ob, t, row, plan);
    if (code != OUTBOX_OK) {
        plans_free(plan, true);
        return code;
    }
    plan->next = t->plans;
    t->plans = *out = plan;
    drop_oldest(t);
    return OUTBOX_OK;
}
