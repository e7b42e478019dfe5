/* event_select.h — the SELECT that events are read with, and one of its rows as a struct source_row.
 *
 * The operator's expressions are result columns, never a WHERE: the cursor passes what a filter does not want, and a row
 * on which one fails can be told from a query that fails.
 */
#ifndef RELAY_EVENT_SELECT_H
#define RELAY_EVENT_SELECT_H

#include <stdbool.h>

#include <sqlite3.h>

#include "buffer.h"
#include "settings.h"
#include "sink.h"

/* table is outbox_events (what is owed) or change_log (what happened). settings NULL: bare, without any expression,
 * payload or before. Returns an SQLite code. */
int event_select_prepare(sqlite3 *db, const char *table, const struct sink_settings *settings, sqlite3_stmt **st);

/* At most limit rows with after < seq <= upto, in seq order. */
void event_select_bind(sqlite3_stmt *st, int64_t after, int64_t upto, int limit);

int64_t event_select_seq(sqlite3_stmt *st);
bool event_select_wanted(sqlite3_stmt *st); /* the filter's word */

/* Fills all of row->event but seq, prev and id. It points into SQLite's memory, a payload that plain SQL stored as a number
 * into number: gone at the next step. False: out of memory, and what is NULL in it may not be so in the row. */
bool event_select_row(sqlite3_stmt *st, struct buffer *number, struct source_row *row);

#endif
