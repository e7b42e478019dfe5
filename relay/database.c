/* database.c — opens the application's database; see database.h. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "database.h"
#include "exit_codes.h"
#include "handle.h"
#include "outbox.h"

static const char sql_newest_event[] = "SELECT max(seq) FROM main.change_log";
static const char sql_last_seq[] = "SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'";

/* A reader waits out a recovery or a closing connection. The ledger tries again itself: it must hear of a stop. */
enum { READER_BUSY_MS = 5000, WRITER_BUSY_MS = 500 };

bool database_error_is_temporary(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
    case SQLITE_IOERR: return true;
    case SQLITE_READONLY: return rc != SQLITE_READONLY_DBMOVED;
    default: return false;
    }
}

const char *database_error_words(sqlite3 *db, int rc)
{
    if (rc == SQLITE_READONLY_DBMOVED)
        return "the database was renamed, removed or replaced";
    return (sqlite3_errcode(db) & 0xff) == (rc & 0xff) ? words_of_sqlite(db) : sqlite3_errstr(rc);
}

static int refuse_open(sqlite3 *db, int rc, const char *path, char *message, size_t message_size)
{
    struct stat st = {0};
    if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        snprintf(message, message_size, "there is no database %s; create it with: outboxctl --db %s init", path, path);
        return EXIT_TEMPORARY;
    }
    if (S_ISDIR(st.st_mode)) {
        snprintf(message, message_size, "%s is a directory; name the database in it", path);
        return EXIT_PERMANENT;
    }
    snprintf(message, message_size, "database %s: %s", path, db ? words_of_sqlite(db) : sqlite3_errstr(rc));
    return database_error_is_temporary(rc) ? EXIT_TEMPORARY : EXIT_PERMANENT;
}

/* What a hostile or damaged schema could otherwise do to us. No mmap: an I/O error would be a SIGBUS. */
static int harden(sqlite3 *db)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    return sqlite3_exec(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0", NULL, NULL, NULL);
}

static int read_journal_mode(sqlite3 *db, bool *wal)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA main.journal_mode", -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(st, 0);
        *wal = mode && !strcmp(mode, "wal");
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc;
}

static int check(sqlite3 *db, const char *path, struct schema_info *info, char *message, size_t message_size)
{
    struct schema_info found;
    int code = schema_check(db, &found, message, message_size);
    if (code == OUTBOX_BUSY || code == OUTBOX_IO || code == OUTBOX_NOMEM || code == OUTBOX_FULL)
        return EXIT_TEMPORARY;
    if (code != OUTBOX_OK)
        return EXIT_PERMANENT;
    bool wal = false;
    int rc = read_journal_mode(db, &wal);
    if (rc != SQLITE_OK)
        return refuse_open(db, rc, path, message, message_size);
    if (!wal) {
        snprintf(message, message_size,
                 "database %s is not in WAL mode; switch it once with: sqlite3 %s 'PRAGMA journal_mode=WAL'", path,
                 path);
        return EXIT_PERMANENT;
    }
    if (info)
        *info = found;
    return EXIT_DONE;
}

static int open_database(const char *path, int flags, int busy_ms, sqlite3 **out, struct schema_info *info,
                         char *message, size_t message_size)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db, busy_ms);
        rc = harden(db);
    }
    int code = rc == SQLITE_OK ? check(db, path, info, message, message_size)
                               : refuse_open(db, rc, path, message, message_size);
    if (code == EXIT_DONE)
        *out = db;
    else
        sqlite3_close(db);
    return code;
}

int database_open_reader(const char *path, sqlite3 **db, struct schema_info *info, char *message, size_t message_size)
{
    return open_database(path, SQLITE_OPEN_READONLY, READER_BUSY_MS, db, info, message, message_size);
}

int database_open_writer(const char *path, sqlite3 **out, char *message, size_t message_size)
{
    sqlite3 *db = NULL;
    int code = open_database(path, SQLITE_OPEN_READWRITE, WRITER_BUSY_MS, &db, NULL, message, message_size);
    if (code != EXIT_DONE)
        return code;
    if (sqlite3_db_readonly(db, "main") == 1) {
        snprintf(message, message_size, "database %s cannot be written; check its owner and mode", path);
        sqlite3_close(db);
        return EXIT_PERMANENT;
    }
    /* NORMAL: a power cut may take the last acknowledgements, never a part of one, and never one that a later reclaim
     * relied on: the WAL keeps the order. What it costs is a delivery again.
     * The limit: a WAL that somebody's long read made large is begun anew after it, but keeps its size, until a connection
     * with a limit is the one that begins it. */
    if (sqlite3_exec(db, "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304", NULL, NULL, NULL) !=
        SQLITE_OK) {
        code = refuse_open(db, sqlite3_extended_errcode(db), path, message, message_size);
        sqlite3_close(db);
        return code;
    }
    *out = db;
    return EXIT_DONE;
}

const char *database_path(sqlite3 *db)
{
    return sqlite3_db_filename(db, "main");
}

static int64_t read_seq(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t seq = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        seq = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? seq : -(int64_t)rc;
}

int64_t database_last_seq(sqlite3 *db)
{
    return read_seq(db, sql_last_seq);
}

int64_t database_newest_event(sqlite3 *db)
{
    return read_seq(db, sql_newest_event);
}

int database_roll_back(sqlite3 *db)
{
    return sqlite3_get_autocommit(db) ? SQLITE_OK : sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

bool database_moved(sqlite3 *db)
{
    int moved = 0;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}
