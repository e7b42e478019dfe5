/* mod_table.h — what the two tables with arguments, outbox_read and outbox_history, have in common.
 *
 * Both exist by themselves (eponymous) and take their arguments as hidden columns, the last ones. Which of them were
 * given stands in idxNum, a bit for each; the values come in their order.
 */
#ifndef OUTBOX_MOD_TABLE_H
#define OUTBOX_MOD_TABLE_H

#include "mod_outbox.h"

struct module_table {
    sqlite3_vtab base;
    struct module *m;
};

/* Declares the columns and makes the table; an SQLite code. */
int table_connect(struct module *, const char *columns, sqlite3_vtab **out);
int table_free(sqlite3_vtab *);

/* Takes `column = value` for each of the count hidden columns from first on. SQLITE_CONSTRAINT: one has its value only
 * in another order of a join. Rows come in the order of column 0. */
int table_best_index(sqlite3_index_info *, int first, int count);

/* The values given, by hidden column; NULL: not given. */
void table_arguments(int given, sqlite3_value **values, int count, sqlite3_value *arguments[]);

/* Leaves the code's message with the table; returns SQLite's code. */
int table_fail(sqlite3_vtab *, int code);

#endif
