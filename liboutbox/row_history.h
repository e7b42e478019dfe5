/* row_history.h — what change_log still has of one row, for SQL's outbox_history() and `outboxctl history`. */
#ifndef OUTBOX_ROW_HISTORY_H
#define OUTBOX_ROW_HISTORY_H

#include "outbox.h"

/* The columns of the statement, in this order. */
enum row_history_column {
    HISTORY_SEQ,
    HISTORY_REVISION,
    HISTORY_OP,
    HISTORY_CREATED_AT,
    HISTORY_BEFORE,
    HISTORY_AFTER,
    HISTORY_TOPIC,
    HISTORY_HEADERS
};

/* A statement over every change of the row of table with that key, in seq order; the caller finalises it. The row, and
 * even the table, may be gone. There is no index for it (it would cost every write): one walk through change_log. */
int row_history(outbox *, const char *table, const char *key, sqlite3_stmt **out);

#endif
