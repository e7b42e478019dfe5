/* handle.h — what a handle is made of, and how every file of the library reports failure.
 *
 * One statement of each kind is prepared once and kept. fail() is the only way to an error message: it is written where
 * the fault is known, once, and travels up as a code.
 */
#ifndef OUTBOX_HANDLE_H
#define OUTBOX_HANDLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "buffer.h"
#include "outbox.h"
#include "wal.h"

struct table;

/* The handle's own statements, by name; prepared at first use (handle_statement). */
enum statement {
    ST_BEGIN,
    ST_BEGIN_AROUND, /* around a statement in progress, which it joins */
    ST_COMMIT,
    ST_ROLLBACK,
    ST_SAVEPOINT,
    ST_RELEASE,
    ST_ROLLBACK_TO,
    ST_TAKE_WRITE_LOCK,
    ST_DATA_VERSION,
    ST_SCHEMA_COOKIE,
    ST_LOG,
    ST_OWE,
    ST_LAST_DELETE,
    ST_LAST_SEQ,
    ST_LOGGED,
    ST_RELABEL,
    ST_COUNT
};

enum { MESSAGE_SIZE = 1024 };

struct outbox {
    sqlite3 *db;
    bool attached;      /* the connection is the application's */
    pid_t pid;          /* of the process that opened it */
    bool began;         /* outbox_begin() opened a transaction that neither commit nor rollback has ended */
    bool aborted;       /* SQLite ended a transaction that a write had joined */
    bool owes_rollback; /* a transaction of the library's own could not be undone, for want of memory */
    int cause;          /* why: the code that the write would have had */

    bool keeps_wal; /* the WAL is ours to checkpoint */
    struct wal_keeper keeper;

    int64_t data_version; /* when max_payload_bytes was read; -1: never, or it must be read again */
    int expiries;         /* of the statement that reads data_version, then */
    int64_t max_payload_bytes;
    char source[17];

    sqlite3_stmt *statements[ST_COUNT];
    struct table *tables; /* those written so far, the last one used first */

    struct buffer before, after; /* row images under construction */
    struct buffer key;           /* the key of the write under way */
    struct buffer last_key;      /* of the last write that succeeded, NUL-terminated */
    struct buffer row_text;      /* decoded strings of a JSON row */
    outbox_value *row_values;    /* of a JSON row */
    int row_capacity;
    int64_t found_revision, last_seq;

    int readers; /* still open */
    char message[MESSAGE_SIZE];
};

/* Every public function begins here: MISUSE for NULL and for a handle carried over fork(), and the message cleared. */
int handle_enter(outbox *);

/* Words for a failure that left no handle, MESSAGE_SIZE bytes of this thread's: outbox_errmsg(NULL). */
char *thread_message(void);

/* Writes the message and returns code. One that is too long loses its middle. It is UTF-8, whatever was put into it. */
int fail(outbox *, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What is no UTF-8 in a message that was not written by fail() (cut within a character, perhaps) becomes '?'. */
void message_tidy(char *message);

/* The connection's present error as one of our codes, its words after `what`. rc is the SQLite code just returned. */
int fail_sqlite(outbox *, int rc, const char *what);

int code_of_sqlite(int rc); /* an SQLite result code, extended or not, as one of ours */

/* The connection's present error in words: SQLite's, or better ones where it says no more than "disk I/O error". */
const char *words_of_sqlite(sqlite3 *db);

/* The kept statement, reset and ready to bind; NULL: *code says why. */
sqlite3_stmt *handle_statement(outbox *, enum statement, int *code);

/* Steps a statement that returns no rows and resets it. Returns the SQLite code, SQLITE_OK for done. */
int statement_run(sqlite3_stmt *);

/* An options struct: size known to the caller, size known to us, nothing set past ours. OUTBOX_OK or INVALID. */
int options_check(const void *options, size_t known_size);

/* Reads what may have changed under us (max-payload, the version), if anything did. Inside a transaction. */
int handle_refresh(outbox *);

/* NULL-safe copies of write options into known defaults, checked: topic, ordering_key and headers are UTF-8, headers is
 * a JSON object of strings. */
int write_options_read(outbox *, const outbox_write_options *, outbox_write_options *out);

#endif
