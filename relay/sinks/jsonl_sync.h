/* jsonl_sync.h — up to where the file being written is on stable storage, and when more of it is to be.
 *
 * It knows a descriptor and places in the file, no names: what becomes of a file whose sync has failed is jsonl_file.c's.
 */
#ifndef RELAY_SINKS_JSONL_SYNC_H
#define RELAY_SINKS_JSONL_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "sinks/file_ops.h"
#include "sinks/sync_beside.h"

/* A place between two lines. */
struct jsonl_mark {
    int64_t end; /* offset behind the first one */
    int64_t seq; /* that line's */
};

struct jsonl_sync {
    const struct file_ops *ops;
    bool never;                    /* all that is written counts as synced */
    struct jsonl_mark synced;      /* up to here everything is on stable storage */
    struct jsonl_mark before;      /* where the last sync began */
    int probation;                 /* so many syncs more are believed only when the disk gives the lines back */
    int64_t synced_at_us, took_us; /* monotonic */
    struct sync_beside *beside;    /* NULL: not needed yet, or not to be had */
    bool under_way;                /* beside; what it covers, and since when: */
    struct jsonl_mark covers;
    int64_t since_us;
};

void jsonl_sync_init(struct jsonl_sync *, const struct file_ops *, bool never);
void jsonl_sync_close(struct jsonl_sync *); /* waits for the one under way; its outcome is lost */

/* Goes on with a file that is on stable storage up to here; and with the next one, which is empty. */
void jsonl_sync_begin(struct jsonl_sync *, struct jsonl_mark synced);
void jsonl_sync_begin_empty(struct jsonl_sync *);

/* Each of these: false: the sync has failed, *fault says how, and this inode is not to be trusted any more. written is
 * the end of what was written, and fd where. */

/* Makes it durable: synced is written then. */
bool jsonl_sync_now(struct jsonl_sync *, int fd, struct jsonl_mark written, struct file_fault *fault);

/* The same while the caller goes on, where that can be had. Of one under way already nothing changes. */
bool jsonl_sync_start(struct jsonl_sync *, int fd, struct jsonl_mark written, struct file_fault *fault);

/* Takes the outcome of the one under way, where there is one and it has ended; wait: it will have. */
bool jsonl_sync_take(struct jsonl_sync *, bool wait, struct file_fault *fault);

/* Of all that the last sync claimed, up to written: is it there? To be asked before it is too late to ask. */
bool jsonl_sync_prove(struct jsonl_sync *, int fd, struct jsonl_mark written, struct file_fault *fault);

int jsonl_sync_fd(const struct jsonl_sync *); /* readable when the one under way has ended; -1: none is */

/* When the next one is due at the latest: CLOCK_MONOTONIC µs; INT64_MAX: everything is synced, or about to be. Right after
 * a write it may as well come SYNC_PATIENCE_US sooner. */
enum { SYNC_PATIENCE_US = 5000 };
int64_t jsonl_sync_due(const struct jsonl_sync *, int64_t written_end);

#endif
