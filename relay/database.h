/* database.h — how the relay opens the application's database, and what it refuses.
 *
 * Nothing here migrates, changes the journal mode or creates a file: the database is the application's. The file itself
 * is never open()ed by hand; closing such a descriptor would drop SQLite's POSIX locks.
 */
#ifndef RELAY_DATABASE_H
#define RELAY_DATABASE_H

#include <stdbool.h>
#include <stddef.h>

#include <sqlite3.h>

#include "schema.h"

/* Opens a connection and checks that the schema is ours and the journal a WAL. Returns EXIT_DONE, EXIT_TEMPORARY
 * (missing, locked, I/O) or EXIT_PERMANENT (no outbox tables, not WAL, not a database, no permission), each failure with
 * one line in message that says what to type. *db is the caller's, for sqlite3_close(); info may be NULL. */
int database_open_reader(const char *path, sqlite3 **db, struct schema_info *info, char *message, size_t message_size);
int database_open_writer(const char *path, sqlite3 **db, char *message, size_t message_size);

/* The absolute path with symbolic links resolved, as SQLite has it: lock files and watches use this one, so that two
 * relays meet however each names the file. Valid as long as db. */
const char *database_path(sqlite3 *db);

/* The last seq ever given out; 0: none. Negative: the SQLite error code, negated. */
int64_t database_last_seq(sqlite3 *db);

/* The newest event that there is; 0: none. After new-source that may be long before database_last_seq(). Negative as there. */
int64_t database_newest_event(sqlite3 *db);

/* Rolls back what is open, if anything is. Needs memory, as a COMMIT does; where there is none the transaction stays open,
 * and to begin another would fail for good. So whoever begins one calls this first. An SQLite code. */
int database_roll_back(sqlite3 *db);

/* Whether the file was renamed, removed or replaced under the open connection: what is read or written from now on is
 * somebody else's database, or nobody's. */
bool database_moved(sqlite3 *db);

/* What to say of it: SQLite's words, where they are still about rc. Valid until the next call with db. */
const char *database_error_words(sqlite3 *db, int rc);

/* Whether the code of a failed statement is one that mends itself: a lock, a full disk, I/O, memory. */
bool database_error_is_temporary(int rc);

#endif
