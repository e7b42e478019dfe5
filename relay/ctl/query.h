/* query.h — one-off statements: an operator's command runs each once, so nothing is kept prepared.
 *
 * Arguments follow a text that says what they are, a letter each: 't' a const char * (NULL is NULL), 'i' an int64_t.
 * They are ?1, ?2, …
 */
#ifndef OUTBOXCTL_QUERY_H
#define OUTBOXCTL_QUERY_H

#include <stdint.h>

#include <sqlite3.h>

/* Prepares and binds; the caller steps and finalizes it, after a failure too. An SQLite code. */
int query_open(sqlite3 *, sqlite3_stmt **, const char *sql, const char *types, ...);

/* Runs it to its end; *changes, where not NULL, is the rows written. An SQLite code. */
int query_run(sqlite3 *, int64_t *changes, const char *sql, const char *types, ...);

/* One integer: the first column of the first row, NULL or no row as 0. An SQLite code. */
int query_int(sqlite3 *, int64_t *value, const char *sql, const char *types, ...);

#endif
