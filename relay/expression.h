/* expression.h — the operator's SQL (filter, transform): checked at start, confined while it runs.
 *
 * The connection is read-only already. The authorizer takes away the rest: no attach, no pragma, no function that
 * reaches a file or another library; a budget bounds what one event's expressions may compute.
 */
#ifndef RELAY_EXPRESSION_H
#define RELAY_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include <sqlite3.h>

/* Lives as long as the connection it is given to. */
struct expression_budget {
    int left; /* progress callbacks until the statement is interrupted; negative: not counting */
};

/* Sets db's authorizer and progress handler, for good: SQLite asks the authorizer again when it prepares anew. */
void expression_confine(sqlite3 *db, struct expression_budget *);

void expression_budget_begin(struct expression_budget *); /* before each event */
void expression_budget_end(struct expression_budget *);   /* other statements on the connection are not bounded */

/* Whether sql is one expression over the columns of outbox_events. option is its name for the message ("--filter"),
 * which shows the place of the error. db is confined. */
bool expression_check(sqlite3 *db, const char *option, const char *sql, char *message, size_t message_size);

#endif
