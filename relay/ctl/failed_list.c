/* failed_list.c — `failed list`: what stepped aside, and why, a line each. */
#include <stdio.h>
#include <string.h>

#include "failed.h"
#include "fields.h"
#include "query.h"
#include "table.h"
#include "text.h"
#include "timestamp.h"

static const char sql_failed[] =
    "SELECT f.consumer, f.seq, f.state, coalesce(f.attempts, 0), coalesce(f.last_status, 0),"
    "       coalesce(f.next_attempt_at, 0), coalesce(f.failed_at, 0), f.key, c.topic, f.last_error"
    "  FROM main.failed_deliveries AS f LEFT JOIN main.change_log AS c ON c.seq = f.seq"
    " WHERE " FAILED_CHOSEN " ORDER BY f.consumer, f.seq";

enum column { CONSUMER, SEQ, STATE, ATTEMPTS, LAST_STATUS, NEXT_ATTEMPT_AT, FAILED_AT, KEY, TOPIC, LAST_ERROR };

static const char *text_of(sqlite3_stmt *st, enum column column)
{
    return (const char *)sqlite3_column_text(st, column);
}

static void append_json(sqlite3_stmt *st, struct buffer *out)
{
    field_open(out, '{');
    field_text(out, "consumer", text_of(st, CONSUMER));
    field_int(out, "seq", sqlite3_column_int64(st, SEQ));
    field_text(out, "topic", text_of(st, TOPIC));
    field_text(out, "key", text_of(st, KEY));
    field_text(out, "state", text_of(st, STATE));
    field_int(out, "attempts", sqlite3_column_int64(st, ATTEMPTS));
    field_time(out, "failed_at", sqlite3_column_int64(st, FAILED_AT));
    field_time(out, "next_attempt_at", sqlite3_column_int64(st, NEXT_ATTEMPT_AT));
    if (sqlite3_column_int64(st, LAST_STATUS))
        field_int(out, "last_status", sqlite3_column_int64(st, LAST_STATUS));
    field_text(out, "last_error", text_of(st, LAST_ERROR));
    field_close(out, '}');
    buffer_append_byte(out, '\n');
}

/* A time as how long ago, or how long from now, it is; nothing where there is none. */
static void add_distance(struct text_table *table, int64_t us, int64_t now_us, bool ahead)
{
    struct buffer text = {0};
    if (us)
        text_append_duration(&text, ahead ? us - now_us : now_us - us);
    table_text(table, buffer_text(&text));
    buffer_free(&text);
}

static void add_row(struct text_table *table, sqlite3_stmt *st, int64_t now_us)
{
    table_text(table, text_of(st, CONSUMER));
    table_int(table, sqlite3_column_int64(st, SEQ));
    table_text(table, text_of(st, TOPIC));
    table_text(table, text_of(st, KEY));
    table_text(table, text_of(st, STATE));
    table_int(table, sqlite3_column_int64(st, ATTEMPTS));
    add_distance(table, sqlite3_column_int64(st, FAILED_AT), now_us, false);
    add_distance(table, sqlite3_column_int64(st, NEXT_ATTEMPT_AT), now_us, true);
    table_text(table, sqlite3_column_int64(st, LAST_STATUS) ? text_of(st, LAST_STATUS) : NULL);
    table_text(table, text_of(st, LAST_ERROR));
}

static int list(const struct ctl *ctl, sqlite3 *db, const struct selection *chosen)
{
    static const struct text_column columns[] = {
        {"CONSUMER", false}, {"SEQ", true}, {"TOPIC", false},  {"KEY", false},   {"STATE", false},
        {"ATTEMPTS", true},  {"FOR", true}, {"NEXT IN", true}, {"STATUS", true}, {"LAST ERROR", false}};
    struct text_table table;
    struct buffer out = {0};
    sqlite3_stmt *st = NULL;
    int rows = 0;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    int rc = query_open(db, &st, sql_failed, FAILED_TYPES, FAILED_ARGUMENTS(chosen));
    for (; rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW; rc = SQLITE_OK, rows++) {
        if (ctl->json)
            append_json(st, &out);
        else
            add_row(&table, st, timestamp_now_us());
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_DONE && !ctl->json && rows == 0)
        ctl_say(selection_is_narrow(chosen) ? "no failed delivery matches" : "nothing has failed");
    else if (rc == SQLITE_DONE && !ctl->json && !table_render(&table, &out, text_colour(stdout)))
        out.failed = true;
    int code = rc == SQLITE_DONE ? ctl_print(&out) : ctl_fail_sqlite(db, rc, "failed_deliveries");
    table_fini(&table);
    buffer_free(&out);
    return code;
}

int failed_list(struct ctl *ctl, const struct selection *chosen)
{
    sqlite3 *db = NULL;
    int code = ctl_open_reader(ctl, &db);
    if (code == EXIT_DONE)
        code = list(ctl, db, chosen);
    sqlite3_close(db);
    return code;
}
