/* wake.h — waits for other processes' commits, or for their lines in a file, without polling.
 *
 * inotify watches the -wal file (IN_MODIFY) and its directory (created, removed, renamed); it fires when the WAL is
 * written, often before the commit can be seen, so a wake is followed by a short burst of looks with growing pauses.
 * A slow poll (5 s; 100 ms where inotify can't be had) is the safety net. The database and its -shm are never opened
 * here: closing such a descriptor would drop SQLite's POSIX locks.
 *
 * One descriptor (epoll over inotify, a timer and an eventfd) stands for all of it, so it fits any poll loop:
 *
 *     for (;;) {
 *         if (look())                     // read what is new
 *             wake_found(w);              // ends the burst
 *         poll(wake_fd(w), …);
 *         wake_drain(w);                  // says why it fired, arms the next look of the burst
 *     }
 */
#ifndef OUTBOX_WAKE_H
#define OUTBOX_WAKE_H

#include <stdbool.h>
#include <stdint.h>

struct wake;

/* db_path is absolute. NULL with errno where not even an eventfd can be had. inotify that can't be had (no watches
 * left) is no error: wake_is_polling() then says true. */
struct wake *wake_open(const char *db_path);

/* The same for a file that grows and whose name moves on to another one: WAKE_MOVED says that it did. It need not be
 * there yet. */
struct wake *wake_open_file(const char *path);

void wake_close(struct wake *);

int wake_fd(const struct wake *);
bool wake_is_polling(const struct wake *);

enum {
    WAKE_LOOK = 1 /* a commit may be visible */,
    WAKE_POKED = 2 /* wake_poke */,
    WAKE_MOVED = 4 /* the database file or its directory entry changed: ask SQLITE_FCNTL_HAS_MOVED */
};
int wake_drain(struct wake *);  /* never blocks; returns what fired */
void wake_found(struct wake *); /* the look found something: no need to go on looking */

/* For so long no write to the WAL is heard: each one that is costs its writer 0.3 us, and a commit is some ten of them.
 * Then WAKE_LOOK fires as after a write, and all is as before. Everything else fires meanwhile. Nothing where none was
 * heard since the last hush began, so one may be asked for again and again: it lasts while there is a writer. For
 * whoever knows that something was written, and does not want it yet. */
void wake_hush(struct wake *, int64_t us);

/* How many times a write to the WAL was heard so far, this moment's included; 0: writes can go unheard. Where it is the
 * same twice, and not 0, no write() of any process to that WAL began and ended between the two calls. What it hears,
 * wake_drain() still tells. */
uint64_t wake_writes(struct wake *);

void wake_poke(struct wake *); /* from any thread or signal handler: makes the descriptor readable, WAKE_POKED */

/* Waits at most timeout_ms (-1: for ever) and drains. Returns what fired, 0 at the timeout. EINTR goes on waiting. */
int wake_wait(struct wake *, int timeout_ms);

#endif
