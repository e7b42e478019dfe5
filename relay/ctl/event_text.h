/* event_text.h — an event that a reader handed out as a line again, in the native form. */
#ifndef OUTBOXCTL_EVENT_TEXT_H
#define OUTBOXCTL_EVENT_TEXT_H

#include <stdbool.h>

#include "buffer.h"
#include "outbox.h"

/* Appends the line with its line break; of a native line it is the line itself. with_prev: out of a stream. */
void event_text_append(struct buffer *, const outbox_event *, bool with_prev);

#endif
