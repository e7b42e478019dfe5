/* event_text.c — see event_text.h. */
#include <stdio.h>
#include <string.h>

#include "encode.h"
#include "event_text.h"

void event_text_append(struct buffer *out, const outbox_event *event, bool with_prev)
{
    char source[64];
    const char *error, *dash = event->id ? strrchr(event->id, '-') : NULL;
    struct source_row row = {.event = *event, .error = event->error};
    struct encode_options options = {.source = source, .with_prev = with_prev, .prev = event->prev};
    snprintf(source, sizeof source, "%.*s", dash ? (int)(dash - event->id) : 0, dash ? event->id : "");
    encode_native(out, &row, &options, &error);
    buffer_append_byte(out, '\n');
}
