/* snapshot.h — every row of some tables as of one seq, as events of op `row`: what a reader starts from when the events
 * that led there are gone.
 *
 * One read transaction of a connection of its own, from open to close, streamed: it holds one row at a time. While it
 * is open the WAL can't begin anew.
 */
#ifndef OUTBOX_SNAPSHOT_H
#define OUTBOX_SNAPSHOT_H

#include <stdbool.h>

#include "event_batch.h"
#include "outbox.h"

struct snapshot;

/* tables is NULL-terminated; NULL: every table with a primary key and a revision. Failures are told on the handle ob:
 * INVALID (no such table), SCHEMA, BUSY, IO, CORRUPT, NOMEM. */
int snapshot_open(outbox *ob, const char *db_path, const char *const *tables, struct snapshot **out);

/* Fills an empty batch with at most count rows, table by table, in the order of their primary keys. A failure is for
 * good: every later call has the same. */
int snapshot_read(outbox *ob, struct snapshot *, int count, struct event_batch *);

int64_t snapshot_seq(const struct snapshot *);  /* every event up to it is in the rows, none after */
bool snapshot_is_done(const struct snapshot *); /* there is no row that was not read */
void snapshot_close(struct snapshot *, bool forked);

#endif
