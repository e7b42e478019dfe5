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
 */
#ifndef OUTBOX_TRANSACTION_H
#define OUTBOX_TRANSACTION_H

#include <stdbool.h>

#include "outbox.h"

struct scope {
    bool own;       /* this call's own transaction; else it joined */
    bool protected; /* a savepoint is open */
};

int scope_enter(outbox *, struct scope *);
int scope_join(outbox *, struct scope *); /* the same where none of our tables but consumer_offsets is needed */
int scope_protect(outbox *, struct scope *);

int scope_leave(outbox *, struct scope *, int code);

/* Leaves with OUTBOX_OK and nothing written: the change turned out to be none. */
int scope_discard(outbox *, struct scope *);

#endif
