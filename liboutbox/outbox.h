/* outbox.h — a transactional outbox for SQLite.
 *
 * The application writes its row, what happened (change_log) and what is owed (outbox) in one transaction, guarded by
 * the row's revision. outbox-relay, or an outbox_reader, delivers what is owed, in commit order.
 *
 * One handle per connection, never used by two threads at once. Every function returns one of the codes below unless
 * it says otherwise; on failure out-parameters are left alone and outbox_errmsg() says in words what happened. The
 * library prints nothing, never exits and starts no thread but a pool's one. A NULL where an object or a name is needed is
 * OUTBOX_MISUSE. Strings are UTF-8 and NUL-terminated unless a size goes with them; sizes are bytes, times are
 * microseconds since 1970-01-01 UTC. A handle carried over fork() answers OUTBOX_MISUSE in the child.
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sqlite3.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OUTBOX_API __attribute__((visibility("default")))
#else
#define OUTBOX_API
#endif

#define OUTBOX_VERSION "0.1.0"

/* ---- Result codes ------------------------------------------------------------------------------------------------
 * 1..99 are answers, 100 and up are faults. The numbers are fixed for ever. Each line says what the caller does next.
 */
enum {
    OUTBOX_OK = 0,
    OUTBOX_DONE = 1,      /* outbox_reader_next: no event within the timeout. Call again. */
    OUTBOX_CONFLICT = 2,  /* the row is not at the expected revision (outbox_found_revision). Read it, decide, retry. */
    OUTBOX_NOT_FOUND = 3, /* there is no such row. */
    OUTBOX_GAP = 4,       /* events this reader still needed are gone (outbox_reader_gap). Resynchronise. */
    OUTBOX_INTERRUPTED = 5, /* outbox_reader_interrupt() was called, or sqlite3_interrupt(). */

    OUTBOX_INVALID = 100,    /* the input cannot be stored or delivered. Mend the input; retrying will not help. */
    OUTBOX_MISUSE = 101,     /* the call is wrong here: NULL, wrong thread of fork, wrong state. Mend the program. */
    OUTBOX_CONSTRAINT = 102, /* the application's own CHECK, UNIQUE, FOREIGN KEY, NOT NULL or RAISE said no. */
    OUTBOX_TOOBIG = 103,     /* payload, key, topic or headers are over max-payload or SQLite's own limit. */
    OUTBOX_BUSY = 104,       /* somebody else holds the lock. In a transaction: roll it all back, then retry. */
    OUTBOX_STALE = 105,      /* an operator moved this reader's cursor, or it was taken over. Close and reopen. */
    OUTBOX_ABORTED = 106,    /* SQLite has ended the transaction itself. outbox_rollback(), then start it again. */
    OUTBOX_READONLY = 107,   /* the database or its directory cannot be written. */
    OUTBOX_FULL = 108,       /* the disk, or max_page_count, is full. Free space, retry. */
    OUTBOX_IO = 109,         /* the operating system reported an I/O error. */
    OUTBOX_CORRUPT = 110,    /* the file is not a database, or a damaged one. Restore it. */
    OUTBOX_SCHEMA = 111,     /* our tables are missing, or a table of one of our names is not ours. */
    OUTBOX_NEWER = 112,      /* the database needs a newer library. Upgrade. */
    OUTBOX_REWOUND = 113,    /* the database is behind the cursor: an older copy was put in its place. */
    OUTBOX_NOMEM = 114,      /* out of memory. */
    OUTBOX_ERROR = 115       /* any other SQLite error; outbox_errmsg() has its words. */
};

typedef struct outbox outbox;               /* a handle: one connection */
typedef struct outbox_reader outbox_reader; /* a durable consumer */
typedef struct outbox_pool outbox_pool;     /* group commit for the threads of one process */

/* ---- Open and close ---------------------------------------------------------------------------------------------- */

enum { OUTBOX_SYNC_FULL = 0, OUTBOX_SYNC_NORMAL = 1 };
enum {
    OUTBOX_OPEN_EXISTING = 1,  /* do not create the file: OUTBOX_NOT_FOUND where it is missing */
    OUTBOX_OPEN_NO_MIGRATE = 2 /* leave the schema as it is; OUTBOX_SCHEMA where ours is missing */
};

/* Every options struct begins with its size, set by the caller to sizeof; zero is every other field's default.
 * A non-zero byte past the size that this library knows is OUTBOX_INVALID: an option it cannot honour. */
typedef struct outbox_open_options {
    size_t size;
    int flags;           /* OUTBOX_OPEN_… */
    int busy_timeout_ms; /* how long to wait for another writer; 0: 5,000; negative: not at all */
    int synchronous;     /* OUTBOX_SYNC_…; below FULL a power cut can take the last commits, row and event together */
} outbox_open_options;

/* Opens or creates the database at path: WAL, synchronous FULL, busy timeout 5 s, foreign keys on, schema migrated.
 * options may be NULL. *out is the caller's, to be closed; on failure it is untouched, and outbox_errmsg(NULL)
 * has the words. A new file has the mode that SQLite gives it, 0644 less the umask: 027 keeps others from reading the
 * events. Errors: NOT_FOUND, BUSY, READONLY, FULL, IO, CORRUPT, SCHEMA, NEWER, INVALID, NOMEM. */
OUTBOX_API int outbox_open(const char *path, const outbox_open_options *options, outbox **out);

/* Uses the application's own connection: no pragma, no DDL, nothing migrated. The connection stays the application's
 * and must outlive the handle. A database without our tables is fine for readers of files, which keep their cursor in
 * it; a write or a reader of the database is OUTBOX_SCHEMA there. OUTBOX_SCHEMA here: our tables are of an older
 * version, or damaged. Errors otherwise as for outbox_open; a connection of another copy of SQLite in this process is
 * MISUSE (two copies drop each other's locks). */
OUTBOX_API int outbox_attach(sqlite3 *db, const outbox_open_options *options, outbox **out);
OUTBOX_API int outbox_attach_checked(sqlite3 *db, const outbox_open_options *options, outbox **out,
                                     int (*callers_sqlite)(void));
#define outbox_attach(db, options, out) outbox_attach_checked((db), (options), (out), sqlite3_libversion_number)

/* Closes the handle and, unless attached, its connection; an open transaction is rolled back. NULL is fine. Readers
 * are closed first. In a forked child it frees memory only. */
OUTBOX_API void outbox_close(outbox *);

/* Brings the schema of the handle's database up to date, in one transaction; safe beside other processes that do the
 * same. Errors: MISUSE inside a transaction, SCHEMA (a table of ours by name only), NEWER, and those of a write. */
OUTBOX_API int outbox_migrate(outbox *);

/* The whole schema as SQL text, static: for applications that own their migrations. Run it in one transaction. */
OUTBOX_API const char *outbox_schema_sql(void);

/* The connection, for the application's own statements. One that outbox_open() opened has no mutex of its own
 * (SQLITE_OPEN_NOMUTEX): like its handle it is one thread's at a time, sqlite3_interrupt() excepted. */
OUTBOX_API sqlite3 *outbox_db(outbox *);

/* The last failure in words, valid until the next call on the handle. NULL: the words of this thread's last outbox_open,
 * outbox_attach, outbox_pool_open or outbox_pool_run that failed. */
OUTBOX_API const char *outbox_errmsg(const outbox *);
OUTBOX_API const char *outbox_strerror(int code); /* a code in words, static */

/* ---- Transactions ------------------------------------------------------------------------------------------------
 * A write outside a transaction is its own BEGIN IMMEDIATE … COMMIT. Inside one, the library's or the application's
 * own, it joins; a failed call then leaves nothing behind and the transaction goes on, unless it is ABORTED.
 * While a statement that writes is half stepped on the connection (UPDATE … RETURNING), a write is part of that statement
 * and committed with it; one that fails between its own changes then is ABORTED, for it can have no savepoint.
 */

/* BEGIN IMMEDIATE. Errors: MISUSE inside a transaction, BUSY, READONLY, IO. */
OUTBOX_API int outbox_begin(outbox *);

/* COMMIT. Whatever it returns, no transaction is open afterwards. Errors: MISUSE outside one, CONSTRAINT (a deferred
 * foreign key), ABORTED (SQLite had ended it before), BUSY, FULL, IO: nothing was committed. */
OUTBOX_API int outbox_commit(outbox *);

/* ROLLBACK. Outside a transaction it is OK. A transaction begun here is ended with one of these two, not by SQL. */
OUTBOX_API int outbox_rollback(outbox *);

/* ---- Values ------------------------------------------------------------------------------------------------------
 * A column's name and value. The layout is frozen; build it with the functions. Names and data are borrowed until the
 * call returns.
 */
enum {
    OUTBOX_TYPE_NULL = 0,
    OUTBOX_TYPE_INTEGER = 1,
    OUTBOX_TYPE_REAL = 2,
    OUTBOX_TYPE_TEXT = 3,
    OUTBOX_TYPE_BLOB = 4
};

typedef struct outbox_value {
    const char *column;
    int32_t type;
    int32_t reserved; /* 0 */
    int64_t size;     /* bytes of data; TEXT and BLOB only */
    union {
        int64_t integer;
        double real;
        const void *data;
    } as;
} outbox_value;

static inline outbox_value outbox_null(const char *column)
{
    outbox_value v = {column, OUTBOX_TYPE_NULL, 0, 0, {0}};
    return v;
}

static inline outbox_value outbox_int(const char *column, int64_t value)
{
    outbox_value v = {column, OUTBOX_TYPE_INTEGER, 0, 0, {0}};
    v.as.integer = value;
    return v;
}

static inline outbox_value outbox_real(const char *column, double value)
{
    outbox_value v = {column, OUTBOX_TYPE_REAL, 0, 0, {0}};
    v.as.real = value;
    return v;
}

/* text of size bytes; a NUL inside is kept, malformed UTF-8 is refused by the write. NULL text is NULL. */
static inline outbox_value outbox_text_n(const char *column, const char *text, size_t size)
{
    outbox_value v = {column, text ? OUTBOX_TYPE_TEXT : OUTBOX_TYPE_NULL, 0, (int64_t)size, {0}};
    v.as.data = text;
    return v;
}

static inline outbox_value outbox_text(const char *column, const char *text)
{
    return outbox_text_n(column, text, text ? strlen(text) : 0);
}

/* NULL data with a size of 0 is the empty BLOB. */
static inline outbox_value outbox_blob(const char *column, const void *data, size_t size)
{
    outbox_value v = {column, OUTBOX_TYPE_BLOB, 0, (int64_t)size, {0}};
    v.as.data = data;
    return v;
}

/* ---- Writes ------------------------------------------------------------------------------------------------------ */

#define OUTBOX_ANY_REVISION ((int64_t)-1) /* last write wins */

enum {
    OUTBOX_SKIP_UNCHANGED = 1, /* upsert: a row that would stay as it is: OK, its revision, last_seq 0, no event */
    OUTBOX_BLOB = 2            /* emit: the payload is bytes, not JSON; needs its size */
};

typedef struct outbox_write_options {
    size_t size;
    const char *topic;        /* NULL: the table's name. Not for emit, which names its own */
    const char *ordering_key; /* NULL: order is kept per (table, key), for emit per (topic, key) */
    const char *headers;      /* NULL, or a JSON object whose values are strings */
    int flags;
} outbox_write_options;

/* Inserts or updates one row of table, logs the change and owes it.
 *
 * table is any ordinary or WITHOUT ROWID table of `main` with a PRIMARY KEY and `revision INTEGER NOT NULL DEFAULT 1`.
 * row has n values; all columns of the primary key among them, but for a rowid alias, which SQLite assigns where it is
 * left out and expected_revision is 0 (outbox_last_key). A column left out keeps its value on update and takes its
 * default on insert; `revision` and generated columns are ignored.
 * expected_revision: 0 the row must not exist; n it must be at n; OUTBOX_ANY_REVISION whatever is there.
 * options and revision may be NULL; *revision is the row's new one.
 * Errors: CONFLICT (nothing written; outbox_found_revision), INVALID, CONSTRAINT, TOOBIG, BUSY, ABORTED, READONLY,
 * FULL, IO, SCHEMA, NEWER, MISUSE, NOMEM. */
OUTBOX_API int outbox_upsert(outbox *, const char *table, const outbox_value *row, int n, int64_t expected_revision,
                             const outbox_write_options *options, int64_t *revision);

/* The same with the row as a JSON object of size bytes (-1: NUL-terminated). true and false are 1 and 0, null is NULL,
 * {"$base64":"…"} is a BLOB, any other object or array is stored as its JSON text; a number with a fraction or an
 * exponent is REAL, any other must fit int64. What outbox_get() returns can be changed and written back. */
OUTBOX_API int outbox_upsert_json(outbox *, const char *table, const char *json, ptrdiff_t size,
                                  int64_t expected_revision, const outbox_write_options *options, int64_t *revision);

/* Deletes the row whose primary key has the text form key (see outbox_last_key); logged at old revision + 1.
 * A missing row is NOT_FOUND at OUTBOX_ANY_REVISION, else CONFLICT with found revision 0. expected_revision 0 is
 * INVALID. Errors as for outbox_upsert. */
OUTBOX_API int outbox_delete(outbox *, const char *table, const char *key, int64_t expected_revision,
                             const outbox_write_options *options);

/* Owes a message that belongs to no row. payload: JSON text of size bytes (-1: NUL-terminated), stored as it is, or
 * with OUTBOX_BLOB any bytes; NULL with size 0 or -1 is a message without payload. key may be NULL. *seq, where not
 * NULL, is the event's. Errors as for outbox_upsert, but for CONFLICT. */
OUTBOX_API int outbox_emit(outbox *, const char *topic, const char *key, const void *payload, ptrdiff_t size,
                           const outbox_write_options *options, int64_t *seq);

/* Reads a row as a JSON object (every column, generated ones too) and its revision; either out may be NULL. *row_json
 * is the library's, valid until the next call. Errors: NOT_FOUND, INVALID, BUSY, IO, CORRUPT, MISUSE, NOMEM. */
OUTBOX_API int outbox_get(outbox *, const char *table, const char *key, const char **row_json, int64_t *revision);

OUTBOX_API int64_t outbox_found_revision(const outbox *); /* after CONFLICT: the row's revision; 0: no such row */
OUTBOX_API int64_t outbox_last_seq(const outbox *);       /* of the last write that made an event; 0: it made none */

/* The key of the last row written, as text: an integer in decimal, text as it is, {"$base64":"…"} for a BLOB, a JSON
 * array of the values when composite. This form is used everywhere: in events, here and on the command line. Valid
 * until the next call; "" before the first. */
OUTBOX_API const char *outbox_last_key(const outbox *);

/* ---- Capture -----------------------------------------------------------------------------------------------------
 * Triggers that log a table's changes in the statement's own transaction, whoever writes: another language, the sqlite3
 * shell, a GUI. They are plain SQL and need no library.
 */
enum { OUTBOX_CAPTURE_INSERT = 1, OUTBOX_CAPTURE_UPDATE = 2, OUTBOX_CAPTURE_DELETE = 4 };

typedef struct outbox_capture_options {
    size_t size;
    const char *topic;                  /* NULL: the table's name */
    const char *ordering_key;           /* a column, whose value orders its rows' events across tables; NULL: none */
    const char *const *exclude;         /* columns left out of every event (secrets), NULL-terminated; NULL: none */
    const char *const *only_if_changed; /* an update is an event only if one of these changes; NULL: if any does */
    int ops;                            /* OUTBOX_CAPTURE_… of what is an event; 0: all three */
} outbox_capture_options;

/* Captures table (as outbox_upsert's): each later change by a plain statement is an event, with the image that
 * outbox_upsert or outbox_delete would log. Again after an ALTER TABLE, or once the table has triggers made later: it
 * brings the triggers up to date. options NULL: those given before, or the defaults; else they replace them all.
 *
 * The revision is kept by the triggers where a statement leaves it alone; one that does not rise is lifted. A re-insert
 * goes on from its key's delete; REPLACE is a delete of each row it displaces, then an insert; an UPDATE of the key is a
 * delete and an insert; an UPDATE that changes nothing is no event. What a REPLACE displaces is logged under
 * recursive_triggers only where it does so by a partial index or one on an expression, or where a BEFORE trigger of the
 * table's own writes the table. A row whose key is NULL, whose stored revision is NULL or below 1, or whose image is
 * larger than max-payload cannot be written: the statement fails.
 *
 * A write through this library makes one event here too, the triggers' own; its topic, ordering_key and headers are
 * honoured. Where the options leave an event out, outbox_last_seq is 0. A write while the triggers are not up to date is
 * OUTBOX_SCHEMA, and on a connection that runs none (SQLITE_DBCONFIG_ENABLE_TRIGGER 0) OUTBOX_MISUSE; plain SQL there
 * writes without an event.
 *
 * On OUTBOX_OK outbox_errmsg() is empty, or names triggers of the table's own that may write it again: an event more
 * for each such write. Errors: INVALID (no such table or column, the key or revision left out, a UTF-16 database), MISUSE
 * (inside a statement that writes), and those of a write. */
OUTBOX_API int outbox_capture(outbox *, const char *table, const outbox_capture_options *options);

/* Drops the triggers; OUTBOX_OK where there are none. The log stays. Errors: INVALID, and those of a write. */
OUTBOX_API int outbox_release(outbox *, const char *table);

/* ---- Reading: a durable consumer ---------------------------------------------------------------------------------
 * From the database itself, or from the JSONL files that outbox-relay writes. Either way events come in seq order, each
 * once it is acknowledged never again, and none is left out: where one that was needed is gone, the reader says so
 * (OUTBOX_GAP) before it hands out any later one.
 */

/* One event. Borrowed from the reader: valid until its next outbox_reader_next(), _restart() or _close(). Strings are
 * NUL-terminated as well as sized; NULL where absent. Grows at its end only.
 *
 * Out of files it is what the line has. A CloudEvent has no table, before and headers, but for a traceparent, which is
 * handed out as the one header; its partitionkey is the ordering_key. After `outboxctl erase` payload and before are the
 * JSON text null (out of files a payload shorter than that is NULL). A line that says `error` in place of payload and
 * before (they were not JSON) is an event like any other: both are NULL, error is not. */
typedef struct outbox_event {
    int64_t seq;
    int64_t prev;     /* the event before it in this stream; of the first, the seq the stream began after */
    int64_t revision; /* 0 for emit */
    int64_t time_us;  /* when it was written */
    const char *op;   /* insert, update, delete, emit; row in a snapshot */
    const char *id;   /* SOURCE-SEQ: the same at every delivery */
    const char *topic;
    const char *table; /* NULL for emit */
    const char *key;
    const char *ordering_key; /* NULL unless one was given */
    const void *payload;      /* JSON text, or bytes where payload_is_blob; NULL for delete */
    const char *before;       /* JSON object; NULL for insert and emit */
    const char *headers;      /* JSON object; NULL where none */
    size_t topic_size, table_size, key_size, ordering_key_size, payload_size, before_size, headers_size;
    int payload_is_blob;
    const char *error; /* files only: why payload and before could not be delivered and are NULL; NULL: they could */
} outbox_event;

enum { OUTBOX_FROM_START = 0, OUTBOX_FROM_NOW = 1, OUTBOX_FROM_SNAPSHOT = 2 };

typedef struct outbox_reader_options {
    size_t size;
    int from;          /* where a new consumer begins: OUTBOX_FROM_START or _NOW (see below) */
    int batch_count;   /* events read ahead at the most; 0: 100. A batch ends at about 1 MiB besides */
    const char *jsonl; /* the active file of a stream, as given to outbox-relay --jsonl; NULL: the database */
    const char *const *snapshot_tables; /* for OUTBOX_FROM_SNAPSHOT: names, NULL at the end; NULL: every table of `main`
                                           with a PRIMARY KEY and a revision */
    const char *snapshot_db;            /* the database to take it from; NULL: the handle's own */
} outbox_reader_options;

/* Opens consumer (1 to 64 of [A-Za-z0-9._-], no leading dot) and registers it where it is new: from then on nothing it
 * has not acknowledged is reclaimed; of a stream's segments that holds only where the handle's database is the
 * relay's. The consumer is held by a lock on DATABASE.CONSUMER.lock, which dies with this process. The reader belongs to
 * its handle, is used by the handle's thread, and is closed before it. options may be NULL; their strings are copied.
 *
 * from: OUTBOX_FROM_START is the oldest event owed, or the first line there is of the stream; OUTBOX_FROM_NOW is behind
 * the last one. It counts for a new consumer only. For a stream that has no line yet both are its first one, whichever
 * that will be.
 *
 * consumer NULL is a listener: it begins at from each time it is opened, keeps no cursor, holds nothing back, needs no
 * lock, and can acknowledge nothing (MISUSE).
 *
 * With jsonl the cursor is a row of consumer_offsets in the handle's database, which may be one of the reader's own,
 * opened by the application and attached: where it has none of our tables, this one is created. Work kept in that
 * database is exactly once when it shares a transaction with outbox_reader_ack().
 *
 * Errors: BUSY (held by another: errmsg names it), INVALID (the name; the consumer reads something else), REWOUND,
 * SCHEMA, IO (the stream's directory), MISUSE inside a transaction, and those of a write. */
OUTBOX_API int outbox_reader_open(outbox *, const char *consumer, const outbox_reader_options *options,
                                  outbox_reader **out);

/* The next event in seq order, waiting at most timeout_ms (0: look only; -1: for ever). Nothing is handed out before
 * it is on stable storage, unless the connection runs at synchronous=OFF. No read transaction is held between calls,
 * but for a snapshot's.
 * Errors: DONE, INTERRUPTED, GAP (again at each call until outbox_reader_restart(), or until it is reopened past it),
 * STALE, REWOUND (of files also: their events are another source's), CORRUPT (of files: the active one goes on with
 * something that is no event, which the relay mends when it starts: call again), MISUSE (a timeout inside a
 * transaction), BUSY, IO, NOMEM. After all of these but GAP and STALE the same call may succeed later; among the rows
 * of a snapshot only outbox_reader_restart() helps. */
OUTBOX_API int outbox_reader_next(outbox_reader *, int timeout_ms, const outbox_event **event);

/* Acknowledges everything up to seq, durably: those events are not handed out again. Inside the handle's open
 * transaction it joins, so that work kept in this database is exactly once. A seq not handed out is MISUSE, and so is
 * a snapshot's before its last row was.
 * Errors: STALE, MISUSE, and those of a write. */
OUTBOX_API int outbox_reader_ack(outbox_reader *, int64_t seq);

/* After GAP: the last seq read and the first one still there (0: none). OUTBOX_NOT_FOUND where there is no gap. */
OUTBOX_API int outbox_reader_gap(const outbox_reader *, int64_t *last_read, int64_t *first_available);

/* Begins again, after a gap or at any time; no gap is left then. Outside a transaction.
 *
 * OUTBOX_FROM_START, OUTBOX_FROM_NOW: as for a new consumer. The cursor moves there at once, back or forth.
 *
 * OUTBOX_FROM_SNAPSHOT: the next events are all rows of options.snapshot_tables as of one seq S, read in one read
 * transaction of a connection of their own and streamed: op `row`, seq S, time_us when it was taken, payload the row as
 * in its own events; table by table in the order given (else of their names), by primary key. All have S's id. Behind
 * them come the events after S, without one missing or twice. What the reader kept before is superseded: empty it
 * first, best in one transaction with the rows and outbox_reader_ack(S), which is possible from the last row on and
 * only then moves the cursor: a reader killed before stands where it stood, with its gap if it had one, and begins a
 * snapshot again. The WAL can't begin anew while rows are left, so don't dawdle. A table that is empty has no rows; a
 * snapshot without any goes on with the events after S at once.
 *
 * Errors: MISUSE inside a transaction, INVALID (no such table, or one without key or revision), STALE, SCHEMA, REWOUND,
 * BUSY, IO, CORRUPT, NOMEM; nothing has changed then. */
OUTBOX_API int outbox_reader_restart(outbox_reader *, int from);

/* A descriptor for poll(): readable when outbox_reader_next(reader, 0, …) is worth a call. -1 where there is none. */
OUTBOX_API int outbox_reader_fd(const outbox_reader *);

/* Makes a waiting or the next outbox_reader_next() return INTERRUPTED. From any thread or signal handler. */
OUTBOX_API void outbox_reader_interrupt(outbox_reader *);

OUTBOX_API void outbox_reader_close(outbox_reader *); /* NULL is fine; the cursor stays */

/* ---- Group commit ------------------------------------------------------------------------------------------------
 * Many threads that each commit alone wait for each other's syncs. A pool's one writer thread gathers what they hand
 * over into one transaction: one sync for all of them, and each returns when its own write is durable.
 *
 * It pays from two writing threads on, at synchronous FULL most. A thread that finds nobody writing writes at once, so
 * that a lone one pays a lock and no change of threads.
 */

/* Opens the database as outbox_open does, and starts the writer thread (all signals blocked in it). Errors: those of
 * outbox_open; NOMEM where no thread can be started. */
OUTBOX_API int outbox_pool_open(const char *path, const outbox_open_options *options, outbox_pool **out);

/* Runs work(handle, arg), on the writer thread or on this one, inside a transaction that others may share, and returns
 * when that is committed, or undone. From any number of threads; served in the order of arrival. What the caller waits with is its
 * own: no queue grows beyond one entry a calling thread.
 *
 * work writes through the handle, or through outbox_db(handle), and returns OUTBOX_OK to keep what it wrote or any other
 * number to undo it: its own savepoint is rolled back, nobody else notices, and outbox_pool_run returns that number
 * (above 1,000 none is the library's). What it learns (revisions, seqs) it leaves in arg. It sees what others of its
 * group wrote before it. It must not begin, commit or roll back, block, keep the handle or wait for this pool; a COMMIT
 * or ROLLBACK of its own undoes it, and is MISUSE where it returns OK all the same.
 *
 * work runs again where its group came to nothing: SQLite rolled the transaction back (ON CONFLICT ROLLBACK, a full
 * disk), or COMMIT failed (a deferred foreign key). All members then run once more, each in a transaction of its own, and
 * each gets its own answer. So it sets what it leaves in arg, rather than adding to it.
 *
 * Errors, nothing of work is in the database then: what work returned; BUSY (another process wrote for longer than the
 * busy timeout; work did not run), CONSTRAINT, FULL, IO, READONLY, CORRUPT, NOMEM, MISUSE (called by work itself, by a
 * forked child, or on a pool being closed). outbox_errmsg(NULL) has the words, on the calling thread. */
OUTBOX_API int outbox_pool_run(outbox_pool *, int (*work)(outbox *, void *), void *arg);

/* Serves what was handed over before, ends the thread and closes the database. No outbox_pool_run may begin once this
 * has been called. NULL is fine. In a forked child it frees memory only. */
OUTBOX_API void outbox_pool_close(outbox_pool *);

#ifdef __cplusplus
}
#endif
#endif
