/* envelope.h — one event as its receiver gets it: the body, its type, and the headers that say more about it. */
#ifndef RELAY_SINKS_ENVELOPE_H
#define RELAY_SINKS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "sink.h"

enum { ENVELOPE_HEADERS_MAX = 12 + WEBHOOK_EVENT_HEADERS_MAX };

struct envelope {
    const char *body; /* not NUL-terminated */
    size_t size;
    const char *content_type; /* static; NULL: there is no body */
    const char *error;        /* it can't be sent, ever: why; NULL: fine. Body and headers are empty then */
    int header_count;
    const char *headers[ENVELOPE_HEADERS_MAX]; /* "name: value", fit for HTTP */
    char text[];                               /* what the above point to */
};

/* The event of row in the endpoint's format, with those of its headers that the endpoint wants; source is 16 hex digits;
 * before is left out unless with_before. Freed with free(). NULL: out of memory. */
struct envelope *envelope_new(const struct source_row *row, const struct webhook_settings *, const char *source,
                              bool with_before);

#endif
