/* failed_show.c — `failed show`: one delivery after the other, with its attempts and its event. */
#include <stdio.h>

#include "encode.h"
#include "event_batch.h"
#include "failed.h"
#include "failed_attempts.h"
#include "fields.h"
#include "query.h"
#include "text.h"
#include "timestamp.h"

/* The head is what a waiting one waits for. */
static const char sql_failed[] =
    "SELECT f.consumer, f.seq, (SELECT value FROM main.outbox_meta WHERE name = 'source'), f.key, f.state,"
    "       coalesce(f.attempts, 0), coalesce(f.failed_at, 0), coalesce(f.next_attempt_at, 0),"
    "       coalesce(f.last_status, 0), f.last_error,"
    "       (SELECT min(h.seq) FROM main.failed_deliveries AS h"
    "         WHERE f.state = 'waiting' AND h.consumer = f.consumer AND h.key = f.key AND h.seq < f.seq)"
    "  FROM main.failed_deliveries AS f WHERE " FAILED_CHOSEN " ORDER BY f.consumer, f.seq";

static const char sql_event[] = "SELECT " EVENT_COLUMNS " FROM main.change_log WHERE seq = ?1";

enum column { CONSUMER, SEQ, SOURCE, KEY, STATE, ATTEMPTS, FAILED_AT, NEXT_ATTEMPT_AT, LAST_STATUS, LAST_ERROR, HEAD };

struct delivery {
    const char *consumer, *source, *key, *state, *last_error;
    int64_t seq, attempts, failed_at_us, next_attempt_at_us, last_status, head;
    char id[64];
    struct buffer event; /* native JSON; empty: change_log has it no more */
};

static const char *text_of(sqlite3_stmt *st, enum column column)
{
    return (const char *)sqlite3_column_text(st, column);
}

static int read_event(sqlite3 *db, struct delivery *d)
{
    struct event_batch batch = {0};
    struct encode_options options = {.source = d->source ? d->source : ""};
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_event, "i", d->seq);
    buffer_clear(&d->event);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *error;
        struct source_row row = {0};
        rc = event_batch_add(&batch, st, options.source) ? SQLITE_DONE : SQLITE_NOMEM;
        if (rc == SQLITE_DONE) {
            row.event = *event_batch_next(&batch);
            encode_native(&d->event, &row, &options, &error);
        }
    }
    sqlite3_finalize(st);
    event_batch_free(&batch);
    return rc;
}

static int append_json(sqlite3 *db, struct buffer *out, const struct delivery *d)
{
    field_open(out, '{');
    field_text(out, "consumer", d->consumer);
    field_int(out, "seq", d->seq);
    field_text(out, "id", d->id);
    field_text(out, "key", d->key);
    field_text(out, "state", d->state);
    field_int(out, "attempts", d->attempts);
    field_time(out, "failed_at", d->failed_at_us);
    field_time(out, "next_attempt_at", d->next_attempt_at_us);
    if (d->last_status)
        field_int(out, "last_status", d->last_status);
    field_text(out, "last_error", d->last_error);
    if (d->head)
        field_int(out, "waits_for", d->head);
    int rc = failed_attempts_append(db, d->consumer, d->seq, true, out);
    if (d->event.size) {
        field_name(out, "event");
        buffer_append(out, d->event.data, d->event.size);
    }
    field_close(out, '}');
    buffer_append_byte(out, '\n');
    return rc;
}

static void append_line(struct buffer *out, const char *name, const char *text, size_t size)
{
    char title[24];
    snprintf(title, sizeof title, "  %-14s", name);
    buffer_append_text(out, title);
    text_escape(out, text, size);
    buffer_append_byte(out, '\n');
}

static void append_text(struct buffer *out, const char *name, const char *text)
{
    if (text)
        append_line(out, name, text, strlen(text));
}

static void append_int(struct buffer *out, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    append_text(out, name, text);
}

static void append_time(struct buffer *out, const char *name, int64_t us)
{
    char text[TIMESTAMP_SIZE];
    if (!us)
        return;
    timestamp_format(text, us);
    append_text(out, name, text);
}

static int append_words(sqlite3 *db, struct buffer *out, const struct delivery *d)
{
    text_escape(out, d->consumer ? d->consumer : "", d->consumer ? strlen(d->consumer) : 0);
    buffer_append_byte(out, ' ');
    text_append_int(out, d->seq);
    buffer_append_byte(out, '\n');
    append_text(out, "id", d->id);
    append_text(out, "key", d->key);
    append_text(out, "state", d->state);
    if (d->head)
        append_int(out, "waits for", d->head);
    append_int(out, "attempts", d->attempts);
    append_time(out, "failing since", d->failed_at_us);
    append_time(out, "next attempt", d->next_attempt_at_us);
    if (d->last_status)
        append_int(out, "last status", d->last_status);
    append_text(out, "last error", d->last_error);
    int rc = failed_attempts_append(db, d->consumer, d->seq, false, out);
    if (d->event.size)
        append_line(out, "event", d->event.data, d->event.size);
    else
        append_text(out, "event", "no longer in change_log");
    return rc;
}

static int show_row(const struct ctl *ctl, sqlite3 *db, sqlite3_stmt *st, struct delivery *d, struct buffer *out)
{
    d->consumer = text_of(st, CONSUMER);
    d->seq = sqlite3_column_int64(st, SEQ);
    d->source = text_of(st, SOURCE);
    d->key = text_of(st, KEY);
    d->state = text_of(st, STATE);
    d->attempts = sqlite3_column_int64(st, ATTEMPTS);
    d->failed_at_us = sqlite3_column_int64(st, FAILED_AT);
    d->next_attempt_at_us = sqlite3_column_int64(st, NEXT_ATTEMPT_AT);
    d->last_status = sqlite3_column_int64(st, LAST_STATUS);
    d->last_error = text_of(st, LAST_ERROR);
    d->head = sqlite3_column_int64(st, HEAD);
    snprintf(d->id, sizeof d->id, "%s-%lld", d->source ? d->source : "", (long long)d->seq);
    int rc = read_event(db, d);
    if (rc != SQLITE_DONE)
        return ctl_fail_sqlite(db, rc, "change_log");
    buffer_clear(out);
    rc = (ctl->json ? append_json : append_words)(db, out, d);
    return rc == SQLITE_OK ? ctl_print(out) : ctl_fail_sqlite(db, rc, "failed_attempts");
}

int failed_show(struct ctl *ctl, const struct selection *chosen)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    struct delivery d = {0};
    struct buffer out = {0};
    int rows = 0, rc = SQLITE_DONE, code = ctl_open_reader(ctl, &db);
    if (code == EXIT_DONE)
        rc = query_open(db, &st, sql_failed, FAILED_TYPES, FAILED_ARGUMENTS(chosen));
    while (code == EXIT_DONE && rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        code = show_row(ctl, db, st, &d, &out);
        rc = SQLITE_OK;
        rows++;
    }
    if (code == EXIT_DONE && rc != SQLITE_DONE) {
        code = ctl_fail_sqlite(db, rc, "failed_deliveries");
    } else if (code == EXIT_DONE && rows == 0) {
        ctl_say("no failed delivery matches");
        code = EXIT_NEGATIVE;
    }
    sqlite3_finalize(st);
    buffer_free(&d.event);
    buffer_free(&out);
    sqlite3_close(db);
    return code;
}
