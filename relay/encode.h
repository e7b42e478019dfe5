/* encode.h — an event as text: the native JSON object, a CloudEvent. Pure; appends to a buffer. */
#ifndef RELAY_ENCODE_H
#define RELAY_ENCODE_H

#include <stdbool.h>

#include "buffer.h"
#include "sink.h"

struct encode_options {
    const char *source; /* 16 hex digits: id is SOURCE-SEQ */
    bool with_prev;     /* JSONL: prev is part of the line */
    int64_t prev;
    bool without_before; /* webhooks */
};

/* The native object, keys in the documented order, without a line break. Payload, before and headers are checked and
 * spliced in; where one isn't UTF-8 JSON, or the row has an error, `"error":"…"` stands in place of payload and before
 * and *error (static or the row's own) says why; NULL: fine. */
void encode_native(struct buffer *, const struct source_row *, const struct encode_options *, const char **error);

/* The structured CloudEvent 1.0 object of the same event. */
void encode_cloudevent(struct buffer *, const struct source_row *, const struct encode_options *, const char **error);

/* The text that order is kept by, appended: the ordering key given, else TABLE/KEY or TOPIC/KEY. false: the event is
 * unordered, nothing was appended. As stored, not escaped. */
bool encode_partition_key(struct buffer *, const outbox_event *);

#endif
