/* consumer.h — a row of consumer_offsets, held: registered where it is new, locked, claimed, moved on. */
#ifndef OUTBOX_CONSUMER_H
#define OUTBOX_CONSUMER_H

#include <stdbool.h>

#include "feed.h"
#include "lock.h"
#include "outbox.h"

enum { CONSUMER_NAME_MAX = 64, CONSUMER_POSITION_MAX = 63 };

struct consumer {
    char name[CONSUMER_NAME_MAX + 1];
    struct lock lock;    /* DATABASE.NAME.lock */
    int64_t lease_token; /* ours; another one in the table means that we hold nothing any more */
    int64_t acked_seq;   /* when it was taken; FEED_UNBEGUN (NULL in the table): nothing was there yet */
    char position[CONSUMER_POSITION_MAX + 1]; /* when it was taken; "" where it has none */
    bool of_files;                            /* its database need have nothing of ours but consumer_offsets */
    sqlite3_stmt *look, *ack;
};

bool consumer_name_is_good(const char *name); /* 1 to 64 of [A-Za-z0-9._-], no leading dot */

/* Locks, registers at from (OUTBOX_FROM_…) where there is no such consumer, and raises the lease token: the last two
 * in one transaction, which creates consumer_offsets for a consumer of files where it is missing. BUSY (held by another), INVALID (it follows something else), REWOUND. On failure nothing is
 * held. */
int consumer_take(outbox *, const char *name, struct feed *, int from, struct consumer *);

/* STALE where the cursor was moved by an operator, removed, or taken over. */
int consumer_check(outbox *, struct consumer *);
int consumer_look(outbox *, struct consumer *, int64_t *acked_seq); /* the same, and how far it has acknowledged */

/* Acknowledges everything up to seq, in the open transaction or one of its own. position NULL leaves it as it is. */
int consumer_ack(outbox *, struct consumer *, int64_t seq, const char *position);

/* Moves the cursor to where from is, back or forth, under a new lease token. */
int consumer_restart(outbox *, struct consumer *, struct feed *, int from, int64_t *after_seq);

void consumer_release(struct consumer *, bool forked); /* lets the lock go; the row stays */

#endif
