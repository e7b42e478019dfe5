/* janitor.c — what may be reclaimed, and how; see janitor.h.
 *
 * outbox loses rows from its old end only, so what is left is always one run up to the last seq: a consumer that is new
 * or behind finds an unbroken chain. change_log goes no further than the oldest row still in outbox.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "clock.h"
#include "database.h"
#include "janitor.h"

/* Acknowledged by every consumer of the database. No consumer: NULL, and nothing is. */
static const char sql_acked[] = "SELECT min(coalesce(acked_seq, 0)) FROM main.consumer_offsets WHERE reads IS NULL";

static const char sql_setting[] = "SELECT value FROM main.outbox_meta WHERE name = ?1";

/* What is acknowledged, oldest first. */
static const char sql_owed[] = "SELECT o.seq, c.created_at"
                               "  FROM main.outbox AS o LEFT JOIN main.change_log AS c ON c.seq = o.seq"
                               " WHERE o.seq <= ?1 ORDER BY o.seq LIMIT ?2";

static const char sql_drop_owed[] = "DELETE FROM main.outbox WHERE seq <= ?1";

/* What no longer stands in outbox and no failed delivery names, oldest first. The recursion hops from one consumer's
 * name to the next in the primary key, so that each look-up of a seq is by index. */
static const char sql_logged[] =
    "WITH RECURSIVE failing(consumer) AS ("
    "    SELECT min(consumer) FROM main.failed_deliveries"
    "    UNION ALL"
    "    SELECT (SELECT min(f.consumer) FROM main.failed_deliveries AS f WHERE f.consumer > failing.consumer)"
    "      FROM failing WHERE failing.consumer IS NOT NULL)"
    " SELECT c.seq, c.created_at FROM main.change_log AS c"
    "  WHERE c.seq > ?1 AND c.seq < coalesce((SELECT min(seq) FROM main.outbox), 9223372036854775807)"
    "    AND NOT EXISTS (SELECT 1 FROM main.failed_deliveries AS f"
    "                     WHERE f.consumer IN (SELECT consumer FROM failing WHERE consumer IS NOT NULL)"
    "                       AND f.seq = c.seq)"
    "  ORDER BY c.seq LIMIT ?2";

static const char sql_drop_logged[] = "DELETE FROM main.change_log WHERE seq = ?1";

/* 2: INCREMENTAL. FULL gives back by itself, at each commit. */
static const char sql_free_pages[] = "SELECT freelist_count FROM pragma_freelist_count, pragma_auto_vacuum"
                                     " WHERE auto_vacuum = 2";

enum { SLICE_PAGES_MIN = 8, SLICE_PAGES_MAX = 256 };
enum { SLICE_ROWS_MIN = 16, SLICE_LONG_US = 10000, SLICE_SHORT_US = 3000 };

/* What one slice may delete. */
struct harvest {
    int64_t owed_upto; /* outbox; 0: nothing */
    int owed_count;
    int logged_count; /* change_log */
    int64_t logged[JANITOR_SLICE_ROWS];
};

void janitor_init(struct janitor *j, sqlite3 *db)
{
    *j = (struct janitor){.db = db, .slice_rows = JANITOR_SLICE_ROWS / 4, .slice_pages = SLICE_PAGES_MIN};
}

/* A duration of outbox_meta. NULL, the word for "for ever", is INT64_MAX. */
static int read_setting(sqlite3 *db, const char *name, int64_t *value_us)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql_setting, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
        rc = sqlite3_step(st);
    }
    *value_us = INT64_MAX;
    if (rc == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_INTEGER)
        *value_us = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Rows created at or before this may go; INT64_MIN: none. */
static int64_t ripe_before(int64_t now_us, int64_t keep_us)
{
    return keep_us == INT64_MAX ? INT64_MIN : keep_us > now_us ? 0 : now_us - keep_us;
}

static int find_owed(struct janitor *j, int64_t ripe_us, struct harvest *h)
{
    sqlite3_stmt *st = NULL;
    int64_t acked = 0;
    int rc = sqlite3_prepare_v2(j->db, sql_acked, -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        acked = sqlite3_column_int64(st, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    st = NULL;
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(j->db, sql_owed, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, acked);
        sqlite3_bind_int(st, 2, j->slice_rows);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && sqlite3_column_int64(st, 1) <= ripe_us) {
            h->owed_upto = sqlite3_column_int64(st, 0);
            h->owed_count++;
        }
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int find_logged(struct janitor *j, int64_t ripe_us, struct harvest *h)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(j->db, sql_logged, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, j->swept_seq);
        sqlite3_bind_int(st, 2, j->slice_rows);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW && sqlite3_column_int64(st, 1) <= ripe_us)
            h->logged[h->logged_count++] = sqlite3_column_int64(st, 0);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int find(struct janitor *j, int64_t now_us, struct harvest *h)
{
    int64_t retain_us = 0, history_us = 0;
    h->owed_upto = 0;
    h->owed_count = h->logged_count = 0;
    int rc = read_setting(j->db, "retain", &retain_us);
    if (rc == SQLITE_OK)
        rc = read_setting(j->db, "history", &history_us);
    if (rc == SQLITE_OK)
        rc = find_owed(j, retain_us ? ripe_before(now_us, retain_us) : INT64_MAX, h);
    if (rc == SQLITE_OK && !h->owed_count) /* outbox first: history may only go as far */
        rc = find_logged(j, ripe_before(now_us, history_us), h);
    return rc;
}

static int drop(struct janitor *j, const struct harvest *h)
{
    sqlite3_stmt *owed = NULL, *logged = NULL;
    int rc = sqlite3_prepare_v2(j->db, sql_drop_owed, -1, &owed, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(j->db, sql_drop_logged, -1, &logged, NULL);
    if (rc == SQLITE_OK && h->owed_count) {
        sqlite3_bind_int64(owed, 1, h->owed_upto);
        rc = sqlite3_step(owed) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(j->db);
    }
    for (int i = 0; rc == SQLITE_OK && i < h->logged_count; i++) {
        sqlite3_bind_int64(logged, 1, h->logged[i]);
        rc = sqlite3_step(logged) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(j->db);
        sqlite3_reset(logged);
    }
    sqlite3_finalize(owed);
    sqlite3_finalize(logged);
    return rc;
}

/* Large rows, or a slow disk, make a slice long: less next time, so that a writer never waits long for the lock. */
static int adapted(int amount, int least, int most, int64_t took_us)
{
    if (took_us > SLICE_LONG_US)
        return amount / 2 > least ? amount / 2 : least;
    if (took_us < SLICE_SHORT_US)
        return amount * 2 < most ? amount * 2 : most;
    return amount;
}

/* Keeps what SQLite said, which the rollback would wipe out. rc is what failed. */
static enum janitor_result give_up(struct janitor *j, int rc)
{
    j->error = rc;
    snprintf(j->words, sizeof j->words, "%s", database_error_words(j->db, rc));
    database_roll_back(j->db);
    return database_error_is_temporary(rc) ? JANITOR_LATER : JANITOR_BROKEN;
}

static int count_free_pages(struct janitor *j, int *count)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(j->db, sql_free_pages, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    *count = rc == SQLITE_ROW ? sqlite3_column_int(st, 0) : 0;
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Each page given back is one moved from the end of the file to a free place, in a transaction as short as any. */
static enum janitor_result give_back_pages(struct janitor *j)
{
    int count = 0;
    char sql[64];
    int rc = count_free_pages(j, &count);
    if (rc != SQLITE_OK)
        return give_up(j, rc);
    if (count <= JANITOR_SPARE_PAGES)
        return JANITOR_CLEAN;
    count -= JANITOR_SPARE_PAGES;
    snprintf(sql, sizeof sql, "PRAGMA main.incremental_vacuum(%d)", count < j->slice_pages ? count : j->slice_pages);
    rc = sqlite3_exec(j->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    int64_t began_us = clock_monotonic_us();
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(j->db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(j->db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return give_up(j, rc);
    j->slice_pages = adapted(j->slice_pages, SLICE_PAGES_MIN, SLICE_PAGES_MAX, clock_monotonic_us() - began_us);
    return JANITOR_MORE;
}

enum janitor_result janitor_slice(struct janitor *j, int64_t now_us)
{
    struct harvest h;
    int rc = database_moved(j->db) ? SQLITE_READONLY_DBMOVED : database_roll_back(j->db);
    if (rc == SQLITE_OK)
        rc = find(j, now_us, &h); /* a look without the write lock: mostly there is nothing to do */
    if (rc != SQLITE_OK)
        return give_up(j, rc);
    if (!h.owed_count && !h.logged_count) {
        j->swept_seq = 0;
        return give_back_pages(j);
    }
    rc = sqlite3_exec(j->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    int64_t began_us = clock_monotonic_us();
    if (rc == SQLITE_OK)
        rc = find(j, now_us, &h); /* again under the lock: an operator may have moved a cursor back since */
    if (rc == SQLITE_OK)
        rc = drop(j, &h);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(j->db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return give_up(j, rc);
    j->slice_rows = adapted(j->slice_rows, SLICE_ROWS_MIN, JANITOR_SLICE_ROWS, clock_monotonic_us() - began_us);
    if (h.logged_count)
        j->swept_seq = h.logged[h.logged_count - 1];
    j->owed_count += h.owed_count;
    j->logged_count += h.logged_count;
    return JANITOR_MORE;
}
