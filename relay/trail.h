/* trail.h — what has been delivered and may not be in the database yet, where the next holder of the consumer finds it.
 *
 * The ledger commits some 20 times a second, or when a busy writer lets it; delivery does not wait for that. So each
 * delivery is noted in a file of the consumer's own as well, DATABASE.CONSUMER.trail: written, never synced, since a kill
 * leaves the page cache as it is, and what a power cut takes costs repeats only.
 *
 * An entry is believed only where its seal is the one that follows from the database as it is now: from its source, the
 * consumer's lease token, and the event of that seq. So nothing counts that is torn, stale, of another database, or from
 * before an operator moved the cursor. Used by whoever holds the consumer's lock, and by nobody else.
 */
#ifndef RELAY_TRAIL_H
#define RELAY_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRAIL_ENTRIES = 1 << 17 }; /* the newest; what is delivered beyond that without a commit may come again */

struct trail;

struct trail_entry {
    int64_t seq;
    int64_t floor; /* a cursor that the database had when this was written: a lower one was put there by hand */
    uint64_t seal;
};

/* Creates the file where it is missing. NULL: it can't be had, which is said; every function here takes NULL. */
struct trail *trail_open(const char *path, const char *consumer);
void trail_close(struct trail *);

/* What is added from here on is sealed for this source and lease token. Forgets what was added before. */
void trail_begin(struct trail *, const char *source, int64_t lease_token, int64_t acked_seq);

/* The event of seq is delivered. In memory until trail_flush(). */
void trail_add(struct trail *, int64_t seq, int64_t created_at_us);

/* Writes what was added: after the answers, and before anything more is sent, so that a kill repeats no more than what
 * was in flight. A failure is said once; then nothing is written until trail_begin(). */
void trail_flush(struct trail *);

/* Something was settled that is no delivery, and that a kill would undo: what must not overtake it waits while
 * trail_awaits(), until trail_recorded() says that the database has it all. */
void trail_await(struct trail *);
bool trail_awaits(const struct trail *); /* false for NULL: nobody would say when */

/* The database's cursor, as committed; all: and with it everything that was added. */
void trail_recorded(struct trail *, int64_t acked_seq, bool all);

/* Leaves nothing in the file. False: it could not be cut; errno says why. */
bool trail_clear(struct trail *);

/* All that is in the file, by seq, *entries to be freed. Whether it is to be believed is the caller's to find out.
 * False: it could not be read, or, by errno ENOMEM, out of memory. */
bool trail_read(const struct trail *, struct trail_entry **entries, size_t *count);

uint64_t trail_seal(const char *source, int64_t lease_token, int64_t seq, int64_t floor, int64_t created_at_us);

#endif
