/* mod_read.c — outbox_read(consumer [, limit]): the events after the consumer's last acknowledgement, in seq order.
 *
 * A read changes nothing and can be repeated: only outbox_ack() moves the cursor. limit is 100 where it is left out,
 * -1 for all. Events come a batch at a time, copied out in a short read of their own.
 * It is also the table by which the connection's end is noticed (mod_outbox.h).
 */
#include <stdlib.h>
#include <string.h>

#include "mod_table.h"
#include "reader.h"
#include "timestamp.h"

static const char declaration[] =
    "CREATE TABLE outbox_read(seq INTEGER, id TEXT, topic TEXT, table_name TEXT, key TEXT, op TEXT, revision INTEGER,"
    " before TEXT, payload, headers TEXT, ordering_key TEXT, created_at INTEGER, time TEXT, prev INTEGER,"
    " consumer HIDDEN, \"limit\" HIDDEN)";

enum column {
    COL_SEQ,
    COL_ID,
    COL_TOPIC,
    COL_TABLE_NAME,
    COL_KEY,
    COL_OP,
    COL_REVISION,
    COL_BEFORE,
    COL_PAYLOAD,
    COL_HEADERS,
    COL_ORDERING_KEY,
    COL_CREATED_AT,
    COL_TIME,
    COL_PREV,
    COL_CONSUMER, /* the first hidden one */
    COL_LIMIT
};

enum { ARGUMENTS = 2, DEFAULT_LIMIT = 100, BATCH_COUNT = 100 };

struct read_cursor {
    sqlite3_vtab_cursor base;
    char *consumer;
    int64_t after, left; /* the last seq read, how many may still be */
    struct event_batch batch;
    const outbox_event *event; /* NULL: behind the last */
};

static struct module *module_of(sqlite3_vtab_cursor *cursor)
{
    return ((struct module_table *)cursor->pVtab)->m;
}

static int read_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message)
{
    struct module *m = aux;
    (void)db, (void)argc, (void)argv, (void)message;
    int rc = table_connect(m, declaration, out);
    m->connected = rc == SQLITE_OK;
    return rc;
}

/* The connection is about to close. */
static int read_disconnect(sqlite3_vtab *table)
{
    module_disconnect(((struct module_table *)table)->m);
    return table_free(table);
}

static int read_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    return table_best_index(info, COL_CONSUMER, ARGUMENTS);
}

static int read_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
    struct read_cursor *c = calloc(1, sizeof *c);
    (void)table;
    if (!c)
        return SQLITE_NOMEM;
    *out = &c->base;
    return SQLITE_OK;
}

static int read_close(sqlite3_vtab_cursor *cursor)
{
    struct read_cursor *c = (struct read_cursor *)cursor;
    event_batch_free(&c->batch);
    free(c->consumer);
    free(c);
    return SQLITE_OK;
}

/* ---- Rows ---- */

/* Between two rows anything may have happened, outbox_leave() included: the reader is looked up again. */
static int read_batch(struct read_cursor *c, struct module *m)
{
    outbox_reader *reader = held_find(m, c->consumer);
    int count = c->left < BATCH_COUNT ? (int)c->left : BATCH_COUNT;
    if (!reader)
        return fail(m->ob, OUTBOX_STALE, "consumer %s was left while its events were read", c->consumer);
    return reader_read(reader, c->after, count, &c->batch);
}

static void hand_out(struct read_cursor *c, struct module *m)
{
    outbox_reader *reader = held_find(m, c->consumer);
    c->event = c->left > 0 ? event_batch_next(&c->batch) : NULL;
    if (!c->event)
        return;
    c->after = c->event->seq;
    c->left--;
    if (reader)
        reader_handed(reader, c->after);
}

static int read_next(sqlite3_vtab_cursor *cursor)
{
    struct read_cursor *c = (struct read_cursor *)cursor;
    struct module *m = module_of(cursor);
    int code = module_enter(m);
    if (code != OUTBOX_OK)
        return table_fail(cursor->pVtab, code);
    if (c->left > 0 && c->batch.next == c->batch.count)
        code = read_batch(c, m);
    if (code == OUTBOX_OK)
        hand_out(c, m);
    held_failed(m, c->consumer, code);
    module_leave(m);
    return code == OUTBOX_OK ? SQLITE_OK : table_fail(cursor->pVtab, code);
}

/* Where the scan begins. Inside a transaction that writes, one's own events would be seen before they are committed. */
static int take_place(struct read_cursor *c, struct module *m)
{
    outbox_reader *reader;
    if (sqlite3_txn_state(m->db, "main") == SQLITE_TXN_WRITE)
        return fail(m->ob, OUTBOX_MISUSE,
                    "outbox_read inside a transaction that writes would see what may yet be rolled back; read first, "
                    "then BEGIN");
    int code = held_take(m, c->consumer, OUTBOX_FROM_START, &reader);
    return code == OUTBOX_OK ? reader_acked(reader, &c->after) : code;
}

static int read_arguments(struct read_cursor *c, struct module *m, int given, sqlite3_value **values)
{
    sqlite3_value *arguments[ARGUMENTS];
    struct call call = {.m = m, .ob = m->ob, .args = arguments, .n = ARGUMENTS};
    const char *consumer;
    table_arguments(given, values, ARGUMENTS, arguments);
    if (!arguments[0])
        return fail(m->ob, OUTBOX_MISUSE, "whose? SELECT * FROM outbox_read('consumer')");
    c->left = DEFAULT_LIMIT;
    if (!arguments[1])
        call.n = 1;
    int code = argument_text(&call, 0, "consumer", true, &consumer);
    if (code == OUTBOX_OK)
        code = argument_int(&call, 1, "limit", &c->left);
    if (code != OUTBOX_OK)
        return code;
    if (c->left < 0)
        c->left = INT64_MAX;
    free(c->consumer);
    c->consumer = strdup(consumer);
    return c->consumer ? OUTBOX_OK : fail(m->ob, OUTBOX_NOMEM, "out of memory");
}

static int read_filter(sqlite3_vtab_cursor *cursor, int given, const char *text, int argc, sqlite3_value **values)
{
    struct read_cursor *c = (struct read_cursor *)cursor;
    struct module *m = module_of(cursor);
    (void)text, (void)argc;
    event_batch_clear(&c->batch);
    c->event = NULL;
    int code = module_enter(m);
    if (code != OUTBOX_OK)
        return table_fail(cursor->pVtab, code);
    code = read_arguments(c, m, given, values);
    if (code == OUTBOX_OK) {
        code = take_place(c, m);
        held_failed(m, c->consumer, code);
    }
    module_leave(m);
    return code == OUTBOX_OK ? read_next(cursor) : table_fail(cursor->pVtab, code);
}

static int read_eof(sqlite3_vtab_cursor *cursor)
{
    return !((struct read_cursor *)cursor)->event;
}

static void give_text(sqlite3_context *context, const void *text, size_t size)
{
    if (text)
        sqlite3_result_text64(context, text, size, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void give_payload(sqlite3_context *context, const outbox_event *e)
{
    if (e->payload && e->payload_is_blob)
        sqlite3_result_blob64(context, e->payload, e->payload_size, SQLITE_TRANSIENT);
    else
        give_text(context, e->payload, e->payload_size);
}

static void give_time(sqlite3_context *context, const outbox_event *e)
{
    char time[TIMESTAMP_SIZE];
    int size = timestamp_format(time, e->time_us);
    give_text(context, time, (size_t)size);
}

static int read_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int i)
{
    struct read_cursor *c = (struct read_cursor *)cursor;
    const outbox_event *e = c->event;
    switch ((enum column)i) {
    case COL_SEQ: sqlite3_result_int64(context, e->seq); break;
    case COL_ID: give_text(context, e->id, strlen(e->id)); break;
    case COL_TOPIC: give_text(context, e->topic, e->topic_size); break;
    case COL_TABLE_NAME: give_text(context, e->table, e->table_size); break;
    case COL_KEY: give_text(context, e->key, e->key_size); break;
    case COL_OP: give_text(context, e->op, e->op ? strlen(e->op) : 0); break;
    case COL_REVISION:
        if (e->revision)
            sqlite3_result_int64(context, e->revision);
        break;
    case COL_BEFORE: give_text(context, e->before, e->before_size); break;
    case COL_PAYLOAD: give_payload(context, e); break;
    case COL_HEADERS: give_text(context, e->headers, e->headers_size); break;
    case COL_ORDERING_KEY: give_text(context, e->ordering_key, e->ordering_key_size); break;
    case COL_CREATED_AT: sqlite3_result_int64(context, e->time_us); break;
    case COL_TIME: give_time(context, e); break;
    case COL_PREV: sqlite3_result_int64(context, e->prev); break;
    case COL_CONSUMER: give_text(context, c->consumer, strlen(c->consumer)); break;
    case COL_LIMIT: break;
    }
    return SQLITE_OK;
}

static int read_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid)
{
    *rowid = ((struct read_cursor *)cursor)->event->seq;
    return SQLITE_OK;
}

const sqlite3_module read_table = {
    .xConnect = read_connect,
    .xDisconnect = read_disconnect,
    .xBestIndex = read_best_index,
    .xOpen = read_open,
    .xClose = read_close,
    .xFilter = read_filter,
    .xNext = read_next,
    .xEof = read_eof,
    .xColumn = read_column,
    .xRowid = read_rowid,
};
