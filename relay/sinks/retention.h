/* retention.h — which segments of a stream may go. */
#ifndef RELAY_SINKS_RETENTION_H
#define RELAY_SINKS_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "sinks/file_ops.h"
#include "segment.h"

/* What the operator wants kept; 0: no limit of that kind. */
struct retention_policy {
    int64_t count;      /* segments */
    int64_t size_bytes; /* segments and the active file together */
    int64_t age_us;     /* since a segment's last line was written */
};

/* How many of the oldest segments may be deleted: those beyond any one of the limits, but none that holds a line after
 * read_seq, what the slowest reader has acknowledged, and never the newest. Pure. */
int retention_choose(const struct segment_list *, const struct retention_policy *, int64_t active_bytes,
                     int64_t read_seq, int64_t now_us);

/* *read_seq: up to where every consumer has read that is registered for this stream, however it spelled the path, or
 * for one that may be this stream; INT64_MAX where there is none. An SQLite code; no statement is left open. */
int retention_read_seq(sqlite3 *db, const char *path, int64_t *read_seq);

/* Deletes what may go. *after_seq: what is left of the stream begins after it; untouched where nothing was deleted.
 * False: reason says what stood in the way; what was deleted before is deleted. */
bool retention_apply(const struct retention_policy *, const struct file_ops *, int dir_fd, const char *stem,
                     int64_t active_bytes, int64_t read_seq, int64_t now_us, int64_t *after_seq, char *reason,
                     size_t reason_size);

#endif
