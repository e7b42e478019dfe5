/* event_select.c — builds and reads the SELECT over events; see event_select.h. */
#include "event_select.h"
#include "json_write.h"

/* The result columns, in order. before and payload are the operator's where there are expressions; KEEP is only there
 * with a filter. */
enum column { SEQ, TOPIC, TABLE_NAME, KEY, OP, REVISION, BEFORE, PAYLOAD, HEADERS, ORDERING_KEY, CREATED_AT, KEEP };

static const char sql_head[] = "SELECT seq, topic, table_name, key, op, revision, ";
static const char sql_middle[] = ", headers, ordering_key, created_at";
static const char sql_from[] = " FROM main.";
static const char sql_range[] = " WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3";

/* `before` shows what a transform hides, and a webhook's receiver need not know it: left out unless asked for. */
static const char *before_expression(const struct sink_settings *settings)
{
    if (settings->before_transform)
        return settings->before_transform;
    return settings->transform || settings->kind == SINK_WEBHOOK ? "NULL" : "before";
}

/* Evaluated only for rows that the filter wants: on the others it may well fail. The line breaks end a trailing comment
 * of the operator's. */
static void append_guarded(struct buffer *sql, const char *expression, const char *filter)
{
    if (filter) {
        buffer_append_text(sql, "CASE WHEN (\n");
        buffer_append_text(sql, filter);
        buffer_append_text(sql, "\n) THEN (\n");
        buffer_append_text(sql, expression);
        buffer_append_text(sql, "\n) END");
    } else {
        buffer_append_text(sql, "(\n");
        buffer_append_text(sql, expression);
        buffer_append_text(sql, "\n)");
    }
}

int event_select_prepare(sqlite3 *db, const char *table, const struct sink_settings *settings, sqlite3_stmt **st)
{
    const char *filter = settings ? settings->filter : NULL;
    const char *before = settings ? before_expression(settings) : "NULL";
    const char *payload = !settings ? "NULL" : settings->transform ? settings->transform : "payload";
    struct buffer sql = {0};
    buffer_append_text(&sql, sql_head);
    append_guarded(&sql, before, filter);
    buffer_append_text(&sql, ", ");
    append_guarded(&sql, payload, filter);
    buffer_append_text(&sql, sql_middle);
    if (filter) {
        buffer_append_text(&sql, ", ");
        append_guarded(&sql, "1", filter);
    }
    buffer_append_text(&sql, sql_from);
    buffer_append_text(&sql, table);
    buffer_append_text(&sql, sql_range);
    const char *text = buffer_text(&sql);
    int rc = text ? sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) : SQLITE_NOMEM;
    buffer_free(&sql);
    return rc;
}

void event_select_bind(sqlite3_stmt *st, int64_t after, int64_t upto, int limit)
{
    sqlite3_bind_int64(st, 1, after);
    sqlite3_bind_int64(st, 2, upto);
    sqlite3_bind_int(st, 3, limit);
}

int64_t event_select_seq(sqlite3_stmt *st)
{
    return sqlite3_column_int64(st, SEQ);
}

bool event_select_wanted(sqlite3_stmt *st)
{
    return sqlite3_column_count(st) <= KEEP || sqlite3_column_int(st, KEEP) != 0;
}

static const char *text_column(sqlite3_stmt *st, enum column i, size_t *size)
{
    const char *text = (const char *)sqlite3_column_text(st, (int)i);
    *size = text ? (size_t)sqlite3_column_bytes(st, (int)i) : 0;
    return text;
}

/* JSON text or bytes; a number that plain SQL stored, or a transform gave, as text that reads back exactly. */
static void read_payload(sqlite3_stmt *st, struct buffer *number, outbox_event *event)
{
    switch (sqlite3_column_type(st, PAYLOAD)) {
    case SQLITE_FLOAT:
        buffer_clear(number);
        json_write_real(number, sqlite3_column_double(st, PAYLOAD));
        event->payload = buffer_text(number);
        event->payload_size = number->size;
        break;
    case SQLITE_BLOB:
        event->payload_is_blob = 1;
        event->payload = sqlite3_column_blob(st, PAYLOAD);
        event->payload_size = (size_t)sqlite3_column_bytes(st, PAYLOAD);
        if (!event->payload)
            event->payload = ""; /* SQLite's empty BLOB is NULL; ours is not */
        break;
    default: event->payload = text_column(st, PAYLOAD, &event->payload_size); break;
    }
}

bool event_select_row(sqlite3_stmt *st, struct buffer *number, struct source_row *row)
{
    outbox_event *e = &row->event;
    e->topic = text_column(st, TOPIC, &e->topic_size);
    e->table = text_column(st, TABLE_NAME, &e->table_size);
    e->key = text_column(st, KEY, &e->key_size);
    e->op = (const char *)sqlite3_column_text(st, OP);
    e->revision = sqlite3_column_int64(st, REVISION);
    e->before = text_column(st, BEFORE, &e->before_size);
    read_payload(st, number, e);
    e->headers = text_column(st, HEADERS, &e->headers_size);
    e->ordering_key = text_column(st, ORDERING_KEY, &e->ordering_key_size);
    e->time_us = sqlite3_column_int64(st, CREATED_AT);
    /* Whoever reads a text that must be converted, or bytes that must be unfolded, gets NULL where memory is short. */
    return buffer_ok(number) && sqlite3_errcode(sqlite3_db_handle(st)) != SQLITE_NOMEM;
}
