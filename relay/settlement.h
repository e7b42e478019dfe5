/* settlement.h — settlements in the ledger's hands: gathered until there is a transaction, then written.
 *
 * Between two commits the newest cursor wins, and the changes to failed_deliveries keep their order. A cursor and the
 * changes it relies on are never written apart.
 */
#ifndef RELAY_SETTLEMENT_H
#define RELAY_SETTLEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "sink.h"

enum { SETTLEMENT_ATTEMPTS_KEPT = 30 }; /* of one delivery, the newest: schema/001 says so too */

/* What is to be written for one consumer. Zero is empty. */
struct settlement_batch {
    bool any;
    int64_t acked_seq;
    char *position;
    bool disable;
    struct failed_change *changes;
    int change_count, change_capacity;
};

/* Takes over settlement->changes, whatever it returns. False: out of memory, and the batch is as it was. */
bool settlement_add(struct settlement_batch *, const struct settlement *settlement);

/* After a failed write: older goes back in front of what has been added since; older is empty then. False: out of
 * memory, nothing is changed. */
bool settlement_put_back(struct settlement_batch *, struct settlement_batch *older);

void settlement_clear(struct settlement_batch *);
void settlement_free_changes(struct failed_change *changes, int count);

/* The statements, prepared once per connection. */
struct settlement_writer {
    sqlite3 *db;
    sqlite3_stmt *settle, *put, *drop, *attempt, *trim;
};

int settlement_writer_open(struct settlement_writer *, sqlite3 *db); /* SQLite code; fini after a failure too */
void settlement_writer_fini(struct settlement_writer *);

/* Inside a write transaction. *stale: the row no longer has this token, and nothing was written. */
int settlement_write(struct settlement_writer *, const char *consumer, int64_t lease_token,
                     const struct settlement_batch *, bool *stale);

#endif
