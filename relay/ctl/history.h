/* history.h — how far back change_log goes without a hole. */
#ifndef OUTBOXCTL_HISTORY_H
#define OUTBOXCTL_HISTORY_H

#include <stdint.h>

#include <sqlite3.h>

/* *first is the smallest seq from `from` on such that it and everything after it up to `upto` is in change_log, but for
 * what new-source skipped on record; upto + 1: not even the last one is. An SQLite code. */
int history_unbroken(sqlite3 *, int64_t from, int64_t upto, int64_t *first);

#endif
