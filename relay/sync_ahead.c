/* sync_ahead.c — when a sync before the look is worth trying, and whether it was enough; see sync_ahead.h.
 *
 * Where writers are many the next one writes before the snapshot is taken, and the sync proves nothing: it is then left
 * out more and more often, so that such a disk has no more syncs than without all this.
 */
#include "sync_ahead.h"

#include <sched.h>

#include "clock.h"
#include "wal.h"

enum { SILENCE_US = 20, PATIENCE_US = 400, MISSES_MAX = 6 };

static void resolve(struct sync_ahead *a, bool useful)
{
    if (!a->synced)
        return;
    a->synced = false;
    a->misses = useful ? 0 : a->misses < MISSES_MAX ? a->misses + 1 : MISSES_MAX;
    a->skip = useful ? 0 : 1 << a->misses;
}

/* A commit is some ten writes, each a few microseconds after the one before. */
static bool await_silence(struct sync_ahead *a)
{
    int64_t now_us = clock_monotonic_us(), end_us = now_us + PATIENCE_US, quiet_us = now_us + SILENCE_US;

    while (now_us < quiet_us) {
        sched_yield();
        uint64_t writes = wake_writes(a->wake);
        now_us = clock_monotonic_us();
        if (writes == 0 || (writes != a->writes && now_us > end_us))
            return false;
        if (writes != a->writes)
            quiet_us = now_us + SILENCE_US;
        a->writes = writes;
    }
    return true;
}

bool sync_ahead_wanted(struct sync_ahead *a)
{
    uint64_t writes = a->wake ? wake_writes(a->wake) : 0;

    if (writes == 0 || writes == a->writes)
        return false;
    resolve(a, false); /* the last one led to nothing that could be seen */
    a->writes = writes;
    if (a->skip > 0) {
        a->skip--;
        return false;
    }
    return await_silence(a);
}

int sync_ahead_sync(struct sync_ahead *a)
{
    a->synced = true;
    return wal_sync(a->db);
}

bool sync_ahead_covers(struct sync_ahead *a)
{
    bool covers = a->synced && wake_writes(a->wake) == a->writes;

    resolve(a, covers);
    return covers;
}
