/* log_window.c — see log_window.h. */
#include <stddef.h>

#include "log_window.h"
#include "query.h"

static const char sql_rows[] = "SELECT seq, created_at FROM main.change_log WHERE seq > ?1 ORDER BY seq LIMIT ?2";

int log_window_open(struct log_window *w, sqlite3 *db, int64_t after)
{
    w->db = db;
    w->count = w->next = 0;
    w->after = after;
    return query_open(db, &w->select, sql_rows, "");
}

void log_window_close(struct log_window *w)
{
    sqlite3_finalize(w->select);
    w->select = NULL;
}

static int fill(struct log_window *w)
{
    int rc;
    w->count = w->next = 0;
    sqlite3_bind_int64(w->select, 1, w->after);
    sqlite3_bind_int64(w->select, 2, LOG_WINDOW_ROWS);
    while ((rc = sqlite3_step(w->select)) == SQLITE_ROW)
        w->rows[w->count++] = (struct log_row){sqlite3_column_int64(w->select, 0), sqlite3_column_int64(w->select, 1)};
    if (w->count)
        w->after = w->rows[w->count - 1].seq;
    sqlite3_reset(w->select);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int log_window_look(struct log_window *w, const struct log_row **row)
{
    int rc = w->next < w->count ? SQLITE_OK : fill(w);
    *row = rc == SQLITE_OK && w->next < w->count ? &w->rows[w->next] : NULL;
    return rc;
}

void log_window_pass(struct log_window *w)
{
    w->next++;
}
