/* ctl.c — opening the database, saying what went wrong, and the exit code that follows; see ctl.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl.h"
#include "cursors.h"
#include "handle.h"
#include "schema.h"
#include "text.h"

enum { BUSY_TIMEOUT_MS = 5000, SAY_SIZE = 2048 };

void ctl_say(const char *format, ...)
{
    char words[SAY_SIZE];
    struct buffer line = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    text_escape(&line, words, strlen(words));
    /* Short of memory unescaped words are better than none; sealed of line breaks they are one line still. */
    for (char *end = words; !buffer_ok(&line) && (end = strpbrk(end, "\n\r\033"));)
        *end = ' ';
    fprintf(stderr, "outboxctl: %.*s\n", buffer_ok(&line) ? (int)line.size : SAY_SIZE,
            buffer_ok(&line) ? line.data : words);
    buffer_free(&line);
}

int ctl_exit_code(int code)
{
    switch (code) {
    case OUTBOX_OK: return EXIT_DONE;
    case OUTBOX_DONE:
    case OUTBOX_CONFLICT:
    case OUTBOX_NOT_FOUND:
    case OUTBOX_GAP: return EXIT_NEGATIVE;
    case OUTBOX_INVALID:
    case OUTBOX_TOOBIG:
    case OUTBOX_CONSTRAINT: return EXIT_USAGE;
    case OUTBOX_INTERRUPTED:
    case OUTBOX_BUSY:
    case OUTBOX_STALE:
    case OUTBOX_FULL:
    case OUTBOX_IO:
    case OUTBOX_NOMEM: return EXIT_TEMPORARY;
    default: return EXIT_PERMANENT;
    }
}

int ctl_fail(const outbox *ob, int code)
{
    const char *words = outbox_errmsg(ob);
    ctl_say("%s", words && *words ? words : outbox_strerror(code));
    return ctl_exit_code(code);
}

int ctl_fail_sqlite(sqlite3 *db, int rc, const char *what)
{
    /* The connection knows only its last call, and that may have been a finalize that went well. */
    int extended = sqlite3_extended_errcode(db);
    bool same = (extended & 0xff) == (rc & 0xff);
    ctl_say("%s: %s", what, same ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    int code = ctl_exit_code(code_of_sqlite(same ? extended : rc));
    return code == EXIT_DONE ? EXIT_TEMPORARY : code;
}

int ctl_print(const struct buffer *b)
{
    if (!buffer_ok(b)) {
        ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
        return EXIT_TEMPORARY;
    }
    if (b->size)
        fwrite(b->data, 1, b->size, stdout);
    return EXIT_DONE;
}

static bool database_missing(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* 111 and not 1: whoever waits for the database to be created may try again. */
static int say_missing(const struct ctl *ctl)
{
    ctl_say("there is no database %s; create it with: outboxctl --db %s init", ctl->db_path, ctl->db_path);
    return EXIT_TEMPORARY;
}

static int harden(sqlite3 *db)
{
    sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return sqlite3_exec(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0", NULL, NULL, NULL);
}

/* init is no advice for a database of a reader's own: it would make an outbox of it. */
static int check_schema(const struct ctl *ctl, sqlite3 *db, bool readers_too)
{
    struct schema_info info;
    char message[MESSAGE_SIZE];
    int code = schema_check(db, &info, message, sizeof message);
    bool readers = code == OUTBOX_SCHEMA && cursors_are_a_readers(db);
    if (readers && readers_too)
        return EXIT_DONE;
    if (readers)
        ctl_say("%s is a reader's own database, with nothing but its cursors; outboxctl tail and outboxctl consumers "
                "list, seek and remove work on it, and this is for the database that writes the stream",
                ctl->db_path);
    else if (code != OUTBOX_OK)
        ctl_say("%s: %s", ctl->db_path, message);
    return ctl_exit_code(code);
}

static int open_to_look(const struct ctl *ctl, bool readers_too, sqlite3 **out)
{
    sqlite3 *db = NULL;
    if (database_missing(ctl->db_path))
        return say_missing(ctl);
    if (is_directory(ctl->db_path)) {
        ctl_say("%s is a directory; name the database in it", ctl->db_path);
        return EXIT_PERMANENT;
    }
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(ctl->db_path, &db, flags, NULL);
    if (rc == SQLITE_OK)
        rc = harden(db);
    int exit_code = rc == SQLITE_OK ? check_schema(ctl, db, readers_too) : ctl_fail_sqlite(db, rc, ctl->db_path);
    if (exit_code == EXIT_DONE)
        *out = db;
    else
        sqlite3_close(db);
    return exit_code;
}

int ctl_open_reader(const struct ctl *ctl, sqlite3 **out)
{
    return open_to_look(ctl, false, out);
}

int ctl_open_cursors(const struct ctl *ctl, sqlite3 **out)
{
    return open_to_look(ctl, true, out);
}

/* Looked at first: outbox_open() turns a database to WAL, which is nothing to do to a file that is not ours. */
int ctl_open(const struct ctl *ctl, outbox **out)
{
    outbox_open_options options = {.size = sizeof options, .flags = OUTBOX_OPEN_EXISTING | OUTBOX_OPEN_NO_MIGRATE};
    sqlite3 *look;
    int exit_code = ctl_open_reader(ctl, &look);
    if (exit_code != EXIT_DONE)
        return exit_code;
    sqlite3_close(look);
    int code = outbox_open(ctl->db_path, &options, out);
    return code == OUTBOX_OK ? EXIT_DONE : ctl_fail(NULL, code);
}
