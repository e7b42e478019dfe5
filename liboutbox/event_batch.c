/* event_batch.c — see event_batch.h.
 *
 * While a batch is filled its arena may move, so an event keeps sizes and which texts it has; the texts stand in the
 * arena one after the other, each with a NUL behind it, and become pointers when the event is handed out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_batch.h"
#include "value.h"

enum text {
    TEXT_ID,
    TEXT_TOPIC,
    TEXT_TABLE,
    TEXT_KEY,
    TEXT_OP,
    TEXT_BEFORE,
    TEXT_PAYLOAD,
    TEXT_HEADERS,
    TEXT_ORDERING_KEY,
    TEXT_ERROR,
    TEXT_COUNT
};

enum column {
    COL_SEQ,
    COL_TOPIC,
    COL_TABLE,
    COL_KEY,
    COL_OP,
    COL_REVISION,
    COL_BEFORE,
    COL_PAYLOAD,
    COL_HEADERS,
    COL_ORDERING_KEY,
    COL_CREATED_AT
};

struct stored_event {
    int64_t seq, prev, revision, time_us;
    size_t at; /* of the first text */
    size_t sizes[TEXT_COUNT];
    bool present[TEXT_COUNT];
    bool payload_is_blob;
};

void event_batch_clear(struct event_batch *b)
{
    buffer_clear(&b->arena);
    b->count = b->next = 0;
}

void event_batch_free(struct event_batch *b)
{
    buffer_free(&b->arena);
    free(b->events);
    *b = (struct event_batch){0};
}

static void add_text(struct event_batch *b, struct stored_event *e, enum text which, const void *text, size_t size)
{
    e->present[which] = true;
    e->sizes[which] = size;
    buffer_append(&b->arena, text, size);
    buffer_append_byte(&b->arena, '\0');
}

static void add_column(struct event_batch *b, struct stored_event *e, enum text which, sqlite3_stmt *st, int column)
{
    outbox_value v = value_stored(st, column);
    if (v.type == OUTBOX_TYPE_TEXT || v.type == OUTBOX_TYPE_BLOB) {
        add_text(b, e, which, v.as.data ? v.as.data : "", (size_t)v.size);
    } else if (v.type != OUTBOX_TYPE_NULL) { /* a number that plain SQL has put there */
        size_t from = b->arena.size;
        value_write(&b->arena, &v);
        e->present[which] = true;
        e->sizes[which] = b->arena.size - from;
        buffer_append_byte(&b->arena, '\0');
    }
}

static struct stored_event *make_room(struct event_batch *b)
{
    if (b->count == b->capacity) {
        int capacity = b->capacity ? b->capacity * 2 : 16;
        struct stored_event *more = realloc(b->events, sizeof *more * (size_t)capacity);
        if (!more)
            return NULL;
        b->events = more;
        b->capacity = capacity;
    }
    return &b->events[b->count];
}

bool event_batch_add(struct event_batch *b, sqlite3_stmt *st, const char *source)
{
    char id[64];
    struct stored_event *e = make_room(b);
    if (!e)
        return false;
    *e = (struct stored_event){.seq = sqlite3_column_int64(st, COL_SEQ),
                               .revision = sqlite3_column_int64(st, COL_REVISION),
                               .time_us = sqlite3_column_int64(st, COL_CREATED_AT),
                               .at = b->arena.size,
                               .payload_is_blob = sqlite3_column_type(st, COL_PAYLOAD) == SQLITE_BLOB};
    int n = snprintf(id, sizeof id, "%s-%lld", source, (long long)e->seq);
    add_text(b, e, TEXT_ID, id, (size_t)n);
    add_column(b, e, TEXT_TOPIC, st, COL_TOPIC);
    add_column(b, e, TEXT_TABLE, st, COL_TABLE);
    add_column(b, e, TEXT_KEY, st, COL_KEY);
    add_column(b, e, TEXT_OP, st, COL_OP);
    add_column(b, e, TEXT_BEFORE, st, COL_BEFORE);
    add_column(b, e, TEXT_PAYLOAD, st, COL_PAYLOAD);
    add_column(b, e, TEXT_HEADERS, st, COL_HEADERS);
    add_column(b, e, TEXT_ORDERING_KEY, st, COL_ORDERING_KEY);
    b->count++;
    return buffer_ok(&b->arena);
}

static void put_text(struct event_batch *b, struct stored_event *e, enum text which, const void *text, size_t size)
{
    if (text)
        add_text(b, e, which, text, size);
}

bool event_batch_put(struct event_batch *b, const outbox_event *from)
{
    struct stored_event *e = make_room(b);
    if (!e)
        return false;
    *e = (struct stored_event){.seq = from->seq,
                               .prev = from->prev,
                               .revision = from->revision,
                               .time_us = from->time_us,
                               .at = b->arena.size,
                               .payload_is_blob = from->payload_is_blob};
    put_text(b, e, TEXT_ID, from->id, from->id ? strlen(from->id) : 0);
    put_text(b, e, TEXT_TOPIC, from->topic, from->topic_size);
    put_text(b, e, TEXT_TABLE, from->table, from->table_size);
    put_text(b, e, TEXT_KEY, from->key, from->key_size);
    put_text(b, e, TEXT_OP, from->op, from->op ? strlen(from->op) : 0);
    put_text(b, e, TEXT_BEFORE, from->before, from->before_size);
    put_text(b, e, TEXT_PAYLOAD, from->payload, from->payload_size);
    put_text(b, e, TEXT_HEADERS, from->headers, from->headers_size);
    put_text(b, e, TEXT_ORDERING_KEY, from->ordering_key, from->ordering_key_size);
    put_text(b, e, TEXT_ERROR, from->error, from->error ? strlen(from->error) : 0);
    b->count++;
    return buffer_ok(&b->arena);
}

outbox_event *event_batch_next(struct event_batch *b)
{
    const char *texts[TEXT_COUNT] = {NULL};
    if (b->next == b->count)
        return NULL;
    const struct stored_event *e = &b->events[b->next++];
    const char *at = b->arena.data + e->at;
    for (int i = 0; i < TEXT_COUNT; i++) {
        if (!e->present[i])
            continue;
        texts[i] = at;
        at += e->sizes[i] + 1;
    }
    b->event = (outbox_event){
        .seq = e->seq,
        .prev = e->prev,
        .revision = e->revision,
        .time_us = e->time_us,
        .op = texts[TEXT_OP],
        .id = texts[TEXT_ID],
        .topic = texts[TEXT_TOPIC],
        .table = texts[TEXT_TABLE],
        .key = texts[TEXT_KEY],
        .ordering_key = texts[TEXT_ORDERING_KEY],
        .payload = texts[TEXT_PAYLOAD],
        .before = texts[TEXT_BEFORE],
        .headers = texts[TEXT_HEADERS],
        .topic_size = e->sizes[TEXT_TOPIC],
        .table_size = e->sizes[TEXT_TABLE],
        .key_size = e->sizes[TEXT_KEY],
        .ordering_key_size = e->sizes[TEXT_ORDERING_KEY],
        .payload_size = e->sizes[TEXT_PAYLOAD],
        .before_size = e->sizes[TEXT_BEFORE],
        .headers_size = e->sizes[TEXT_HEADERS],
        .payload_is_blob = e->payload_is_blob,
        .error = texts[TEXT_ERROR],
    };
    return &b->event;
}

int64_t event_batch_seq(const struct event_batch *b, int i)
{
    return b->events[i].seq;
}

void event_batch_set_prev(struct event_batch *b, int i, int64_t prev)
{
    b->events[i].prev = prev;
}

void event_batch_cut(struct event_batch *b, int count)
{
    b->count = count;
}
