/* verify_database.c — the database against itself: no seq missing in change_log, everything owed is there and everything
 * needed is owed, no cursor beyond the end.
 *
 * A hole in change_log is no loss where new-source skipped it on record (lineage.h), or where history reclaimed it: the
 * janitor takes old rows below what is owed, and leaves those standing that a failed delivery names. What is missing
 * below the first row was reclaimed, or never: nothing can tell.
 *
 * One read transaction: what is compared is of one moment.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lineage.h"
#include "query.h"
#include "timestamp.h"
#include "verify.h"

static const char sql_standing[] =
    "SELECT (SELECT value FROM main.outbox_meta WHERE name = 'former_sources'),"
    "       (SELECT value FROM main.outbox_meta WHERE name = 'history'),"
    "       coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0),"
    "       (SELECT min(seq) FROM main.outbox)";

static const char sql_log[] = "SELECT seq, created_at FROM main.change_log ORDER BY seq";

static const char sql_is_failed[] = "SELECT count(*) FROM main.failed_deliveries"
                                    " WHERE consumer IN (SELECT consumer FROM main.consumer_offsets) AND seq = ?1";

static const char sql_owed_and_gone[] = "SELECT seq FROM main.outbox AS o"
                                        " WHERE NOT EXISTS (SELECT 1 FROM main.change_log AS c WHERE c.seq = o.seq)"
                                        " ORDER BY seq";

/* The janitor deletes nothing from outbox that a consumer of the database has not acknowledged. */
static const char sql_needed_and_not_owed[] =
    "SELECT seq FROM main.change_log AS c"
    " WHERE seq > (SELECT min(coalesce(acked_seq, 0)) FROM main.consumer_offsets WHERE reads IS NULL)"
    "   AND NOT EXISTS (SELECT 1 FROM main.outbox AS o WHERE o.seq = c.seq)"
    " ORDER BY seq";

static const char sql_cursors[] = "SELECT consumer, acked_seq FROM main.consumer_offsets"
                                  " WHERE reads IS NULL AND acked_seq > ?1 ORDER BY consumer";

static const char sql_failed_and_gone[] = "SELECT consumer, seq FROM main.failed_deliveries AS f"
                                          " WHERE NOT EXISTS (SELECT 1 FROM main.change_log AS c WHERE c.seq = f.seq)"
                                          " ORDER BY consumer, seq";

struct walk {
    struct verify *verify;
    sqlite3 *db;
    char *former_sources;
    int64_t reclaimed_before_us; /* what was written before may be reclaimed; INT64_MIN: nothing may */
    int64_t last_seq;            /* ever given out */
    int64_t owed_from;           /* the first one in outbox; last_seq + 1: none */
    int64_t first, last, events; /* of change_log, so far; first 0: none */
    int64_t last_us;             /* when `last` was written */
    int64_t whole_from;          /* nothing was reclaimed or lost from here on */
};

static int look(struct walk *w)
{
    sqlite3_stmt *st;
    int rc = query_open(w->db, &st, sql_standing, "");
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *former = (const char *)sqlite3_column_text(st, 0);
        bool for_ever = sqlite3_column_type(st, 1) == SQLITE_NULL;
        w->former_sources = former ? strdup(former) : NULL;
        w->reclaimed_before_us = for_ever ? INT64_MIN : timestamp_now_us() - sqlite3_column_int64(st, 1);
        w->last_seq = sqlite3_column_int64(st, 2);
        w->owed_from = sqlite3_column_type(st, 3) == SQLITE_NULL ? w->last_seq + 1 : sqlite3_column_int64(st, 3);
        rc = former && !w->former_sources ? SQLITE_NOMEM : SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc;
}

/* Whether the janitor may have made the hole before next: the row below it is old, or stands for a failed delivery. */
static int may_be_reclaimed(const struct walk *w, int64_t next, bool *yes)
{
    int64_t failed = 0;
    *yes = false;
    if (next > w->owed_from)
        return SQLITE_OK;
    *yes = !w->first || w->last_us < w->reclaimed_before_us;
    if (*yes)
        return SQLITE_OK;
    int rc = query_int(w->db, &failed, sql_is_failed, "i", w->last);
    *yes = failed > 0;
    return rc;
}

/* next is there, or would be the next one given out. */
static int check_hole(struct walk *w, int64_t next)
{
    bool reclaimed;
    if (next <= w->last + 1 || lineage_explains(w->former_sources, w->last, next))
        return SQLITE_OK;
    w->whole_from = next;
    int rc = may_be_reclaimed(w, next, &reclaimed);
    if (rc == SQLITE_OK && reclaimed && w->first)
        verify_note(w->verify, "reclaimed", w->last + 1, next - 1,
                    "%" PRId64 " to %" PRId64 " are no longer in change_log", w->last + 1, next - 1);
    else if (rc == SQLITE_OK && !reclaimed)
        verify_problem(w->verify, "missing", w->last + 1, next - 1,
                       "%" PRId64 " to %" PRId64 " are missing in change_log", w->last + 1, next - 1);
    return rc;
}

static int walk_log(struct walk *w)
{
    sqlite3_stmt *st;
    int rc = query_open(w->db, &st, sql_log, "");
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t seq = sqlite3_column_int64(st, 0);
        rc = w->first ? check_hole(w, seq) : SQLITE_OK;
        if (!w->first)
            w->first = seq;
        w->last = seq;
        w->last_us = sqlite3_column_int64(st, 1);
        w->events++;
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_DONE)
        rc = check_hole(w, w->last_seq + 1);
    return rc;
}

static int check_seqs(const struct walk *w, const char *sql, const char *kind, const char *text)
{
    struct run run = {.verify = w->verify, .kind = kind, .text = text};
    sqlite3_stmt *st;
    int rc = query_open(w->db, &st, sql, "");
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        run_add(&run, sqlite3_column_int64(st, 0));
        rc = SQLITE_OK;
    }
    run_end(&run);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_consumers(const struct walk *w)
{
    sqlite3_stmt *st;
    int rc = query_open(w->db, &st, sql_cursors, "i", w->last_seq);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t acked = sqlite3_column_int64(st, 1);
        verify_problem(w->verify, "cursor", acked, acked,
                       "%s has acknowledged %" PRId64 ", but the last event is %" PRId64
                       ": an older copy was put in its place",
                       (const char *)sqlite3_column_text(st, 0), acked, w->last_seq);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_failed(const struct walk *w)
{
    sqlite3_stmt *st;
    int rc = query_open(w->db, &st, sql_failed_and_gone, "");
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t seq = sqlite3_column_int64(st, 1);
        verify_problem(w->verify, "failed", seq, seq, "%" PRId64 " has failed for %s and is no longer in change_log",
                       seq, (const char *)sqlite3_column_text(st, 0));
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_all(struct walk *w)
{
    int rc = look(w);
    if (rc == SQLITE_OK)
        rc = walk_log(w);
    if (rc == SQLITE_OK)
        rc = check_seqs(w, sql_owed_and_gone, "gone", "owed, and no longer in change_log");
    if (rc == SQLITE_OK)
        rc = check_seqs(w, sql_needed_and_not_owed, "not-owed",
                        "not acknowledged by all, and not in outbox: outboxctl consumers seek owes them again");
    if (rc == SQLITE_OK)
        rc = check_consumers(w);
    if (rc == SQLITE_OK)
        rc = check_failed(w);
    if (rc == SQLITE_OK)
        rc = verify_rows(w->verify, w->db, w->whole_from);
    return rc;
}

int verify_database(struct verify *v, sqlite3 *db)
{
    struct walk w = {.verify = v, .db = db};
    int rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = check_all(&w);
    int code = rc == SQLITE_OK ? EXIT_DONE : ctl_fail_sqlite(db, rc, "verify");
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (code == EXIT_DONE)
        verify_conclude(v, w.first, w.last, w.events);
    free(w.former_sources);
    return code;
}
