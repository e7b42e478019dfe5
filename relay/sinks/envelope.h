/* envelope.h — one event as its receiver gets it: the body, its type, and the headers that say more about it. */
#ifndef RELAY_SINKS_ENVELOPE_H
#define RELAY_SINKS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "sink.h"

enum { ENVELOPE_HEADERS_MAX = 12 + WEBHOOK_EVENT_HEADERS_MAX };

struct envelope {
    int64_t seq;
    const char *key; /* the ordering key; NULL: unordered */
    struct buffer body;
    const char *content_type; /* static; NULL: there is no body */
    const char *error;        /* it can't be sent, ever: why; NULL: fine. Body and headers are empty then */
    int64_t created_at_us;
    int header_count;
    const char *headers[ENVELOPE_HEADERS_MAX]; /* "name: value", fit for HTTP */
    struct buffer text;                        /* what key, headers and error point to */
    struct envelope *next;                     /* the pool's */
};

/* Envelopes that were used and can be again: in a steady flow nothing is allocated. Zero-initialised is empty and valid. */
struct envelope_pool {
    struct envelope *idle;
    int idle_count;
    struct buffer value; /* for the moment of a call */
};

void envelope_pool_fini(struct envelope_pool *); /* what was taken from it and not given back stays */

/* The event of row in the endpoint's format, with those of its headers that the endpoint wants; source is 16 hex digits;
 * before is left out unless with_before. Ends with envelope_free(). NULL: out of memory. */
struct envelope *envelope_new(struct envelope_pool *, const struct source_row *row, const struct webhook_settings *,
                              const char *source, bool with_before);
void envelope_free(struct envelope_pool *, struct envelope *);

/* What is idle in `from` is so in `to`, where that has less. */
void envelope_pool_move(struct envelope_pool *to, struct envelope_pool *from);

/* The memory that it takes. */
static inline size_t envelope_bytes(const struct envelope *e)
{
    return sizeof *e + e->body.capacity + e->text.capacity;
}

#endif
