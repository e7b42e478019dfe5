/* encode.c — the relay's inner loop: one event becomes one line of JSON, native or as a CloudEvent.
 *
 * Whoever wrote the row, what leaves is valid JSON on one line: text is repaired, and JSON that plain SQL stored
 * unchecked is checked here. Whether an event with an error is delivered or dead is the sink's to say.
 */
#include "encode.h"

#include "decimal.h"
#include "json_plain.h"
#include "json_scan.h"
#include "json_write.h"
#include "timestamp.h"

/* ---- Members ------------------------------------------------------------------------------------------------------ */

/* prefix is everything before the value: ,"name": Most texts are short and need no escapes: those are done with in one go,
 * what is not plain is json_write.c's. */
static void put_text(struct buffer *b, const char *prefix, const char *text, size_t size)
{
    enum { QUOTES = 2, WORD = 8 /* json_plain_copy() writes past its end */ };
    const unsigned char *from = (const unsigned char *)text;

    if (!text)
        return;
    buffer_append_text(b, prefix);
    char *to = buffer_reserve(b, size + QUOTES + WORD);
    if (to && json_plain_copy(to + 1, from, from + size) == size) {
        to[0] = to[size + 1] = '"';
        buffer_grow(b, size + QUOTES);
    } else {
        json_write_text(b, text, size);
    }
}

/* A seq's digits, for all the places where it stands. */
struct seq_text {
    int64_t seq;
    char digits[DECIMAL_SIZE]; /* with leading zeros, so that sequences sort as text */
    size_t zeros;              /* how many */
};

static struct seq_text seq_text(int64_t seq)
{
    struct seq_text t = {.seq = seq};

    memset(t.digits, '0', sizeof t.digits);
    t.zeros = (size_t)(decimal_before(t.digits + sizeof t.digits, seq < 0 ? 0 : (uint64_t)seq) - t.digits);
    return t;
}

static void put_seq(struct buffer *b, const struct seq_text *t)
{
    if (t->seq < 0) /* plain SQL can store one */
        json_write_int(b, t->seq);
    else
        buffer_append(b, t->digits + t->zeros, sizeof t->digits - t->zeros);
}

static void put_id(struct buffer *b, const char *source, const struct seq_text *seq)
{
    buffer_append_text(b, source);
    buffer_append_byte(b, '-');
    put_seq(b, seq);
}

static void put_sequence(struct buffer *b, const struct seq_text *t)
{
    buffer_append(b, t->digits, sizeof t->digits);
}

static void put_time(struct buffer *b, int64_t us)
{
    char *to = buffer_reserve(b, TIMESTAMP_SIZE);
    if (to)
        buffer_grow(b, (size_t)timestamp_format(to, us));
}

/* ---- Stored JSON -------------------------------------------------------------------------------------------------- */

/* The first thing in an event that cannot be delivered as JSON. */
struct fault {
    const char *reason; /* NULL: none */
    const char *part;   /* the column; NULL: reason says it all */
    size_t offset;
};

/* Absent where text is NULL. Where it isn't JSON there is a fault, and the event goes back to where its data began. */
static void put_json(struct buffer *b, const char *prefix, const char *part, const void *text, size_t size,
                     struct fault *fault)
{
    struct json_error error;

    if (!text || fault->reason)
        return;
    buffer_append_text(b, prefix);
    if (!json_splice(b, text, size, &error))
        *fault = (struct fault){error.reason, part, error.offset};
}

static void put_error(struct buffer *b, const struct fault *fault)
{
    buffer_append_text(b, ",\"error\":\"");
    if (fault->part) {
        buffer_append_text(b, fault->part);
        buffer_append_text(b, " is not JSON: ");
    }
    json_write_text_part(b, fault->reason, strlen(fault->reason));
    if (fault->part) {
        buffer_append_text(b, " at byte ");
        json_write_int(b, (int64_t)fault->offset);
    }
    buffer_append_byte(b, '"');
}

/* Headers come last, yet theirs can be the fault that takes the place of payload and before: so they are looked at
 * first. Most events have none. */
static bool headers_are_json(const outbox_event *event, struct fault *fault)
{
    struct json_error error;

    if (json_check(event->headers, event->headers_size, &error))
        return true;
    if (!fault->reason)
        *fault = (struct fault){error.reason, "headers", error.offset};
    return false;
}

/* ---- The native form ---------------------------------------------------------------------------------------------- */

static void put_data(struct buffer *b, const outbox_event *event, bool with_before, struct fault *fault)
{
    if (event->payload_is_blob && event->payload) {
        buffer_append_text(b, ",\"payload_base64\":\"");
        json_write_base64(b, event->payload, event->payload_size);
        buffer_append_byte(b, '"');
    } else {
        put_json(b, ",\"payload\":", "payload", event->payload, event->payload_size, fault);
    }
    if (with_before)
        put_json(b, ",\"before\":", "before", event->before, event->before_size, fault);
}

void encode_native(struct buffer *b, const struct source_row *row, const struct encode_options *options,
                   const char **error)
{
    const outbox_event *event = &row->event;
    const struct seq_text seq = seq_text(event->seq);

    buffer_append_text(b, "{\"seq\":");
    put_seq(b, &seq);
    if (options->with_prev) {
        buffer_append_text(b, ",\"prev\":");
        json_write_int(b, options->prev);
    }
    buffer_append_text(b, ",\"id\":\"");
    put_id(b, options->source, &seq);
    buffer_append_byte(b, '"');
    put_text(b, ",\"topic\":", event->topic, event->topic_size);
    put_text(b, ",\"table\":", event->table, event->table_size);
    put_text(b, ",\"key\":", event->key, event->key_size);
    put_text(b, ",\"ordering_key\":", event->ordering_key, event->ordering_key_size);
    put_text(b, ",\"op\":", event->op, event->op ? strlen(event->op) : 0);
    if (event->revision != 0) {
        buffer_append_text(b, ",\"revision\":");
        json_write_int(b, event->revision);
    }
    buffer_append_text(b, ",\"time\":\"");
    put_time(b, event->time_us);
    buffer_append_byte(b, '"');

    struct fault fault = {row->error, NULL, 0};
    bool with_headers = event->headers && headers_are_json(event, &fault);
    size_t data = b->size;
    if (!fault.reason)
        put_data(b, event, !options->without_before, &fault);
    if (fault.reason) {
        b->size = data;
        put_error(b, &fault);
    }
    if (with_headers) {
        buffer_append_text(b, ",\"headers\":");
        json_splice(b, event->headers, event->headers_size, NULL);
    }
    buffer_append_byte(b, '}');
    *error = fault.reason;
}

/* ---- CloudEvents -------------------------------------------------------------------------------------------------- */

static bool is_emit(const outbox_event *event)
{
    return event->op && strcmp(event->op, "emit") == 0;
}

static void put_type(struct buffer *b, const outbox_event *event)
{
    buffer_append_text(b, "\",\"type\":\"");
    if (event->topic)
        json_write_text_part(b, event->topic, event->topic_size);
    if (event->op && !is_emit(event)) {
        buffer_append_byte(b, '.');
        json_write_text_part(b, event->op, strlen(event->op));
    }
}

static void put_cloudevent_data(struct buffer *b, const outbox_event *event, struct fault *fault)
{
    if (!event->payload)
        return;
    if (event->payload_is_blob) {
        buffer_append_text(b, ",\"data_base64\":\"");
        json_write_base64(b, event->payload, event->payload_size);
        buffer_append_byte(b, '"');
    } else {
        put_json(b, ",\"datacontenttype\":\"application/json\",\"data\":", "payload", event->payload,
                 event->payload_size, fault);
    }
}

/* The parts of a partition key: its own text alone, or a scope and a key. */
struct partition {
    const char *scope, *key; /* scope NULL: key alone */
    size_t scope_size, key_size;
};

static bool partition_of(const outbox_event *event, struct partition *p)
{
    *p = (struct partition){0};
    if (event->ordering_key) {
        p->key = event->ordering_key;
        p->key_size = event->ordering_key_size;
        return true;
    }
    if (!event->key)
        return false;
    p->key = event->key;
    p->key_size = event->key_size;
    p->scope = event->table ? event->table : event->topic;
    p->scope_size = event->table ? event->table_size : event->topic_size;
    return true;
}

bool encode_partition_key(struct buffer *b, const outbox_event *event)
{
    struct partition p;

    if (!partition_of(event, &p))
        return false;
    if (p.scope) {
        buffer_append(b, p.scope, p.scope_size);
        buffer_append_byte(b, '/');
    }
    buffer_append(b, p.key, p.key_size);
    return true;
}

static void put_partition_key(struct buffer *b, const outbox_event *event)
{
    struct partition p;

    if (!partition_of(event, &p) || (!p.scope && p.key_size == 0)) /* an attribute is never empty */
        return;
    buffer_append_text(b, ",\"partitionkey\":\"");
    if (p.scope) {
        json_write_text_part(b, p.scope, p.scope_size);
        buffer_append_byte(b, '/');
    }
    json_write_text_part(b, p.key, p.key_size);
    buffer_append_byte(b, '"');
}

/* headers are known to be JSON. */
static void put_traceparent(struct buffer *b, const outbox_event *event)
{
    struct json_walk walk;
    struct json_value name, value;

    if (!json_walk_begin(&walk, event->headers, event->headers_size))
        return;
    while (json_walk_member(&walk, &name, &value))
        if (name.size == 11 && memcmp(name.text, "traceparent", 11) == 0 && value.type == JSON_STRING &&
            value.size > 0) {
            buffer_append_text(b, ",\"traceparent\":");
            json_splice(b, value.text - 1, value.size + 2, NULL); /* with its quotes, as it was written */
            return;
        }
}

void encode_cloudevent(struct buffer *b, const struct source_row *row, const struct encode_options *options,
                       const char **error)
{
    const outbox_event *event = &row->event;
    const struct seq_text seq = seq_text(event->seq);

    buffer_append_text(b, "{\"specversion\":\"1.0\",\"id\":\"");
    put_id(b, options->source, &seq);
    buffer_append_text(b, "\",\"source\":\"urn:outbox:");
    buffer_append_text(b, options->source);
    put_type(b, event);
    buffer_append_byte(b, '"');
    if (event->key_size > 0) /* an attribute is never empty */
        put_text(b, ",\"subject\":", event->key, event->key_size);
    buffer_append_text(b, ",\"time\":\"");
    put_time(b, event->time_us);
    buffer_append_byte(b, '"');

    struct fault fault = {row->error, NULL, 0};
    bool with_headers = event->headers && headers_are_json(event, &fault);
    size_t data = b->size;
    if (!fault.reason)
        put_cloudevent_data(b, event, &fault);
    if (fault.reason) {
        b->size = data;
        put_error(b, &fault);
    }

    buffer_append_text(b, ",\"sequence\":\"");
    put_sequence(b, &seq);
    if (options->with_prev) {
        const struct seq_text prev = seq_text(options->prev);
        buffer_append_text(b, "\",\"prev\":\"");
        put_sequence(b, &prev);
    }
    buffer_append_byte(b, '"');
    put_partition_key(b, event);
    put_text(b, ",\"op\":", event->op, event->op ? strlen(event->op) : 0);
    if (event->revision != 0) {
        buffer_append_text(b, ",\"revision\":\"");
        json_write_int(b, event->revision);
        buffer_append_byte(b, '"');
    }
    if (with_headers)
        put_traceparent(b, event);
    buffer_append_byte(b, '}');
    *error = fault.reason;
}
