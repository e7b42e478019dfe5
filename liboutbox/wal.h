/* wal.h — the write-ahead log: made durable before delivery, kept short without hurting anybody. */
#ifndef OUTBOX_WAL_H
#define OUTBOX_WAL_H

#include <stdbool.h>

#include <sqlite3.h>

/* Syncs the WAL of db's main database through SQLite's own handle (never open() it: closing that descriptor would drop
 * SQLite's locks). What this connection has read is on stable storage when it returns SQLITE_OK: frames are either in
 * the WAL just synced or were checkpointed, which synced them. At synchronous=OFF of the writer's checkpoints that
 * does not hold, and nothing here can make it. */
int wal_sync(sqlite3 *db);

/* Whether this SQLite has the WAL-reset race (before 3.51.3, but for 3.50.7+ and 3.44.6+ of those branches): a passive
 * checkpoint beside another process's commit can corrupt the file. version as sqlite3_libversion_number(). */
bool wal_reset_race(int version);

/* Keeps the WAL of one connection of ours short. On a SQLite with the race: automatic checkpoints are off and, from
 * WAL_CHECKPOINT_FRAMES on, one is made on db while a second connection, opened at need, holds the write lock (BEGIN
 * IMMEDIATE, without waiting); sooner where the file system has no room for a WAL of that size, so that it isn't the WAL
 * that fills it. Elsewhere SQLite's own automatic checkpoint is left alone. */
struct wal_keeper {
    sqlite3 *db;     /* borrowed; the keeper must not move while it has its hook */
    sqlite3 *helper; /* the second connection; NULL until needed */
    int frames;      /* in the WAL at this connection's last commit */
    int due_frames;  /* so many are a reason to checkpoint */
    int look_frames; /* so many are a reason to look at the room that is left */
    bool pressed;    /* the disk was full, and no checkpoint has been complete since */
    bool guarded;    /* this SQLite has the race */
};

enum { WAL_CHECKPOINT_FRAMES = 500 };

void wal_keeper_init(struct wal_keeper *, sqlite3 *db); /* takes db's wal hook */
void wal_keeper_fini(struct wal_keeper *);

/* After a commit, outside a transaction: checkpoints where it is time. An SQLite code that only says why it could not
 * (BUSY, FULL, IO): the commit stands all the same. */
int wal_keeper_tend(struct wal_keeper *);

/* After a write that met FULL, outside a transaction: checkpoints now, however short the WAL is, so that its room can be
 * used again; where that can't be done or not all of it, each later tend tries. */
void wal_keeper_relieve(struct wal_keeper *);

#endif
