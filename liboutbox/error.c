/* error.c — codes and words.
 *
 * One table turns SQLite's result codes into ours, one gives each of ours its sentence. Nothing here decides anything.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "utf8.h"

int code_of_sqlite(int rc)
{
    switch (rc) {
    case SQLITE_IOERR_NOMEM: return OUTBOX_NOMEM;
    case SQLITE_READONLY_DBMOVED: return OUTBOX_IO;
    default: break;
    }
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return OUTBOX_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return OUTBOX_BUSY;
    case SQLITE_CONSTRAINT: return OUTBOX_CONSTRAINT;
    case SQLITE_MISMATCH: return OUTBOX_INVALID;
    case SQLITE_TOOBIG: return OUTBOX_TOOBIG;
    case SQLITE_READONLY:
    case SQLITE_PERM: return OUTBOX_READONLY;
    case SQLITE_FULL: return OUTBOX_FULL;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOLFS:
    case SQLITE_PROTOCOL: return OUTBOX_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return OUTBOX_CORRUPT;
    case SQLITE_NOMEM: return OUTBOX_NOMEM;
    case SQLITE_INTERRUPT: return OUTBOX_INTERRUPTED;
    case SQLITE_MISUSE: return OUTBOX_MISUSE;
    default: return OUTBOX_ERROR;
    }
}

const char *words_of_sqlite(sqlite3 *db)
{
    switch (sqlite3_extended_errcode(db)) {
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMMAP:
        return "no shared memory for its -shm file, which WAL needs: the database must be on a local disk";
    default: return sqlite3_errmsg(db);
    }
}

void message_tidy(char *message)
{
    size_t size = strlen(message), at;
    while (!utf8_valid(message, size, &at))
        message[at] = '?';
}

static bool within_character(const char *p)
{
    return ((unsigned char)*p & 0xC0) == 0x80;
}

/* What a message names, a table or a key, may be of any length; what is wrong with it stands at the end, where others look
 * for it (contrib/: what a conflict found). So the middle goes. */
static void leave_out_middle(char *message, const char *whole, size_t size)
{
    static const char ellipsis[] = "…";
    size_t head = MESSAGE_SIZE / 2, tail = size - (MESSAGE_SIZE - head - sizeof ellipsis);
    while (head && within_character(&whole[head]))
        head--;
    while (within_character(&whole[tail]))
        tail++;
    memcpy(message, whole, head);
    memcpy(message + head, ellipsis, sizeof ellipsis - 1);
    memcpy(message + head + sizeof ellipsis - 1, whole + tail, size - tail + 1);
}

int fail(outbox *ob, int code, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(ob->message, sizeof ob->message, format, args);
    char *whole = size >= MESSAGE_SIZE ? malloc((size_t)size + 1) : NULL;
    if (whole && vsnprintf(whole, (size_t)size + 1, format, again) == size)
        leave_out_middle(ob->message, whole, (size_t)size);
    free(whole);
    va_end(again);
    va_end(args);
    message_tidy(ob->message);
    return code;
}

int fail_sqlite(outbox *ob, int rc, const char *what)
{
    int extended = sqlite3_extended_errcode(ob->db);
    /* The connection remembers only its last error; where that is another one, rc alone is what we know. */
    bool same = (extended & 0xff) == (rc & 0xff);
    const char *words = same ? words_of_sqlite(ob->db) : sqlite3_errstr(rc);
    if (extended == SQLITE_BUSY_SNAPSHOT)
        words =
            "another connection has written since this transaction first read; roll back and begin with BEGIN IMMEDIATE";
    return fail(ob, code_of_sqlite(same ? extended : rc), "%s: %s", what, words);
}

const char *outbox_strerror(int code)
{
    switch (code) {
    case OUTBOX_OK: return "ok";
    case OUTBOX_DONE: return "no event within the timeout";
    case OUTBOX_CONFLICT: return "the row is not at the expected revision";
    case OUTBOX_NOT_FOUND: return "not found";
    case OUTBOX_GAP: return "events that this consumer still needed are gone";
    case OUTBOX_INTERRUPTED: return "interrupted";
    case OUTBOX_INVALID: return "the input cannot be stored";
    case OUTBOX_MISUSE: return "the function was called in a way or at a time it does not allow";
    case OUTBOX_CONSTRAINT: return "a constraint of the application's refused the write";
    case OUTBOX_TOOBIG: return "too big";
    case OUTBOX_BUSY: return "held by somebody else";
    case OUTBOX_STALE: return "the consumer was moved or taken over; reopen it";
    case OUTBOX_ABORTED: return "SQLite has rolled the transaction back; roll back and begin again";
    case OUTBOX_READONLY: return "the database cannot be written";
    case OUTBOX_FULL: return "the disk is full";
    case OUTBOX_IO: return "input/output error";
    case OUTBOX_CORRUPT: return "not a database, or a damaged one";
    case OUTBOX_SCHEMA: return "the outbox tables are missing or not ours";
    case OUTBOX_NEWER: return "the database needs a newer outbox library";
    case OUTBOX_REWOUND: return "the database is behind the consumer: an older copy was put in its place";
    case OUTBOX_NOMEM: return "out of memory";
    case OUTBOX_ERROR: return "SQLite error";
    default: return "unknown code";
    }
}
