/* sync_ahead.h — syncs the WAL beside a writer that is syncing it, so that its commit is found durable.
 *
 * A commit at synchronous=FULL is written, synced, and only then to be seen: whoever sees it and syncs again to be sure
 * comes a whole sync late. So the moment after the writes were heard and before the commit can be seen is used: the disk
 * serves both together. Whether that sync was enough is proven, not assumed: it began after the last write that was
 * heard, and none was heard from then until the snapshot was taken. Every frame in the snapshot was written before the
 * sync, then. Else the caller syncs as ever.
 *
 * SQLite writes the WAL with write(), never through a map: each of them is heard.
 */
#ifndef RELAY_SYNC_AHEAD_H
#define RELAY_SYNC_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "wake.h"

struct sync_ahead {
    sqlite3 *db;       /* borrowed */
    struct wake *wake; /* borrowed; NULL: all questions are answered with no */
    uint64_t writes;   /* as they were before the last sync, or when it was decided that there is to be none */
    bool synced;       /* since then there was a sync whose use has not shown yet */
    int misses, skip;  /* so many in a row were of no use, so many more chances are left out */
};

/* Nothing new is to be seen: has a commit been written that its writer may be syncing now? Comes back when the writes
 * have ended, after 20 us of silence; look again then. */
bool sync_ahead_wanted(struct sync_ahead *);

/* After that, where there is still nothing to be seen. An SQLite code. */
int sync_ahead_sync(struct sync_ahead *);

/* After a read: whether all that it saw was synced by that. */
bool sync_ahead_covers(struct sync_ahead *);

#endif
