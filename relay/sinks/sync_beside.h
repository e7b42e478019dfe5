/* sync_beside.h — one sync at a time on a thread of its own, so that whoever writes the file goes on meanwhile.
 *
 * What a sync covers is what was written before sync_beside_start(); what it came to is told once, as it was. Used by
 * one thread.
 */
#ifndef RELAY_SINKS_SYNC_BESIDE_H
#define RELAY_SINKS_SYNC_BESIDE_H

#include <stdbool.h>

#include "sinks/file_ops.h"

struct sync_beside;

/* ops->sync_data will be called from another thread. NULL: no thread, or no memory: the caller syncs by itself. */
struct sync_beside *sync_beside_open(const struct file_ops *);
void sync_beside_close(struct sync_beside *); /* waits for the one under way; its outcome is lost. NULL is fine */

/* None may be under way. fd stays open and is not synced by others until the outcome is taken. */
void sync_beside_start(struct sync_beside *, int fd);

/* True: it has ended, *error is 0 or its errno. wait: comes back only then. One must be under way. */
bool sync_beside_take(struct sync_beside *, bool wait, int *error);

/* Readable from a sync's end until its outcome is taken. */
int sync_beside_fd(const struct sync_beside *);

#endif
