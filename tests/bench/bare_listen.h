/* bare_listen.h — what anybody's delivery of a commit is measured against: a program that waits by inotify, looks in a
 * burst and hands out the rows after the last one. It checks nothing, records nothing, and never ends.
 */
#ifndef BENCH_BARE_LISTEN_H
#define BENCH_BARE_LISTEN_H

#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>

#include "bench.h"
#include "wal.h"

/* A row stands on seq, topic, payload. */
typedef void bare_row(void *arg, sqlite3_stmt *st);

static inline int64_t bare_data_version(sqlite3_stmt *st)
{
    sqlite3_step(st);
    int64_t version = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return version;
}

static inline void bare_hand_out(sqlite3_stmt *st, int64_t *after, bare_row *row, void *arg)
{
    sqlite3_bind_int64(st, 1, *after);
    while (sqlite3_step(st) == SQLITE_ROW) {
        *after = sqlite3_column_int64(st, 0);
        row(arg, st);
    }
    sqlite3_reset(st);
}

/* Woken by a write to the WAL it looks every 20 us for 2 ms. synced: the WAL is synced before rows are handed out, as
 * whoever can't know how the writer commits must. */
static inline int bare_listen(const char *db_path, bool synced, bare_row *row, void *arg)
{
    sqlite3 *db;
    sqlite3_stmt *version_st, *st;
    char wal[160], events[4096];
    int64_t after = 0, seen = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int in = inotify_init1(IN_CLOEXEC);
    snprintf(wal, sizeof wal, "%s-wal", db_path);
    if (sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READONLY, NULL) ||
        sqlite3_prepare_v2(db, "PRAGMA data_version", -1, &version_st, NULL) ||
        sqlite3_prepare_v2(db, "SELECT seq, topic, payload FROM outbox_events WHERE seq > ?", -1, &st, NULL) ||
        inotify_add_watch(in, wal, IN_MODIFY) < 0)
        bench_die("bare", sqlite3_errmsg(db));
    for (;;) {
        double until = bench_now() + 0.002;
        while (bench_now() < until) {
            int64_t version = bare_data_version(version_st);
            if (version != seen) {
                seen = version;
                if (synced && wal_sync(db) != SQLITE_OK)
                    bench_die("wal_sync", "failed");
                bare_hand_out(st, &after, row, arg);
            }
            bench_pause_us(20);
        }
        /* A sync of more than 2 ms is found out about late, as with anything that doesn't look for ever. */
        struct pollfd heard = {.fd = in, .events = POLLIN};
        if (poll(&heard, 1, 10) > 0 && read(in, events, sizeof events) <= 0)
            return 1;
    }
}

#endif
