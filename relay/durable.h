/* durable.h — up to which event the database is on stable storage, as far as the pipelines of one relay have found out.
 *
 * Each of them reads on a connection of its own, and must not deliver what a power cut could take back. But seq order is
 * commit order, and the WAL is one file: a sync that began after somebody had seen seq N in a snapshot covers every event
 * up to N, whoever reads it later. So the pages of a backlog need one sync, not one each, and no second pipeline's either.
 */
#ifndef RELAY_DURABLE_H
#define RELAY_DURABLE_H

#include <stdatomic.h>
#include <stdint.h>

#include "clock.h"

struct durable {
    _Atomic int64_t seq;
    _Atomic int64_t at_us; /* when it last rose; clock_monotonic_us() */
    atomic_bool led;       /* one that reads at a pace is reading and syncing what nobody else has yet */
};

/* Everything up to it is on stable storage; 0: nothing is known. From any thread, as all here. */
static inline int64_t durable_seq(struct durable *d)
{
    return atomic_load(&d->seq);
}

/* A sync of the WAL that began after a snapshot with this last seq has ended well. */
static inline void durable_reached(struct durable *d, int64_t last_seq)
{
    int64_t known = durable_seq(d);
    atomic_store(&d->at_us, clock_monotonic_us());
    while (known < last_seq && !atomic_compare_exchange_weak(&d->seq, &known, last_seq))
        ;
}

/* The database's last seq went back, or it has another source: its seqs are not those that were synced. */
static inline void durable_forget(struct durable *d)
{
    atomic_store(&d->seq, 0);
}

#endif
