/* failed_attempts.c — see failed_attempts.h. What a receiver has answered is shown escaped: it is a stranger's text. */
#include <stdio.h>
#include <string.h>

#include "failed_attempts.h"
#include "fields.h"
#include "json_write.h"
#include "query.h"
#include "text.h"
#include "timestamp.h"

static const char sql_attempts[] = "SELECT at, coalesce(attempt, 0), coalesce(status, 0), error, request, answer"
                                   "  FROM main.failed_attempts WHERE consumer = ?1 AND seq = ?2 ORDER BY at";

enum column { AT, ATTEMPT, STATUS, ERROR, REQUEST, ANSWER };

static const char *text_of(sqlite3_stmt *st, enum column column)
{
    return (const char *)sqlite3_column_text(st, (int)column);
}

static void append_json(sqlite3_stmt *st, struct buffer *out)
{
    const char *answer = sqlite3_column_blob(st, ANSWER);
    field_open(out, '{');
    field_int(out, "attempt", sqlite3_column_int64(st, ATTEMPT));
    field_time(out, "at", sqlite3_column_int64(st, AT));
    if (sqlite3_column_int64(st, STATUS))
        field_int(out, "status", sqlite3_column_int64(st, STATUS));
    field_text(out, "error", text_of(st, ERROR));
    field_text(out, "request", text_of(st, REQUEST));
    if (answer) {
        field_name(out, "answer");
        json_write_text(out, answer, (size_t)sqlite3_column_bytes(st, ANSWER));
    }
    field_close(out, '}');
}

static void append_line(struct buffer *out, const char *title, const char *words, const char *text, size_t size)
{
    char start[32];
    snprintf(start, sizeof start, "  %-14s", title);
    buffer_append_text(out, start);
    buffer_append_text(out, words);
    text_escape(out, text, size);
    buffer_append_byte(out, '\n');
}

static void append_words(sqlite3_stmt *st, struct buffer *out)
{
    const char *error = text_of(st, ERROR), *request = text_of(st, REQUEST), *answer = sqlite3_column_blob(st, ANSWER);
    char title[32], time[TIMESTAMP_SIZE + 2];
    snprintf(title, sizeof title, "attempt %lld", (long long)sqlite3_column_int64(st, ATTEMPT));
    timestamp_format(time, sqlite3_column_int64(st, AT));
    strcat(time, "  ");
    append_line(out, title, time, error ? error : "", error ? strlen(error) : 0);
    if (request)
        append_line(out, "", "in the batch ", request, strlen(request));
    if (answer)
        append_line(out, "", "answered ", answer, (size_t)sqlite3_column_bytes(st, ANSWER));
}

int failed_attempts_append(sqlite3 *db, const char *consumer, int64_t seq, bool json, struct buffer *out)
{
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_attempts, "ti", consumer, seq), count = 0;
    for (; rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW; rc = SQLITE_OK, count++) {
        if (json && count == 0) {
            field_name(out, "tries");
            field_open(out, '[');
        }
        (json ? append_json : append_words)(st, out);
    }
    if (json && count)
        field_close(out, ']');
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
