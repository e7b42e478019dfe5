/* batch.h — the events that travel in one request. One, where requests carry single events; it is the same path. */
#ifndef RELAY_SINKS_BATCH_H
#define RELAY_SINKS_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "http_request.h"
#include "window.h"

enum { BATCH_ID_SIZE = 80, BATCH_BYTES_MAX = 1 << 20 /* once a body is larger, no more events are added */ };

struct batch {
    struct window_event **events; /* room for as many as a request may carry; their items are envelopes */
    int count;
    size_t bytes;       /* of the events' bodies */
    struct buffer body; /* of a batch; a single event's is its envelope's */
};

bool batch_init(struct batch *, int most); /* false: out of memory */
void batch_fini(struct batch *);           /* zero-initialised is fine */

void batch_clear(struct batch *);
void batch_add(struct batch *, struct window_event *); /* while count is below most */

/* By seq, which keeps each key's order. */
void batch_sort(struct batch *);

/* SOURCE-FIRST-LAST- and 16 hex digits of the SHA-256 of its seqs joined by commas: the same events have the same id.
 * False: libcrypto is out of memory. */
bool batch_id(const struct batch *, const char *source, char out[BATCH_ID_SIZE]);

/* The events as a JSON array: native ones, or a CloudEvents batch. *out borrows from the batch. False: out of memory. */
bool batch_message(struct batch *, enum event_format format, struct http_message *out);

#endif
