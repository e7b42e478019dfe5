/* value.c — see value.h. */
#include "json_write.h"
#include "value.h"

int value_bind(sqlite3_stmt *st, int parameter, const outbox_value *v)
{
    switch (v->type) {
    case OUTBOX_TYPE_INTEGER: return sqlite3_bind_int64(st, parameter, v->as.integer);
    case OUTBOX_TYPE_REAL: return sqlite3_bind_double(st, parameter, v->as.real);
    case OUTBOX_TYPE_TEXT:
        return sqlite3_bind_text64(st, parameter, v->as.data, (sqlite3_uint64)v->size, SQLITE_STATIC, SQLITE_UTF8);
    case OUTBOX_TYPE_BLOB:
        /* A NULL pointer would be bound as NULL. */
        return sqlite3_bind_blob64(st, parameter, v->as.data ? v->as.data : "", (sqlite3_uint64)v->size, SQLITE_STATIC);
    case VALUE_UNREAD: return SQLITE_NOMEM;
    default: return sqlite3_bind_null(st, parameter);
    }
}

static outbox_value unread(void)
{
    outbox_value v = outbox_null(NULL);
    v.type = VALUE_UNREAD;
    return v;
}

outbox_value value_stored(sqlite3_stmt *st, int i)
{
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER: return outbox_int(NULL, sqlite3_column_int64(st, i));
    case SQLITE_FLOAT: return outbox_real(NULL, sqlite3_column_double(st, i));
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(st, i);
        return text ? outbox_text_n(NULL, text, (size_t)sqlite3_column_bytes(st, i)) : unread();
    }
    case SQLITE_BLOB: {
        const void *data = sqlite3_column_blob(st, i);
        if (!data && sqlite3_errcode(sqlite3_db_handle(st)) == SQLITE_NOMEM)
            return unread();
        return outbox_blob(NULL, data, (size_t)sqlite3_column_bytes(st, i)); /* NULL: it is empty */
    }
    default: return outbox_null(NULL);
    }
}

bool value_same(const outbox_value *a, const outbox_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case OUTBOX_TYPE_INTEGER: return a->as.integer == b->as.integer;
    case OUTBOX_TYPE_REAL: return !memcmp(&a->as.real, &b->as.real, sizeof a->as.real);
    case OUTBOX_TYPE_TEXT:
    case OUTBOX_TYPE_BLOB: return a->size == b->size && (!a->size || !memcmp(a->as.data, b->as.data, (size_t)a->size));
    case VALUE_UNREAD: return false;
    default: return true;
    }
}

void value_write(struct buffer *b, const outbox_value *v)
{
    switch (v->type) {
    case OUTBOX_TYPE_INTEGER: json_write_int(b, v->as.integer); break;
    case OUTBOX_TYPE_REAL: json_write_real(b, v->as.real); break;
    case OUTBOX_TYPE_TEXT: json_write_text(b, v->as.data, (size_t)v->size); break;
    case OUTBOX_TYPE_BLOB: json_write_blob(b, v->as.data, (size_t)v->size); break;
    case VALUE_UNREAD: b->failed = true; break;
    default: buffer_append(b, "null", 4); break;
    }
}
