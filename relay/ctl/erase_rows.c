/* erase_rows.c — see erase.h.
 *
 * What is freed is overwritten (secure_delete). Pages that were freed before, by a program whose SQLite does not do that,
 * are VACUUM's; the tables of the application are its own business.
 */
#include <inttypes.h>
#include <string.h>

#include "erase.h"
#include "fields.h"
#include "json_write.h"
#include "query.h"
#include "segment.h"
#include "text.h"

#define CHOSEN "(SELECT value FROM json_each(?1))"

static const char sql_last[] = "SELECT max(seq) FROM main.change_log";

static const char sql_find[] = "SELECT seq FROM main.change_log WHERE seq > ?1 AND seq <= ?2 AND key = ?4"
                               "   AND (topic = ?3 OR table_name = ?3 COLLATE NOCASE) ORDER BY seq";

static const char sql_reads[] = "SELECT DISTINCT reads FROM main.consumer_offsets WHERE reads IS NOT NULL";

/* To whoever reads the database, or one of the paths ?2; what is in outbox and nobody reads, to the first who will. */
static const char sql_owed[] =
    "WITH c(seq) AS " CHOSEN ", reader(consumer, acked) AS ("
    "    SELECT consumer, coalesce(acked_seq, 0) FROM main.consumer_offsets"
    "     WHERE reads IS NULL OR reads IN (SELECT value FROM json_each(?2)))"
    " SELECT count(*), (SELECT group_concat(consumer, ', ') FROM (SELECT consumer FROM reader"
    "         WHERE acked < (SELECT max(seq) FROM c)"
    "        UNION SELECT consumer FROM main.failed_deliveries WHERE state <> 'dead' AND seq IN (SELECT seq FROM c)))"
    "   FROM c WHERE EXISTS (SELECT 1 FROM reader WHERE acked < c.seq)"
    "     OR EXISTS (SELECT 1 FROM main.failed_deliveries AS f WHERE f.seq = c.seq AND f.state <> 'dead')"
    "     OR (NOT EXISTS (SELECT 1 FROM main.consumer_offsets WHERE reads IS NULL)"
    "         AND EXISTS (SELECT 1 FROM main.outbox AS o WHERE o.seq = c.seq))";

static const char sql_empty_events[] =
    "UPDATE main.change_log SET payload = iif(payload IS NULL, NULL, 'null'),"
    "       before = iif(before IS NULL, NULL, 'null'), headers = iif(headers IS NULL, NULL, '{}')"
    " WHERE seq IN " CHOSEN " AND (payload <> 'null' OR before <> 'null' OR headers <> '{}')";

/* An error and an answer are the receiver's words about the event. */
static const char sql_empty_failed[] = "UPDATE main.failed_deliveries SET last_error = 'erased'"
                                       " WHERE seq IN " CHOSEN " AND last_error <> 'erased'";

static const char sql_empty_attempts[] =
    "UPDATE main.failed_attempts SET error = iif(error IS NULL, NULL, 'erased'), answer = NULL"
    " WHERE seq IN " CHOSEN " AND (error <> 'erased' OR answer IS NOT NULL)";

/* Of a delivery discarded: who did it and why stays, the last error goes. */
static const char sql_empty_audit[] =
    "UPDATE main.outbox_audit SET detail = substr(detail, 1, instr(detail, 'attempts: ') + 9)"
    "       || CAST(substr(detail, instr(detail, 'attempts: ') + 10) AS INTEGER) || '; erased'"
    " WHERE action = 'discard' AND (seq IN " CHOSEN " OR key = ?2 || '/' || ?3)"
    "   AND detail LIKE '%attempts: %; %' AND detail NOT LIKE '%; erased'";

/* Images that a REPLACE could have needed; no statement is under way that still does. */
static const char sql_empty_displaced[] = "DELETE FROM main.outbox_displaced"
                                          " WHERE table_name = ?1 COLLATE NOCASE AND key = ?2";

static const char sql_writers[] = "SELECT count(*) FROM main.consumer_offsets WHERE kind = 'jsonl'";

/* Adds those above r->last, as far as the log goes. */
static int find(struct erase_rows *r, sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    int64_t last = 0;
    int rc = query_int(db, &last, sql_last, "");
    if (rc == SQLITE_OK)
        rc = query_open(db, &st, sql_find, "iitt", r->last, last, r->key->name, r->key->key);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        buffer_append_byte(&r->seqs, r->count++ ? ',' : '[');
        text_append_int(&r->seqs, sqlite3_column_int64(st, 0));
        rc = buffer_ok(&r->seqs) ? SQLITE_OK : SQLITE_NOMEM;
    }
    if (rc == SQLITE_DONE && last > r->last)
        r->last = last;
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int erase_rows_find(struct erase_rows *r, const struct ctl *ctl)
{
    sqlite3 *db = NULL;
    int code = ctl_open_reader(ctl, &db);
    if (code != EXIT_DONE)
        return code;
    int rc = find(r, db);
    if (rc != SQLITE_OK)
        code = ctl_fail_sqlite(db, rc, "change_log");
    sqlite3_close(db);
    return code;
}

static bool is_named(const struct erase_rows *r, const char *reads)
{
    for (int i = 0; i < r->file_count; i++)
        if (stream_same(r->files[i], reads) != STREAM_OTHER)
            return true;
    return false;
}

/* The paths under which readers are registered for one of the streams, or for what may be one of them, as a JSON array:
 * each reader has spelled its path as it liked. */
static int find_readers(const struct erase_rows *r, sqlite3 *db, struct buffer *paths)
{
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_reads, "");
    buffer_append_byte(paths, '[');
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *reads = (const char *)sqlite3_column_text(st, 0);
        if (reads && is_named(r, reads)) {
            if (paths->size > 1)
                buffer_append_byte(paths, ',');
            json_write_text(paths, reads, strlen(reads));
        }
        rc = reads ? SQLITE_OK : SQLITE_NOMEM;
    }
    buffer_append_byte(paths, ']');
    sqlite3_finalize(st);
    return rc == SQLITE_DONE && !buffer_text(paths) ? SQLITE_NOMEM : rc;
}

static int check_owed(struct erase_rows *r, sqlite3 *db, const char *seqs, int64_t *owed)
{
    sqlite3_stmt *st = NULL;
    struct buffer readers = {0};
    int code = EXIT_DONE, rc = find_readers(r, db, &readers);
    if (rc == SQLITE_DONE)
        rc = query_open(db, &st, sql_owed, "tt", seqs, readers.data);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *whom = (const char *)sqlite3_column_text(st, 1);
        *owed = sqlite3_column_int64(st, 0);
        if (*owed && !r->owed) {
            ctl_say("%s, key %s: %" PRId64 " of its events are still owed, to %s: wait, or have them delivered without "
                    "their data with --owed",
                    r->key->name, r->key->key, *owed, whom ? whom : "whoever comes first");
            code = EXIT_TEMPORARY;
        }
    }
    sqlite3_finalize(st);
    buffer_free(&readers);
    return rc == SQLITE_ROW ? code : ctl_fail_sqlite(db, rc, "outbox");
}

struct emptied {
    int64_t events, failed, attempts, audit, displaced;
};

static int empty(struct erase_rows *r, sqlite3 *db, const char *seqs, struct emptied *e)
{
    int rc = query_run(db, &e->events, sql_empty_events, "t", seqs);
    if (rc == SQLITE_OK)
        rc = query_run(db, &e->failed, sql_empty_failed, "t", seqs);
    if (rc == SQLITE_OK)
        rc = query_run(db, &e->attempts, sql_empty_attempts, "t", seqs);
    if (rc == SQLITE_OK)
        rc = query_run(db, &e->audit, sql_empty_audit, "ttt", seqs, r->key->name, r->key->key);
    if (rc == SQLITE_OK)
        rc = query_run(db, &e->displaced, sql_empty_displaced, "tt", r->key->name, r->key->key);
    if (rc == SQLITE_OK)
        rc = query_int(db, &r->jsonl_writers, sql_writers, "");
    return rc == SQLITE_OK ? EXIT_DONE : ctl_fail_sqlite(db, rc, "change_log");
}

static void tell(const struct erase_rows *r, const struct emptied *e, int64_t owed, struct report *report)
{
    int64_t elsewhere = e->failed + e->attempts + e->audit + e->displaced;
    report_say(report, "events of %s, key %s, in change_log: %" PRId64 ", of which %" PRId64 " lose their data",
               r->key->name, r->key->key, r->count, e->events);
    if (owed)
        report_say(report, "of them still owed, and delivered without their data: %" PRId64, owed);
    if (elsewhere)
        report_say(report,
                   "rows that lose errors, answers and images: failed_deliveries %" PRId64 ", failed_attempts %" PRId64
                   ", outbox_audit %" PRId64 ", outbox_displaced %" PRId64,
                   e->failed, e->attempts, e->audit, e->displaced);
    field_text(&report->fields, "name", r->key->name);
    field_text(&report->fields, "key", r->key->key);
    field_int(&report->fields, "events", r->count);
    field_int(&report->fields, "events_emptied", e->events);
    field_int(&report->fields, "owed", owed);
    field_int(&report->fields, "other_rows_emptied", elsewhere);
}

int erase_rows(struct erase_rows *r, sqlite3 *db, struct report *report)
{
    struct emptied e = {0};
    int64_t owed = 0;
    int rc = sqlite3_exec(db, "PRAGMA main.secure_delete = ON", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = find(r, db);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "change_log");
    struct buffer text = {0};
    buffer_append(&text, r->count ? r->seqs.data : "[", r->count ? r->seqs.size : 1);
    buffer_append_byte(&text, ']');
    const char *seqs = buffer_text(&text);
    if (!seqs)
        return ctl_fail_sqlite(db, SQLITE_NOMEM, "change_log");
    int code = check_owed(r, db, seqs, &owed);
    if (code == EXIT_DONE)
        code = empty(r, db, seqs, &e);
    buffer_free(&text);
    if (code == EXIT_DONE)
        tell(r, &e, owed, report);
    return code;
}
