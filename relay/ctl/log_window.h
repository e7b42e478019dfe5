/* log_window.h — change_log read along with something else in seq order, a window of rows at a time.
 *
 * Each window is a short read transaction of its own: nobody's WAL grows while a long stream is compared.
 */
#ifndef OUTBOXCTL_LOG_WINDOW_H
#define OUTBOXCTL_LOG_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

enum { LOG_WINDOW_ROWS = 1000 };

struct log_row {
    int64_t seq, created_at_us;
};

struct log_window {
    sqlite3 *db;
    sqlite3_stmt *select;
    struct log_row rows[LOG_WINDOW_ROWS];
    int count, next;
    int64_t after; /* the last seq read */
};

/* Begins after a seq. An SQLite code; log_window_close() is due after a failure too. */
int log_window_open(struct log_window *, sqlite3 *, int64_t after);
void log_window_close(struct log_window *);

/* The next row, not passed yet; NULL in *row: there is none at present. An SQLite code. */
int log_window_look(struct log_window *, const struct log_row **row);
void log_window_pass(struct log_window *);

#endif
