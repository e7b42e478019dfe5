/* jsonl_history.c — the database's side of a stream's recovery. Reads only, and ends each statement before it returns,
 * so that no read transaction outlives a call.
 */
#include "sinks/jsonl_history.h"

#include <string.h>

#include "lineage.h"
#include "timestamp.h"

static const char created_at_sql[] = "SELECT created_at FROM main.change_log WHERE seq = ?";

static const char present_sql[] = "SELECT seq\n"
                                  "  FROM main.change_log\n"
                                  " WHERE seq > ? AND seq <= ?\n"
                                  " ORDER BY seq";

void history_init(struct history *history, sqlite3 *db, const char *former_sources)
{
    memset(history, 0, sizeof *history);
    history->db = db;
    history->former_sources = former_sources;
}

void history_fini(struct history *history)
{
    sqlite3_finalize(history->created_at);
    history->created_at = NULL;
}

enum history_answer history_compare(struct history *history, int64_t seq, const char *time, size_t time_size)
{
    enum history_answer answer = HISTORY_UNKNOWN;
    char text[TIMESTAMP_SIZE];

    if (!time)
        return HISTORY_UNKNOWN;
    if (!history->created_at &&
        sqlite3_prepare_v2(history->db, created_at_sql, -1, &history->created_at, NULL) != SQLITE_OK)
        return HISTORY_ERROR;
    sqlite3_bind_int64(history->created_at, 1, seq);
    int rc = sqlite3_step(history->created_at);
    if (rc == SQLITE_ROW) {
        size_t size = (size_t)timestamp_format(text, sqlite3_column_int64(history->created_at, 0));
        answer = size == time_size && memcmp(text, time, size) == 0 ? HISTORY_SAME : HISTORY_OTHER;
    }
    sqlite3_reset(history->created_at);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? answer : HISTORY_ERROR;
}

enum history_answer history_missing(const struct history *history, int64_t after_seq, int64_t last_seq,
                                    int64_t *first_missing, int64_t *last_missing)
{
    sqlite3_stmt *stmt = NULL;
    int64_t before = after_seq, hole_end = 0;
    int rc = sqlite3_prepare_v2(history->db, present_sql, -1, &stmt, NULL);
    bool hole = false;

    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(stmt, 1, after_seq);
        sqlite3_bind_int64(stmt, 2, last_seq);
        while (!hole && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            int64_t seq = sqlite3_column_int64(stmt, 0);
            hole_end = seq - 1;
            hole = before < hole_end && !lineage_explains(history->former_sources, before, seq);
            if (!hole)
                before = seq;
        }
        if (rc == SQLITE_DONE && before < last_seq &&
            !lineage_explains(history->former_sources, before, last_seq + 1)) {
            hole_end = last_seq;
            hole = true;
        }
    }
    sqlite3_finalize(stmt);
    if (hole) {
        *first_missing = before + 1;
        *last_missing = hole_end;
        return HISTORY_OTHER;
    }
    return rc == SQLITE_DONE ? HISTORY_SAME : HISTORY_ERROR;
}
