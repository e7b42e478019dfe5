/* erase_wal.c — see erase.h.
 *
 * A checkpoint copies pages into the database; what the log held of them stays in its file until it is written over. So
 * the log is begun anew by a commit of our own, on a connection that cuts it to that commit's size. SQLite does so where
 * all is copied and no reader uses the log; where another writer gets in between, or a reader is there, we try again.
 *
 * Not SQLITE_CHECKPOINT_TRUNCATE: it holds the write lock while it waits for readers, and makes the application wait with
 * them; and where it doesn't get that lock it becomes a passive one beside somebody's commit (wal.h: the race). A reader
 * is never waited for under a lock here, and copying is done while nobody can commit.
 */
#include <time.h>

#include "erase.h"
#include "wal.h"

enum { LOCK_WAIT_MS = 5000, TRY_FOR_MS = 2000, PAUSE_MS = 20 };

/* Writes a page or two, and leaves everything as it was. */
static const char sql_commit[] = "BEGIN IMMEDIATE; INSERT INTO main.outbox_meta(name) VALUES ('erase');"
                                 " DELETE FROM main.outbox_meta WHERE name = 'erase'; COMMIT";

static int note_frames(void *arg, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    *(int *)arg = frames;
    return SQLITE_OK;
}

/* Whether all of the log is in the database. */
static int copy(sqlite3 *db, sqlite3 *writer, bool *all)
{
    int frames = 0, copied = 0;
    int rc = sqlite3_exec(writer, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    sqlite3_exec(writer, "ROLLBACK", NULL, NULL, NULL);
    *all = copied == frames;
    return rc;
}

/* Whether our commit begins the log: then all that the log has is what we wrote. */
static int begin_anew(sqlite3 *writer, const int *frames, bool *anew)
{
    int written = 0, highest;
    sqlite3_db_status(writer, SQLITE_DBSTATUS_CACHE_WRITE, &written, &highest, 1);
    int rc = sqlite3_exec(writer, sql_commit, NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(writer))
        sqlite3_exec(writer, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_db_status(writer, SQLITE_DBSTATUS_CACHE_WRITE, &written, &highest, 0);
    *anew = rc == SQLITE_OK && *frames == written;
    /* The commit was synced before the log was cut: a power cut here brings the rest of it back. */
    return *anew ? wal_sync(writer) : rc;
}

static int try(sqlite3 *db, sqlite3 *writer, const int *frames, bool *gone)
{
    bool all = false;
    int rc = copy(db, writer, &all);
    if (rc == SQLITE_OK && all)
        rc = begin_anew(writer, frames, gone);
    return rc == SQLITE_BUSY ? SQLITE_OK : rc;
}

static int open_writer(sqlite3 *db, sqlite3 **writer, int *frames)
{
    int rc = sqlite3_open_v2(sqlite3_db_filename(db, "main"), writer, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                             NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_busy_timeout(*writer, LOCK_WAIT_MS);
    sqlite3_wal_hook(*writer, note_frames, frames); /* in the place of SQLite's own, which checkpoints */
    return sqlite3_exec(*writer, "PRAGMA journal_size_limit = 0", NULL, NULL, NULL);
}

int erase_wal(sqlite3 *db, bool *gone)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    sqlite3 *writer = NULL;
    int frames = 0, rc = open_writer(db, &writer, &frames);
    *gone = false;
    for (int i = 0; rc == SQLITE_OK && !*gone && i <= TRY_FOR_MS / PAUSE_MS; i++) {
        if (i)
            nanosleep(&pause, NULL);
        rc = try(db, writer, &frames, gone);
    }
    sqlite3_close(writer);
    return rc;
}
