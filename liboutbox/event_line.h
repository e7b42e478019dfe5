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

/* Where a line stands in its stream, for who needs no more of it. */
struct event_place {
    int64_t seq, prev;
    char source[SOURCE_SIZE]; /* of the event's id */
    const char *time;         /* borrowed from the text; NULL: it has none */
    size_t time_size;
};

/* Whether text, without its line break, is an event: a JSON object with seq, prev and an id that agrees. Nothing else is
 * looked at: filters, transforms and formats change between runs. */
bool event_line_place(struct event_place *, const char *text, size_t size);

/* The whole event, which borrows from text. Out of memory is false too, with decoded failed. */
bool event_line_parse(struct event_line *, const char *text, size_t size);

void event_line_free(struct event_line *);

#endif
