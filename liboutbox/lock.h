/* lock.h — a lock file that dies with its holder, whatever the clock says. For consumers and JSONL streams.
 *
 * flock(): bound to the open descriptor, so that closing another one of the same file (as POSIX locks would) drops
 * nothing. The file stays when the lock is released: removing it would let two holders have two files of one name.
 */
#ifndef OUTBOX_LOCK_H
#define OUTBOX_LOCK_H

#include <stdbool.h>

struct lock {
    int fd; /* -1: not held */
};

enum lock_result { LOCK_HELD, LOCK_TAKEN /* by another */, LOCK_ERROR /* errno says */ };

/* Tries once. The file is created with mode 0640, O_CLOEXEC, O_NOFOLLOW; the holder's "pid host program" is written
 * into it. */
enum lock_result lock_try(struct lock *, const char *path);

/* A descriptor that becomes readable when the holder of path lets go or dies; -1 with errno where that can't be had:
 * then try every second. Other waiters' tries don't fire it. So that no release falls in between: watch, try once
 * more, wait. After it fires, the kernel drops the lock within a moment: try a few times a millisecond apart. Close
 * it, and for the next wait make a new one. */
int lock_watch(const char *path);

/* Who holds it, as written by the holder, "pid 4711 on host" — "another process" where it can't be read. */
void lock_holder(const char *path, char *text, unsigned size);

void lock_release(struct lock *); /* of one not held it does nothing */

#endif
