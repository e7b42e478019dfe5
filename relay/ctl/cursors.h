/* cursors.h — a database that holds cursors: an outbox, or one of a reader's own, for a stream's files.
 *
 * Of the latter nothing is known but the table consumer_offsets: it is nobody's outbox and is not made one, nor turned
 * to WAL.
 */
#ifndef OUTBOXCTL_CURSORS_H
#define OUTBOXCTL_CURSORS_H

#include <stdbool.h>

#include "ctl.h"
#include "wal.h"

/* Zero is closed. Does not move while it is open. */
struct cursors {
    outbox *ob;
    sqlite3 *own;             /* the connection of a reader's own database; NULL: an outbox */
    struct wal_keeper keeper; /* of own */
};

/* Whether db has a consumer_offsets of ours and is no outbox. An SQLite code: a fault may have ended the transaction that
 * it is asked in, so nothing may be done on a guess. */
int cursors_ask(sqlite3 *db, bool *readers);

/* The same before anything is done; false also where it can't be read. */
bool cursors_are_a_readers(sqlite3 *db);

/* For a reader: an existing database, with our tables or without; the reader makes what it needs. EXIT_DONE, else
 * said. */
int cursors_open(const struct ctl *, struct cursors *);

/* For who moves cursors: as ctl_open(), or a database of a reader's own. EXIT_DONE, else said. */
int cursors_open_existing(const struct ctl *, struct cursors *);

void cursors_tend(struct cursors *); /* after a commit */
void cursors_close(struct cursors *);

#endif
