/* event_line.h — one line of a stream, of either format, as an event. Pure.
 *
 * Native lines give everything. A CloudEvent has no table, before or headers: those are NULL, but for a traceparent,
 * which comes back as the one header; its partitionkey is handed out as the ordering_key.
 */
#ifndef OUTBOX_EVENT_LINE_H
#define OUTBOX_EVENT_LINE_H

#include <stdbool.h>

#include "buffer.h"
#include "outbox.h"

enum { SOURCE_SIZE = 17 };

/* Zero-initialised is empty; one is used for many lines. */
struct event_line {
    outbox_event event; /* op, id and error are NUL-terminated, the others sized; in the line's text or in decoded */
    char source[SOURCE_SIZE];
    struct buffer decoded; /* strings with escapes, bytes out of base64 */
};

/* Whether text, without its line break, is an event: a JSON object with seq, prev and an id that agrees. The event
 * borrows from text. Out of memory is false too, with decoded failed. */
bool event_line_parse(struct event_line *, const char *text, size_t size);

void event_line_free(struct event_line *);

#endif
