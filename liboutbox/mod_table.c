/* mod_table.c — see mod_table.h. */
#include "mod_table.h"

int table_connect(struct module *m, const char *columns, sqlite3_vtab **out)
{
    int rc = sqlite3_declare_vtab(m->db, columns);
    if (rc != SQLITE_OK)
        return rc;
    struct module_table *t = sqlite3_malloc(sizeof *t);
    if (!t)
        return SQLITE_NOMEM;
    *t = (struct module_table){.m = m};
    *out = &t->base;
    return sqlite3_vtab_config(m->db, SQLITE_VTAB_DIRECTONLY);
}

int table_free(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

int table_best_index(sqlite3_index_info *info, int first, int count)
{
    int places[8] = {0}, argv = 0;
    for (int i = 0; i < info->nConstraint; i++) {
        int hidden = info->aConstraint[i].iColumn - first;
        if (hidden < 0 || hidden >= count || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!info->aConstraint[i].usable)
            return SQLITE_CONSTRAINT;
        places[hidden] = i + 1;
    }
    for (int hidden = 0; hidden < count; hidden++) {
        if (!places[hidden])
            continue;
        info->aConstraintUsage[places[hidden] - 1].argvIndex = ++argv;
        info->aConstraintUsage[places[hidden] - 1].omit = 1;
        info->idxNum |= 1 << hidden;
    }
    info->orderByConsumed = info->nOrderBy == 1 && info->aOrderBy[0].iColumn == 0 && !info->aOrderBy[0].desc;
    info->estimatedCost = 1000;
    info->estimatedRows = 100;
    return SQLITE_OK;
}

void table_arguments(int given, sqlite3_value **values, int count, sqlite3_value *arguments[])
{
    for (int hidden = 0; hidden < count; hidden++)
        arguments[hidden] = given & (1 << hidden) ? *values++ : NULL;
}

int table_fail(sqlite3_vtab *table, int code)
{
    sqlite3_free(table->zErrMsg);
    table->zErrMsg = module_message(((struct module_table *)table)->m, code);
    return table->zErrMsg ? sqlite_code(code) : SQLITE_NOMEM;
}
