/* plan.h — builds the SQL of a table: its SELECT and DELETE, and per set of columns its UPDATE and INSERT.
 *
 * Statements read what the row became instead of assuming it: affinity, defaults, generated columns and triggers all
 * have their say before the image is taken.
 */
#ifndef OUTBOX_PLAN_H
#define OUTBOX_PLAN_H

#include <stdbool.h>

#include "table.h"

/* Prepares t->select and t->delete. */
int plan_key_statements(outbox *, struct table *, bool without_rowid);

void plans_free(struct plan *, bool finalize);

#endif
