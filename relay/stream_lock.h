/* stream_lock.h — a JSONL stream is one's own: its file, and the names that its segments will have.
 *
 * PATH.lock guards the file. Segments are named by PATH less a final ".jsonl", so "events" and "events.jsonl" would count,
 * read and delete each other's: whoever writes the former holds the latter's lock too.
 */
#ifndef RELAY_STREAM_LOCK_H
#define RELAY_STREAM_LOCK_H

#include "lock.h"
#include "segment.h"

struct stream_lock {
    struct lock file;
    struct lock names; /* held where the path has a names_lock */
};

#define STREAM_LOCK_NONE ((struct stream_lock){{-1}, {-1}})

/* Tries once, for both or none. Unless HELD, *which is the lock file that another holds or that errno is about; it is the
 * path's. */
enum lock_result stream_lock_try(struct stream_lock *, const struct stream_path *, const char **which);

/* Whether it is held, by the lock files that lie beside the stream: one that was removed with its directory holds nobody
 * back any more. */
bool stream_lock_is_current(const struct stream_lock *, const struct stream_path *);

void stream_lock_release(struct stream_lock *); /* of one not held it does nothing */

#endif
