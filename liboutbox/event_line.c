/* event_line.c — see event_line.h.
 *
 * A payload is the slice of the line that it is: nothing is rendered anew, so what the application stored is what its
 * readers get. A line was checked by its writer, and is checked again here: a file can be edited, torn, or half zeros.
 */
#include "event_line.h"

#include <ctype.h>
#include <string.h>

#include "json_scan.h"
#include "timestamp.h"

/* Members of both formats; a line has those of one. */
enum member {
    M_SEQ,
    M_PREV,
    M_ID,
    M_TOPIC,
    M_TABLE,
    M_KEY,
    M_ORDERING_KEY,
    M_OP,
    M_REVISION,
    M_TIME,
    M_PAYLOAD,
    M_PAYLOAD_BASE64,
    M_BEFORE,
    M_HEADERS,
    M_ERROR,
    M_TYPE,
    M_TRACEPARENT,
    M_COUNT
};

static const struct {
    const char *name;
    enum member member;
} members[] = {
    {"seq", M_SEQ},
    {"prev", M_PREV},
    {"id", M_ID},
    {"topic", M_TOPIC},
    {"table", M_TABLE},
    {"key", M_KEY},
    {"ordering_key", M_ORDERING_KEY},
    {"op", M_OP},
    {"revision", M_REVISION},
    {"time", M_TIME},
    {"payload", M_PAYLOAD},
    {"payload_base64", M_PAYLOAD_BASE64},
    {"before", M_BEFORE},
    {"headers", M_HEADERS},
    {"error", M_ERROR},
    /* a CloudEvent's own */
    {"sequence", M_SEQ},
    {"type", M_TYPE},
    {"subject", M_KEY},
    {"data", M_PAYLOAD},
    {"data_base64", M_PAYLOAD_BASE64},
    {"partitionkey", M_ORDERING_KEY},
    {"traceparent", M_TRACEPARENT},
};

/* ---- Numbers ------------------------------------------------------------------------------------------------------ */

static bool digits(const char *text, size_t size, int64_t *number)
{
    int64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text[i] - '0', &value))
            return false;
    }
    *number = value;
    return size > 0;
}

/* Native lines have integers, CloudEvents strings of digits. */
static bool number_of(const struct json_value *v, int64_t *number)
{
    return (v->type == JSON_INTEGER || v->type == JSON_STRING) && digits(v->text, v->size, number);
}

/* ---- Texts -------------------------------------------------------------------------------------------------------- */

/* Room for all of them was made before: decoded does not move. */
static const char *decode(struct event_line *line, const struct json_value *v, size_t *size)
{
    size_t from = line->decoded.size;

    if (v->type != JSON_STRING)
        return NULL;
    json_unescape(&line->decoded, v);
    *size = line->decoded.size - from;
    buffer_append_byte(&line->decoded, '\0');
    return line->decoded.data + from;
}

static const char *text_of(struct event_line *line, const struct json_value *v, size_t *size)
{
    if (v->type != JSON_STRING || !v->text)
        return NULL;
    if (v->escaped)
        return decode(line, v, size);
    *size = v->size;
    return v->text;
}

static const char *terminated(struct event_line *line, const struct json_value *v)
{
    size_t size;
    return v->text ? decode(line, v, &size) : NULL;
}

/* The JSON text of a value, quotes included. */
static const char *json_of(const struct json_value *v, size_t *size)
{
    if (!v->text)
        return NULL;
    bool string = v->type == JSON_STRING;
    *size = v->size + (string ? 2 : 0);
    return v->text - string;
}

/* ---- The event ---------------------------------------------------------------------------------------------------- */

static void collect(const char *text, size_t size, struct json_value found[M_COUNT])
{
    struct json_walk walk;
    struct json_value name, value;

    memset(found, 0, sizeof *found * M_COUNT);
    json_walk_begin(&walk, text, size);
    while (json_walk_member(&walk, &name, &value))
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            if (name.size == strlen(members[i].name) && !memcmp(name.text, members[i].name, name.size)) {
                found[members[i].member] = value;
                break;
            }
}

/* "SOURCE-SEQ": the source, and whether the seq is the line's. */
static bool take_id(struct event_place *place, const struct json_value *v)
{
    enum { HEX = SOURCE_SIZE - 1 };
    int64_t seq;

    if (v->type != JSON_STRING || v->size <= HEX + 1 || v->text[HEX] != '-')
        return false;
    for (int i = 0; i < HEX; i++)
        if (!isxdigit((unsigned char)v->text[i]))
            return false;
    memcpy(place->source, v->text, HEX);
    place->source[HEX] = '\0';
    return digits(v->text + HEX + 1, v->size - HEX - 1, &seq) && seq == place->seq;
}

static bool take_place(struct event_place *place, const struct json_value found[M_COUNT])
{
    const struct json_value *time = &found[M_TIME];

    if (time->type == JSON_STRING) {
        place->time = time->text;
        place->time_size = time->size;
    }
    return number_of(&found[M_SEQ], &place->seq) && number_of(&found[M_PREV], &place->prev) &&
           place->prev < place->seq && take_id(place, &found[M_ID]);
}

bool event_line_place(struct event_place *place, const char *text, size_t size)
{
    struct json_value found[M_COUNT];

    memset(place, 0, sizeof *place);
    if (size == 0 || text[0] != '{' || !json_check_event(text, size, NULL))
        return false;
    collect(text, size, found);
    return take_place(place, found);
}

/* A CloudEvent's type is TOPIC.OP, or TOPIC alone for emit. */
static void take_topic(outbox_event *e)
{
    size_t tail = e->op ? strlen(e->op) + 1 : 0;

    if (!e->topic || !e->op || strcmp(e->op, "emit") == 0 || e->topic_size <= tail)
        return;
    const char *end = e->topic + e->topic_size;
    if (end[-(ptrdiff_t)tail] == '.' && !memcmp(end - tail + 1, e->op, tail - 1))
        e->topic_size -= tail;
}

static bool take_payload(struct event_line *line, const struct json_value found[M_COUNT])
{
    outbox_event *e = &line->event;
    const struct json_value *base64 = &found[M_PAYLOAD_BASE64];
    size_t from = line->decoded.size, size = base64->size;
    const char *text;

    if (!base64->text) {
        e->payload = json_of(&found[M_PAYLOAD], &e->payload_size);
        return true;
    }
    text = text_of(line, base64, &size);
    if (text && base64->escaped)
        from = line->decoded.size;
    if (!text || !json_base64_decode(&line->decoded, text, size))
        return false;
    e->payload = line->decoded.data + from;
    e->payload_size = line->decoded.size - from;
    e->payload_is_blob = 1;
    return true;
}

static void take_headers(struct event_line *line, const struct json_value found[M_COUNT])
{
    outbox_event *e = &line->event;
    size_t size, from = line->decoded.size;
    const char *traceparent = json_of(&found[M_TRACEPARENT], &size);

    e->headers = json_of(&found[M_HEADERS], &e->headers_size);
    if (e->headers || !traceparent)
        return;
    buffer_append_text(&line->decoded, "{\"traceparent\":");
    buffer_append(&line->decoded, traceparent, size);
    buffer_append_byte(&line->decoded, '}');
    e->headers = line->decoded.data + from;
    e->headers_size = line->decoded.size - from;
}

static bool take_event(struct event_line *line, const struct json_value found[M_COUNT])
{
    outbox_event *e = &line->event;
    struct event_place place = {0};
    size_t time_size = 0;

    if (!take_place(&place, found))
        return false;
    e->seq = place.seq;
    e->prev = place.prev;
    memcpy(line->source, place.source, sizeof line->source);
    e->id = terminated(line, &found[M_ID]);
    e->op = terminated(line, &found[M_OP]);
    e->error = terminated(line, &found[M_ERROR]);
    e->table = text_of(line, &found[M_TABLE], &e->table_size);
    e->key = text_of(line, &found[M_KEY], &e->key_size);
    e->ordering_key = text_of(line, &found[M_ORDERING_KEY], &e->ordering_key_size);
    e->topic = text_of(line, &found[M_TOPIC], &e->topic_size);
    if (found[M_TYPE].text) {
        e->topic = text_of(line, &found[M_TYPE], &e->topic_size);
        take_topic(e);
    }
    number_of(&found[M_REVISION], &e->revision);
    const char *time = text_of(line, &found[M_TIME], &time_size);
    if (time)
        timestamp_parse(time, time_size, &e->time_us);
    e->before = json_of(&found[M_BEFORE], &e->before_size);
    take_headers(line, found);
    return take_payload(line, found);
}

bool event_line_parse(struct event_line *line, const char *text, size_t size)
{
    struct json_value found[M_COUNT];

    memset(&line->event, 0, sizeof line->event);
    buffer_clear(&line->decoded);
    if (size == 0 || text[0] != '{' || !json_check_event(text, size, NULL))
        return false;
    collect(text, size, found);
    /* Nothing grows by being decoded, but for a NUL each and the frame of the headers; base64 with escapes is there twice,
     * without them and as bytes. What was decoded before must not move. */
    if (!buffer_reserve(&line->decoded, 2 * size + 64))
        return false;
    return take_event(line, found);
}

void event_line_free(struct event_line *line)
{
    buffer_free(&line->decoded);
}
