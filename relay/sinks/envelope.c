/* envelope.c — builds the body and headers of one event in each format.
 *
 * Leaves to others: the JSON of an event (encode.h), and the headers that every request has (http_request.h). The
 * invariant: no header line holds a control byte, whatever is in the event.
 */
#include "envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "encode.h"
#include "json_scan.h"
#include "timestamp.h"

enum { POOL_COUNT_MAX = 2048, POOL_BYTES_MAX = 16384 /* of one */ };

/* An envelope under construction: header lines are NUL-terminated one after another. */
struct draft {
    struct envelope *envelope;
    struct buffer *body, *headers, *value; /* its own, and the pool's */
    const char *error;
    char error_text[160];
};

/* ---- Headers ---------------------------------------------------------------------------------------------------------- */

/* CloudEvents' HTTP binding 3.1.3.2: printable ASCII as it is, but for space, `"` and `%`; all else percent-encoded. */
static void append_percent_encoded(struct buffer *out, const char *text, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > 0x20 && c < 0x7f && c != '"' && c != '%') {
            buffer_append_byte(out, (char)c);
        } else {
            char encoded[3] = {'%', hex[c >> 4], hex[c & 15]};
            buffer_append(out, encoded, sizeof encoded);
        }
    }
}

static void add_header(struct draft *d, const char *name, const char *value, size_t size)
{
    buffer_append_text(d->headers, name);
    buffer_append_text(d->headers, ": ");
    append_percent_encoded(d->headers, value, size);
    buffer_append_byte(d->headers, 0);
    d->envelope->header_count++;
}

static void add_header_text(struct draft *d, const char *name, const char *value)
{
    add_header(d, name, value, strlen(value));
}

/* The value of one of the event's headers, into d->value-> */
static bool find_header(struct draft *d, const outbox_event *event, const char *wanted)
{
    struct json_walk walk;
    struct json_value name, value;

    if (!event->headers || !json_check(event->headers, event->headers_size, NULL) ||
        !json_walk_begin(&walk, event->headers, event->headers_size))
        return false;
    while (json_walk_member(&walk, &name, &value)) {
        if (name.size != strlen(wanted) || strncasecmp(name.text, wanted, name.size) != 0 || value.type != JSON_STRING)
            continue;
        buffer_clear(d->value);
        json_unescape(d->value, &value);
        return buffer_ok(d->value);
    }
    return false;
}

/* Only what is a W3C trace context in form goes on. */
static bool find_traceparent(struct draft *d, const outbox_event *event)
{
    const char *text = find_header(d, event, "traceparent") ? buffer_text(d->value) : NULL;

    return text && d->value->size >= 55 && d->value->size <= 255 && strspn(text, "0123456789abcdef-") == d->value->size;
}

/* A line break would begin a header of its own, or the body. */
static bool has_control(const struct buffer *value)
{
    for (size_t i = 0; i < value->size; i++) {
        unsigned char c = (unsigned char)value->data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

/* Those that the operator has named, as they are. A value that can't go makes the event a dead letter: it was asked for,
 * so leaving it out would be a lie. */
static void add_event_headers(struct draft *d, const outbox_event *event, char *const *names)
{
    for (; names && *names && !d->error; names++) {
        if (!find_header(d, event, *names) || d->value->size == 0)
            continue;
        if (has_control(d->value)) {
            snprintf(d->error_text, sizeof d->error_text,
                     "its header %s has a line break or another control byte in its value", *names);
            d->error = d->error_text;
            return;
        }
        buffer_append_text(d->headers, *names);
        buffer_append_text(d->headers, ": ");
        buffer_append(d->headers, d->value->data, d->value->size);
        buffer_append_byte(d->headers, 0);
        d->envelope->header_count++;
    }
}

/* ---- Bodies ----------------------------------------------------------------------------------------------------------- */

/* The payload alone: a delete has none. */
static void write_payload(struct draft *d, const struct source_row *row)
{
    const outbox_event *event = &row->event;
    struct json_error error;

    if (row->error) {
        d->error = row->error;
    } else if (!event->payload) {
        d->envelope->content_type = NULL;
    } else if (event->payload_is_blob) {
        d->envelope->content_type = "application/octet-stream";
        buffer_append(d->body, event->payload, event->payload_size);
    } else {
        d->envelope->content_type = "application/json";
        if (!json_splice(d->body, event->payload, event->payload_size, &error))
            d->error = error.reason;
    }
}

static void write_ce_headers(struct draft *d, const outbox_event *event, const char *source)
{
    char text[64], time[TIMESTAMP_SIZE];

    add_header_text(d, "ce-specversion", "1.0");
    snprintf(text, sizeof text, "%s-%" PRId64, source, event->seq);
    add_header_text(d, "ce-id", text);
    snprintf(text, sizeof text, "urn:outbox:%s", source);
    add_header_text(d, "ce-source", text);
    buffer_clear(d->value);
    buffer_append(d->value, event->topic, event->topic_size);
    if (strcmp(event->op, "emit") != 0) {
        buffer_append_byte(d->value, '.');
        buffer_append_text(d->value, event->op);
    }
    add_header(d, "ce-type", d->value->data, d->value->size);
    if (event->key && event->key_size)
        add_header(d, "ce-subject", event->key, event->key_size);
    timestamp_format(time, event->time_us);
    add_header_text(d, "ce-time", time);
    snprintf(text, sizeof text, "%020" PRId64, event->seq);
    add_header_text(d, "ce-sequence", text);
    buffer_clear(d->value);
    if (encode_partition_key(d->value, event))
        add_header(d, "ce-partitionkey", d->value->data, d->value->size);
    add_header_text(d, "ce-op", event->op);
    if (event->revision) {
        snprintf(text, sizeof text, "%" PRId64, event->revision);
        add_header_text(d, "ce-revision", text);
    }
    if (find_traceparent(d, event))
        add_header(d, "ce-traceparent", d->value->data, d->value->size);
}

static void write_event(struct draft *d, const struct source_row *row, const struct webhook_settings *settings,
                        const char *source, bool with_before)
{
    struct encode_options options = {.source = source, .without_before = !with_before};

    switch (settings->format) {
    case FORMAT_NATIVE:
        d->envelope->content_type = "application/json";
        encode_native(d->body, row, &options, &d->error);
        break;
    case FORMAT_CLOUDEVENTS:
        d->envelope->content_type = "application/cloudevents+json; charset=utf-8";
        encode_cloudevent(d->body, row, &options, &d->error);
        break;
    case FORMAT_CLOUDEVENTS_BINARY:
        write_payload(d, row);
        write_ce_headers(d, &row->event, source);
        break;
    case FORMAT_PAYLOAD: write_payload(d, row); break;
    }
    if (find_traceparent(d, &row->event))
        add_header(d, "traceparent", d->value->data, d->value->size);
    add_event_headers(d, &row->event, settings->event_headers);
}

/* ---- Sealing ---------------------------------------------------------------------------------------------------------- */

/* The pointers are set when nothing moves any more. False: out of memory. */
static bool seal(const struct draft *d, const outbox_event *event)
{
    struct envelope *e = d->envelope;

    if (!buffer_ok(d->body) || !buffer_ok(d->headers) || !buffer_ok(d->value))
        return false;
    if (d->error) {
        buffer_clear(d->body);
        buffer_clear(d->headers);
        buffer_append(d->headers, d->error, strlen(d->error) + 1);
        e->header_count = 0;
    }
    size_t key_at = d->headers->size;
    bool ordered = encode_partition_key(d->headers, event);
    buffer_append_byte(d->headers, 0);
    if (!buffer_ok(d->headers))
        return false;
    const char *at = e->text.data;
    e->error = d->error ? at : NULL;
    e->key = ordered ? at + key_at : NULL;
    for (int i = 0; i < e->header_count; i++, at += strlen(at) + 1)
        e->headers[i] = at;
    return true;
}

/* ---- The pool --------------------------------------------------------------------------------------------------------- */

static struct envelope *take_idle(struct envelope_pool *pool)
{
    struct envelope *e = pool->idle;

    if (!e)
        return calloc(1, sizeof *e);
    pool->idle = e->next;
    pool->idle_count--;
    buffer_clear(&e->body);
    buffer_clear(&e->text);
    e->content_type = e->error = NULL;
    e->header_count = 0;
    return e;
}

static void destroy(struct envelope *e)
{
    buffer_free(&e->body);
    buffer_free(&e->text);
    free(e);
}

void envelope_free(struct envelope_pool *pool, struct envelope *e)
{
    if (pool->idle_count >= POOL_COUNT_MAX || envelope_bytes(e) > POOL_BYTES_MAX) {
        destroy(e);
        return;
    }
    e->next = pool->idle;
    pool->idle = e;
    pool->idle_count++;
}

void envelope_pool_move(struct envelope_pool *to, struct envelope_pool *from)
{
    if (to->idle_count >= from->idle_count) /* the shorter list is the one walked through */
        return;
    struct envelope **end = &to->idle;
    while (*end)
        end = &(*end)->next;
    *end = from->idle;
    to->idle_count += from->idle_count;
    from->idle = NULL;
    from->idle_count = 0;
}

void envelope_pool_fini(struct envelope_pool *pool)
{
    for (struct envelope *e = pool->idle, *next; e; e = next) {
        next = e->next;
        destroy(e);
    }
    buffer_free(&pool->value);
    *pool = (struct envelope_pool){0};
}

struct envelope *envelope_new(struct envelope_pool *pool, const struct source_row *row,
                              const struct webhook_settings *settings, const char *source, bool with_before)
{
    struct envelope *e = take_idle(pool);

    if (!e)
        return NULL;
    struct draft d = {.envelope = e, .body = &e->body, .headers = &e->text, .value = &pool->value, .error = NULL};
    buffer_clear(d.value);
    e->seq = row->event.seq;
    e->created_at_us = row->event.time_us;
    write_event(&d, row, settings, source, with_before);
    if (seal(&d, &row->event))
        return e;
    destroy(e);
    return NULL;
}
