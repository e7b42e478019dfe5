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

/* An envelope under construction: header lines are NUL-terminated one after another. */
struct draft {
    struct buffer body, headers, value;
    int header_count;
    const char *content_type, *error;
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
    buffer_append_text(&d->headers, name);
    buffer_append_text(&d->headers, ": ");
    append_percent_encoded(&d->headers, value, size);
    buffer_append_byte(&d->headers, 0);
    d->header_count++;
}

static void add_header_text(struct draft *d, const char *name, const char *value)
{
    add_header(d, name, value, strlen(value));
}

/* The value of one of the event's headers, into d->value. */
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
        buffer_clear(&d->value);
        json_unescape(&d->value, &value);
        return buffer_ok(&d->value);
    }
    return false;
}

/* Only what is a W3C trace context in form goes on. */
static bool find_traceparent(struct draft *d, const outbox_event *event)
{
    const char *text = find_header(d, event, "traceparent") ? buffer_text(&d->value) : NULL;

    return text && d->value.size >= 55 && d->value.size <= 255 && strspn(text, "0123456789abcdef-") == d->value.size;
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
        if (!find_header(d, event, *names) || d->value.size == 0)
            continue;
        if (has_control(&d->value)) {
            snprintf(d->error_text, sizeof d->error_text,
                     "its header %s has a line break or another control byte in its value", *names);
            d->error = d->error_text;
            return;
        }
        buffer_append_text(&d->headers, *names);
        buffer_append_text(&d->headers, ": ");
        buffer_append(&d->headers, d->value.data, d->value.size);
        buffer_append_byte(&d->headers, 0);
        d->header_count++;
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
        d->content_type = NULL;
    } else if (event->payload_is_blob) {
        d->content_type = "application/octet-stream";
        buffer_append(&d->body, event->payload, event->payload_size);
    } else {
        d->content_type = "application/json";
        if (!json_splice(&d->body, event->payload, event->payload_size, &error))
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
    buffer_clear(&d->value);
    buffer_append(&d->value, event->topic, event->topic_size);
    if (strcmp(event->op, "emit") != 0) {
        buffer_append_byte(&d->value, '.');
        buffer_append_text(&d->value, event->op);
    }
    add_header(d, "ce-type", d->value.data, d->value.size);
    if (event->key && event->key_size)
        add_header(d, "ce-subject", event->key, event->key_size);
    timestamp_format(time, event->time_us);
    add_header_text(d, "ce-time", time);
    snprintf(text, sizeof text, "%020" PRId64, event->seq);
    add_header_text(d, "ce-sequence", text);
    buffer_clear(&d->value);
    if (encode_partition_key(&d->value, event))
        add_header(d, "ce-partitionkey", d->value.data, d->value.size);
    add_header_text(d, "ce-op", event->op);
    if (event->revision) {
        snprintf(text, sizeof text, "%" PRId64, event->revision);
        add_header_text(d, "ce-revision", text);
    }
    if (find_traceparent(d, event))
        add_header(d, "ce-traceparent", d->value.data, d->value.size);
}

static void write_event(struct draft *d, const struct source_row *row, const struct webhook_settings *settings,
                        const char *source, bool with_before)
{
    struct encode_options options = {.source = source, .without_before = !with_before};

    switch (settings->format) {
    case FORMAT_NATIVE:
        d->content_type = "application/json";
        encode_native(&d->body, row, &options, &d->error);
        break;
    case FORMAT_CLOUDEVENTS:
        d->content_type = "application/cloudevents+json; charset=utf-8";
        encode_cloudevent(&d->body, row, &options, &d->error);
        break;
    case FORMAT_CLOUDEVENTS_BINARY:
        write_payload(d, row);
        write_ce_headers(d, &row->event, source);
        break;
    case FORMAT_PAYLOAD: write_payload(d, row); break;
    }
    if (find_traceparent(d, &row->event))
        add_header(d, "traceparent", d->value.data, d->value.size);
    add_event_headers(d, &row->event, settings->event_headers);
}

/* ---- Sealing ---------------------------------------------------------------------------------------------------------- */

/* One allocation holds it all, since an envelope may wait for long. */
static struct envelope *seal(const struct draft *d)
{
    size_t error_size = d->error ? strlen(d->error) + 1 : 0;
    size_t body_size = d->error ? 0 : d->body.size, headers_size = d->error ? 0 : d->headers.size;
    struct envelope *e;

    if (!buffer_ok(&d->body) || !buffer_ok(&d->headers) || !buffer_ok(&d->value))
        return NULL;
    e = calloc(1, sizeof *e + body_size + headers_size + error_size);
    if (!e)
        return NULL;
    char *at = e->text;
    e->content_type = d->content_type;
    e->body = at;
    e->size = body_size;
    if (body_size)
        memcpy(at, d->body.data, body_size);
    at += body_size;
    if (d->error) {
        e->error = memcpy(at, d->error, error_size);
        return e;
    }
    if (headers_size)
        memcpy(at, d->headers.data, headers_size);
    for (int i = 0; i < d->header_count; i++, at += strlen(at) + 1)
        e->headers[e->header_count++] = at;
    return e;
}

struct envelope *envelope_new(const struct source_row *row, const struct webhook_settings *settings, const char *source,
                              bool with_before)
{
    struct draft d = {.content_type = NULL};

    write_event(&d, row, settings, source, with_before);
    struct envelope *e = seal(&d);
    buffer_free(&d.body);
    buffer_free(&d.headers);
    buffer_free(&d.value);
    return e;
}
