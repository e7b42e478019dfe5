/* reader.h — a reader as the SQL functions need it: reading from a place of the caller's choice, as often as it likes.
 *
 * In SQL a read is repeated without harm: what outbox_read() shows begins behind the last acknowledgement, each time.
 * So the place is the caller's, and the reader only knows how far anything was handed out. For readers of the database
 * with a consumer's name; not to be mixed with outbox_reader_next().
 */
#ifndef OUTBOX_READER_H
#define OUTBOX_READER_H

#include <stdbool.h>

#include "event_batch.h"
#include "outbox.h"

/* What the consumer has acknowledged, as the connection sees it now. STALE as for outbox_reader_next(). */
int reader_acked(outbox_reader *, int64_t *acked_seq);

/* Fills batch with at most count events after after_seq. GAP as for outbox_reader_next(), but it isn't kept. */
int reader_read(outbox_reader *, int64_t after_seq, int count, struct event_batch *batch);

void reader_handed(outbox_reader *, int64_t seq); /* from now on seq may be acknowledged */

/* Waits at most timeout_ms until there is an event (or a gap) behind those handed out. Outside a transaction. */
int reader_wait(outbox_reader *, int timeout_ms, bool *any);

#endif
