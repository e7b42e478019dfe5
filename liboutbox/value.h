/* value.h — one SQLite value: bound, read, compared, written as JSON. */
#ifndef OUTBOX_VALUE_H
#define OUTBOX_VALUE_H

#include <stdbool.h>

#include "buffer.h"
#include "outbox.h"

/* Binds without a copy: the value outlives the statement's next reset. Returns the SQLite code. */
int value_bind(sqlite3_stmt *, int parameter, const outbox_value *);

/* The type of a value for which memory did not suffice: the buffer it is written to fails, a statement it is bound to is
 * out of memory, and it is the same as no other. It must never pass for NULL. */
enum { VALUE_UNREAD = -1 };

/* Column i of the row the statement stands on; text and bytes are SQLite's, until the next step or reset. */
outbox_value value_stored(sqlite3_stmt *, int i);

/* Same type, same bytes. */
bool value_same(const outbox_value *, const outbox_value *);

void value_write(struct buffer *, const outbox_value *); /* as JSON, one form for each value wherever it stands */

#endif
