/* consumer.h — a row of consumer_offsets, held: registered where it is new, locked, claimed. */
#ifndef OUTBOX_CONSUMER_H
#define OUTBOX_CONSUMER_H

#include <stdbool.h>

#include "lock.h"
#include "outbox.h"

enum { CONSUMER_NAME_MAX = 64 };

struct consumer {
    char name[CONSUMER_NAME_MAX + 1];
    struct lock lock;    /* DATABASE.NAME.lock */
    int64_t lease_token; /* ours; another one in the table means that we hold nothing any more */
    int64_t acked_seq;   /* when it was taken */
};

bool consumer_name_is_good(const char *name); /* 1 to 64 of [A-Za-z0-9._-], no leading dot */

/* Locks, registers at from (OUTBOX_FROM_…) where there is no such consumer, and raises the lease token: the last two
 * in one transaction. BUSY (held by another), INVALID (it follows a file), REWOUND. On failure nothing is held. */
int consumer_take(outbox *, const char *name, int from, struct consumer *);

/* REWOUND, in words. */
int consumer_rewound(outbox *, const char *name, int64_t read_seq, int64_t last_seq);

void consumer_release(struct consumer *); /* lets the lock go; the row stays */

#endif
