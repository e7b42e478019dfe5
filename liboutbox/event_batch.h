/* event_batch.h — events copied out of where they were read, so that no read transaction outlives the read.
 *
 * One arena and one array, kept over batches: after warm-up a batch allocates nothing.
 */
#ifndef OUTBOX_EVENT_BATCH_H
#define OUTBOX_EVENT_BATCH_H

#include <stdbool.h>

#include "buffer.h"
#include "outbox.h"

/* The columns, in the order event_batch_add() reads them, of outbox_events or of change_log. */
#define EVENT_COLUMNS "seq, topic, table_name, key, op, revision, before, payload, headers, ordering_key, created_at"

struct stored_event;

struct event_batch {
    struct buffer arena;
    struct stored_event *events;
    int count, capacity;
    int next;           /* the one to hand out */
    outbox_event event; /* the one handed out */
};

void event_batch_clear(struct event_batch *);
void event_batch_free(struct event_batch *);

/* Copies the row that st stands on. false: out of memory. */
bool event_batch_add(struct event_batch *, sqlite3_stmt *st, const char *source);

/* Copies an event whose texts are somebody else's; only those with a size may lack their NUL. false: out of memory. */
bool event_batch_put(struct event_batch *, const outbox_event *);

/* The next event, pointing into the batch. NULL: no more. */
outbox_event *event_batch_next(struct event_batch *);

int64_t event_batch_seq(const struct event_batch *, int i); /* of event i, 0 <= i < count */
void event_batch_set_prev(struct event_batch *, int i, int64_t prev);
void event_batch_cut(struct event_batch *, int count); /* forgets event count and those behind it */

/* Enough for one read: what is held stays within this and one event more. */
enum { EVENT_BATCH_BYTES = 1 << 20 };

static inline bool event_batch_is_large(const struct event_batch *b)
{
    return b->arena.size >= EVENT_BATCH_BYTES;
}

#endif
