/* status_gather.c — reads what `status` shows; see status_report.h. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "status_report.h"
#include "timestamp.h"

static const char sql_meta[] = "SELECT name, value FROM main.outbox_meta";
/* Rows are not counted one by one, there may be millions: the last seq less the first, and less what new-source skipped. */
static const char sql_counts[] =
    "WITH skipped(last, next) AS ("
    "    SELECT value ->> '$.last_seq', value ->> '$.next_seq' FROM json_each("
    "        (SELECT value FROM main.outbox_meta WHERE name = 'former_sources')))"
    " SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0),"
    "       (SELECT count(*) FROM main.outbox),"
    "       coalesce((SELECT min(seq) FROM main.change_log), 0),"
    "       coalesce((SELECT max(seq) FROM main.change_log), 0),"
    "       (SELECT coalesce(sum(next - last - 1), 0) FROM skipped"
    "         WHERE last >= (SELECT min(seq) FROM main.change_log)"
    "           AND next <= (SELECT max(seq) FROM main.change_log))";
static const char sql_journal[] = "PRAGMA main.journal_mode";

static void take_meta(struct status *s, sqlite3_stmt *st)
{
    const char *name = (const char *)sqlite3_column_text(st, 0);
    const char *text = (const char *)sqlite3_column_text(st, 1);
    int64_t value = sqlite3_column_int64(st, 1);
    if (!name)
        return;
    if (!strcmp(name, "source")) {
        snprintf(s->source, sizeof s->source, "%s", text ? text : "");
    } else if (!strcmp(name, "schema_version")) {
        s->schema_version = value;
    } else if (!strcmp(name, "history")) {
        s->history_us = value;
        s->history_forever = !text;
    } else if (!strcmp(name, "retain")) {
        s->retain_us = value;
        s->retain_forever = !text;
    } else if (!strcmp(name, "max_payload")) {
        s->max_payload_bytes = value;
    }
}

static void take_counts(struct status *s, sqlite3_stmt *st)
{
    s->last_seq = sqlite3_column_int64(st, 0);
    s->outbox_rows = sqlite3_column_int64(st, 1);
    s->first_seq = sqlite3_column_int64(st, 2);
    s->change_log_rows = s->first_seq ? sqlite3_column_int64(st, 3) - s->first_seq + 1 - sqlite3_column_int64(st, 4)
                                      : 0;
}

static void take_journal(struct status *s, sqlite3_stmt *st)
{
    const char *mode = (const char *)sqlite3_column_text(st, 0);
    s->wal = mode && !strcmp(mode, "wal");
}

static int each_row(sqlite3 *db, const char *sql, struct status *s, void take(struct status *, sqlite3_stmt *))
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        take(s, st);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int64_t file_bytes(const char *path, const char *suffix)
{
    char name[sizeof((struct status *)0)->path + 8];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &st) == 0 ? st.st_size : 0;
}

int status_gather(sqlite3 *db, struct status *s)
{
    *s = (struct status){.sqlite_version = sqlite3_libversion_number(), .now_us = timestamp_now_us()};
    snprintf(s->path, sizeof s->path, "%s", sqlite3_db_filename(db, "main"));
    s->database_bytes = file_bytes(s->path, "");
    s->wal_bytes = file_bytes(s->path, "-wal");
    int rc = each_row(db, sql_journal, s, take_journal);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = each_row(db, sql_meta, s, take_meta);
    if (rc == SQLITE_OK)
        rc = failed_limits_read(db, &s->failed_limits);
    if (rc == SQLITE_OK)
        rc = each_row(db, sql_counts, s, take_counts);
    if (rc == SQLITE_OK)
        rc = consumer_list_load(db, &s->consumers);
    if (rc == SQLITE_OK) /* else the connection still has the words for what is wrong, and a ROLLBACK would take them */
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

void status_free(struct status *s)
{
    consumer_list_free(&s->consumers);
}
