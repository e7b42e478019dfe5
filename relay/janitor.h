/* janitor.h — reclaims what nobody needs any more, a slice at a time, without getting in anybody's way.
 *
 * A slice is one short write transaction of a bounded number of rows, fewer where rows are large; the caller lets others
 * have the lock in between. Nothing that a registered consumer, a failed delivery, `retain` or `history` still needs is
 * touched: all of them are read in the very transaction that deletes. Where the database has auto_vacuum = INCREMENTAL,
 * the pages that become free are given back to the file system in slices too, but for JANITOR_SPARE_PAGES.
 */
#ifndef RELAY_JANITOR_H
#define RELAY_JANITOR_H

#include <stdint.h>

#include <sqlite3.h>

enum { JANITOR_SLICE_ROWS = 500, JANITOR_SPARE_PAGES = 256 /* for what is written next */ };

struct janitor {
    sqlite3 *db;        /* borrowed: a writing connection */
    int slice_rows;     /* adapts to how long a slice takes */
    int slice_pages;    /* likewise, where pages are given back */
    int64_t swept_seq;  /* change_log up to here has been looked at in this sweep */
    int64_t owed_count; /* rows deleted from outbox, from change_log, since init */
    int64_t logged_count;
    int error;       /* SQLite's code, after LATER or BROKEN; … */
    char words[256]; /* … and what it said */
};

enum janitor_result {
    JANITOR_CLEAN, /* nothing left to reclaim now */
    JANITOR_MORE,  /* a slice is done, there may be another */
    JANITOR_LATER, /* the database could not be read or written now */
    JANITOR_BROKEN /* nor will it be, until somebody mends it: a damaged page, a trigger that refuses */
};

void janitor_init(struct janitor *, sqlite3 *db);
enum janitor_result janitor_slice(struct janitor *, int64_t now_us /* wall clock */);

#endif
