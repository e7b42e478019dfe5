/* wal.c — the write-ahead log's two duties: on the disk before an event leaves, and short.
 *
 * Everything goes through SQLite's own handles and locks; the files are never opened here. When to look after the WAL
 * is the caller's: after a commit, outside a transaction.
 */
#include "wal.h"

#include <stddef.h>
#include <sys/statvfs.h>

enum {
    /* Past a checkpoint that could not be complete (a reader needs old frames), the next is tried so many later. */
    RETRY_FRAMES = WAL_CHECKPOINT_FRAMES / 4,
    LOOK_FRAMES = WAL_CHECKPOINT_FRAMES / 10, /* a look at the room costs 2 us */
    LITTLE_BYTES = 4 * 1024 * 1024            /* a WAL of WAL_CHECKPOINT_FRAMES, and as much for the database to grow */
};

int wal_sync(sqlite3 *db)
{
    sqlite3_file *wal = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);

    if (rc != SQLITE_OK)
        return rc;
    if (!wal || !wal->pMethods) /* no WAL is open: this connection has read nothing from one */
        return SQLITE_OK;
    return wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
}

bool wal_reset_race(int version)
{
    bool mended_in_3_44 = version >= 3044006 && version < 3045000;
    bool mended_in_3_50 = version >= 3050007 && version < 3051000;

    return version < 3051003 && !mended_in_3_44 && !mended_in_3_50;
}

static int after_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct wal_keeper *k = arg;

    (void)db;
    if (sqlite3_stricmp(name, "main") == 0) {
        if (frames < k->frames)
            k->look_frames = LOOK_FRAMES;
        k->frames = frames;
        if (frames < WAL_CHECKPOINT_FRAMES) /* the WAL has begun anew */
            k->due_frames = WAL_CHECKPOINT_FRAMES;
    }
    return SQLITE_OK;
}

void wal_keeper_init(struct wal_keeper *k, sqlite3 *db)
{
    *k = (struct wal_keeper){.db = db, .due_frames = WAL_CHECKPOINT_FRAMES, .look_frames = LOOK_FRAMES};
    k->guarded = wal_reset_race(sqlite3_libversion_number());
    if (k->guarded)
        sqlite3_wal_hook(db, after_commit, k); /* in the place of SQLite's own, which checkpoints */
}

void wal_keeper_fini(struct wal_keeper *k)
{
    if (k->guarded)
        sqlite3_wal_hook(k->db, NULL, NULL);
    sqlite3_close_v2(k->helper);
    *k = (struct wal_keeper){0};
}

/* The connection that holds the write lock meanwhile. It waits for nobody: after the next commit is another chance. */
static int open_helper(struct wal_keeper *k)
{
    sqlite3 *helper = NULL;
    const char *path = sqlite3_db_filename(k->db, "main");
    int rc = sqlite3_open_v2(path, &helper, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK) {
        sqlite3_close_v2(helper);
        return rc;
    }
    sqlite3_wal_autocheckpoint(helper, 0);
    k->helper = helper;
    return SQLITE_OK;
}

/* While the helper holds the write lock nobody commits, and the race has nobody to run with. Readers go on, and db's
 * busy handler isn't called: a passive checkpoint waits for nothing. */
static int checkpoint_under_lock(struct wal_keeper *k)
{
    int frames = 0, copied = 0;
    int rc = sqlite3_exec(k->helper, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_wal_checkpoint_v2(k->db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    /* It wrote nothing. Where memory doesn't suffice for a ROLLBACK, closing lets go of the lock that all writers need. */
    if (sqlite3_exec(k->helper, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK) {
        sqlite3_close_v2(k->helper);
        k->helper = NULL;
    }
    if (rc == SQLITE_OK) {
        k->due_frames = frames + RETRY_FRAMES; /* more than there are; less once the WAL begins anew */
        k->pressed = k->pressed && copied < frames;
    }
    return rc;
}

static int checkpoint(struct wal_keeper *k)
{
    int frames = 0, copied = 0;

    if (!k->guarded) {
        int rc = sqlite3_wal_checkpoint_v2(k->db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
        k->pressed = k->pressed && (rc != SQLITE_OK || copied < frames);
        return rc;
    }
    if (!k->helper) {
        int rc = open_helper(k);
        if (rc != SQLITE_OK)
            return rc;
    }
    return checkpoint_under_lock(k);
}

static bool has_little_room(struct wal_keeper *k)
{
    struct statvfs room;

    if (k->frames < k->look_frames)
        return false;
    k->look_frames = k->frames + LOOK_FRAMES;
    return statvfs(sqlite3_db_filename(k->db, "main"), &room) == 0 &&
           (double)room.f_bavail * (double)room.f_frsize < LITTLE_BYTES;
}

int wal_keeper_tend(struct wal_keeper *k)
{
    bool due = k->pressed || (k->guarded && (k->frames >= k->due_frames || has_little_room(k)));

    return due && sqlite3_get_autocommit(k->db) ? checkpoint(k) : SQLITE_OK;
}

void wal_keeper_relieve(struct wal_keeper *k)
{
    k->pressed = true;
    wal_keeper_tend(k);
}
