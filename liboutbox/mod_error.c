/* mod_error.c — a failure of the library as an SQL error: its word, its words, and SQLite's code for it. */
#include "mod_outbox.h"

struct error {
    int code;
    int sqlite;
    const char *word;
};

/* SQLITE_SCHEMA, NOTFOUND and the like mean something to SQLite or to a host by themselves: what has no code of
 * SQLite's is SQLITE_ERROR, and the word tells. */
static const struct error errors[] = {
    {OUTBOX_CONFLICT, SQLITE_CONSTRAINT_FUNCTION, "conflict"},
    {OUTBOX_NOT_FOUND, SQLITE_ERROR, "not found"},
    {OUTBOX_GAP, SQLITE_ERROR, "gap"},
    {OUTBOX_INTERRUPTED, SQLITE_INTERRUPT, "interrupted"},
    {OUTBOX_INVALID, SQLITE_ERROR, "invalid"},
    {OUTBOX_MISUSE, SQLITE_MISUSE, "misuse"},
    {OUTBOX_CONSTRAINT, SQLITE_CONSTRAINT, "constraint"},
    {OUTBOX_TOOBIG, SQLITE_TOOBIG, "too big"},
    {OUTBOX_BUSY, SQLITE_BUSY, "busy"},
    {OUTBOX_STALE, SQLITE_ERROR, "stale"},
    {OUTBOX_ABORTED, SQLITE_ABORT_ROLLBACK, "aborted"},
    {OUTBOX_READONLY, SQLITE_READONLY, "read-only"},
    {OUTBOX_FULL, SQLITE_FULL, "full"},
    {OUTBOX_IO, SQLITE_IOERR, "i/o"},
    {OUTBOX_CORRUPT, SQLITE_CORRUPT, "corrupt"},
    {OUTBOX_SCHEMA, SQLITE_ERROR, "schema"},
    {OUTBOX_NEWER, SQLITE_ERROR, "newer"},
    {OUTBOX_REWOUND, SQLITE_ERROR, "rewound"},
    {OUTBOX_NOMEM, SQLITE_NOMEM, "out of memory"},
};

static const struct error *find(int code)
{
    static const struct error other = {OUTBOX_ERROR, SQLITE_ERROR, "error"};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code)
            return &errors[i];
    return &other;
}

int sqlite_code(int code)
{
    return find(code)->sqlite;
}

char *module_message(struct module *m, int code)
{
    const char *words = m->ob && !m->words[0] ? outbox_errmsg(m->ob) : m->words;
    char *message = sqlite3_mprintf("outbox: %s: %s", find(code)->word,
                                    words && *words ? words : outbox_strerror(code));
    if (message)
        message_tidy(message);
    m->words[0] = '\0'; /* or they would be taken for those of the call around this one */
    return message;
}
