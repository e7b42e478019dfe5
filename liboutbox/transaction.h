/* transaction.h — the one way a write of the library is all or nothing.
 *
 *     struct scope scope;
 *     int code = scope_enter(ob, &scope);      // joins the open transaction, or BEGIN IMMEDIATE
 *     if (code == OUTBOX_OK) {
 *         … look, decide, refuse: nothing written yet …
 *         code = scope_protect(ob, &scope);    // before the first change: a savepoint where we joined
 *         … write …
 *         code = scope_leave(ob, &scope, code);  // keeps it all, or leaves nothing of it
 *     }
 *
 * Every path that entered leaves. What scope_leave returns is the caller's result.
 *
 * Called while a statement that writes is in progress on the connection (INSERT … SELECT outbox_upsert(…), an UPDATE …
 * RETURNING half stepped), a write can have neither a transaction nor a savepoint of its own: it joins, and is committed
 * with that statement. Where it then fails between its own changes, the whole transaction is rolled back (ABORTED).
 */
#ifndef OUTBOX_TRANSACTION_H
#define OUTBOX_TRANSACTION_H

#include <stdbool.h>

#include "outbox.h"

struct scope {
    bool own;       /* this call's own transaction; else it joined */
    bool protected; /* a savepoint is open */
    bool statement; /* joined a writing statement that is its own transaction */
    bool bare;      /* inside a writing statement: what was changed can only be undone with all the rest */
    int changes;    /* bare: sqlite3_total_changes() before the first change */
};

int scope_enter(outbox *, struct scope *);
int scope_join(outbox *, struct scope *); /* the same where none of our tables but consumer_offsets is needed */
int scope_protect(outbox *, struct scope *);

int scope_leave(outbox *, struct scope *, int code);

/* Leaves with OUTBOX_OK and nothing written: the change turned out to be none. */
int scope_discard(outbox *, struct scope *);

#endif
