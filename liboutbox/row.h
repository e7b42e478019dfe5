/* row.h — the row that a table's SELECT stands on: finding it, and what an event says of it. */
#ifndef OUTBOX_ROW_H
#define OUTBOX_ROW_H

#include <stdbool.h>

#include "table.h"

struct found_row {
    bool exists;
    int64_t revision;
    int64_t rowid; /* 0 where the table has none */
};

/* Steps t->select with t->key_values bound. It stands on the row, if there is one, until row_done(). *changed (may be
 * NULL where the schema cannot change any more): the schema did, *t is another; look the key up again. */
int row_find(outbox *, struct table **t, struct found_row *, bool *changed);

/* INVALID where the row's revision is NULL, no integer, below 1 or the last there is; with the UPDATE that mends it. */
int row_check_revision(outbox *, const struct table *, const struct found_row *, const char *key);

/* The whole row as a JSON object, appended; row_write_at as if it were at that revision. */
void row_write(struct buffer *, const struct table *);
void row_write_at(struct buffer *, const struct table *, int64_t revision);

void row_done(struct table *); /* resets the SELECT */

#endif
