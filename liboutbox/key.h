/* key.h — a row's primary key: from the caller's values, from its text form, and back to text.
 *
 * The text form is public (outbox_last_key). A key is first brought to the value SQLite would store under the column's
 * affinity, so that one row has one key, however it was spelt.
 */
#ifndef OUTBOX_KEY_H
#define OUTBOX_KEY_H

#include "buffer.h"
#include "table.h"

/* Fills t->key_values from the plan's values. *assigned: a rowid alias was left out (or NULL) and SQLite will choose.
 * INVALID: a part is missing, NULL, or of a type its column does not keep. */
int key_from_row(outbox *, struct table *, const struct plan *, const outbox_value *row, bool *assigned);

/* Fills t->key_values from text. A text can stand for more than one value ("42" in a column without affinity): readings
 * are tried in turn, 0, 1, …; NOT_FOUND: there is no such reading. INVALID: text can be no key of this table. The
 * bytes of a BLOB are kept in scratch. */
int key_from_text(outbox *, struct table *, const char *text, int reading, struct buffer *scratch);

/* Binds t->key_values to ?1.. */
int key_bind(sqlite3_stmt *, const struct table *);

/* The text form of t->key_values, or of the row that t->select stands on. */
void key_write(struct buffer *, const struct table *);
void key_write_stored(struct buffer *, const struct table *);

#endif
